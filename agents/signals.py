"""What editors and a risk model tell of a change: wait longer, or take it for vandalism.

Owns asking about accounts and revisions of a judged item, and turning the answers into the
judgement. An answer that does not come changes nothing but the wait: nobody is confirmed then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from agents.errors import Retryable
from agents.wikidata.classify import ItemHistory, ItemJudgement, NetResult
from agents.wikidata.editors import Profile, asked_about, vouched
from agents.wikidata.history import Revision
from agents.wikidata.lift_wing import HOLD, REJECT
from knowledge.facts import ChangeKind


class Accounts(Protocol):
    """Who tells about accounts; `ActionApi` answers it."""

    async def users(self, names: Iterable[str]) -> dict[str, Profile]: ...


class Risks(Protocol):
    """Who tells about revisions; `LiftWing` answers it."""

    async def risks(self, revisions: Iterable[int]) -> dict[int, float | None]: ...


async def with_signals(
    history: ItemHistory, judgement: ItemJudgement, accounts: Accounts, risks: Risks | None
) -> ItemJudgement:
    """The judgement with `unconfirmed` and vandalism suspects by what is known of its editors."""
    going = [r for s in judgement.slots for r in s.results if r.goes_on and r.edits]
    if not going:
        return judgement
    first = min(min(r.edits) for r in going)
    seen = [r for r in history.revisions if r.id >= first]
    profiles = await _profiles(accounts, asked_about(seen))
    scores = await risks.risks(i for r in going for i in r.edits) if risks else {}
    slots = [
        replace(s, results=tuple(_signed(r, history, profiles, scores) for r in s.results))
        for s in judgement.slots
    ]
    return replace(judgement, slots=tuple(slots))


def relabelled(judgement: ItemJudgement) -> ItemJudgement:
    """The edits of changes that were seen as something else since they were classified are what
    their change is now, and no longer wait for it to settle."""
    held = {r.change.key: r.change for s in judgement.slots for r in s.results if not r.goes_on}
    edits = tuple(
        replace(n, kind=str(held[n.key].kind), reason=held[n.key].reason, key=None)
        if n.key in held
        else n
        for n in judgement.edits
    )
    return replace(judgement, edits=edits)


async def _profiles(accounts: Accounts, names: set[str]) -> Mapping[str, Profile]:
    try:
        return await accounts.users(sorted(names)) if names else {}
    except Retryable:
        return {}


def _signed(
    result: NetResult,
    history: ItemHistory,
    profiles: Mapping[str, Profile],
    scores: Mapping[int, float | None],
) -> NetResult:
    if not result.goes_on or not result.edits:
        return result
    risk = max((s for i in result.edits if (s := scores.get(i)) is not None), default=None)
    if risk is not None and risk >= REJECT:
        reason = f"risk model: {risk:.2f} that its edits will be reverted"
        change = replace(result.change, kind=ChangeKind.VANDALISM_SUSPECT, reason=reason)
        return replace(result, change=change, risk=risk)
    edits = [r for r in history.revisions if r.id in result.edits]
    later = _after(history, result.edits)
    known = vouched(edits, later, profiles) and (risk is None or risk < HOLD)
    return replace(result, unconfirmed=not known, risk=risk)


def _after(history: ItemHistory, edits: Sequence[int]) -> list[Revision]:
    last = max(edits)
    return [r for r in history.revisions if r.id > last]
