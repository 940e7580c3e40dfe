"""The gate: a net difference becomes a candidate, waits, and settles or is withdrawn.

Owns how long a change must stand, what happens to a waiting candidate at each look, and which part
of an item's new state is accepted as its base. Pure. Does not fetch or store (`agents.watch`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agents.ledger import Candidate, CandidateState, Dismissal, EditVerdict
from agents.wikidata.classify import Emitted, ItemHistory, ItemJudgement, NetResult, SlotResult
from agents.wikidata.constraints import Check, verdict
from agents.wikidata.entity import EntityDoc
from agents.wikidata.references import is_by_reference
from agents.wikidata.turnstile import Caps, Turnstile
from knowledge.facts import ChangeKind
from knowledge.properties import CATALOGUE, WATCHED
from knowledge.world import LEGACY_DATE

_HOLDS = frozenset(
    {
        ChangeKind.AMBIGUOUS,
        ChangeKind.DUPLICATE,
        ChangeKind.ACTING,
        ChangeKind.NOT_STARTED,
        ChangeKind.VANDALISM_SUSPECT,
        ChangeKind.BULK_RUN,
    }
)
"""Differences that are not accepted into the base: the next edit may complete or undo them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """How the watch waits. Hours are of the watcher's clock."""

    stability_h: float | None = None
    """Instead of each property's own window (72 h, or 7 days); None keeps those."""
    corroborated_h: float = 24.0
    """Window of a change that others confirm and that meets its property's constraints."""
    debounce_min: float = 10.0
    """An item edited so recently is left until it rests."""
    longest_wait_min: float = 60.0
    """An item that never rests is looked at so long after its first unseen edit all the same."""
    batch: int = 50
    unconfirmed_factor: float = 7 / 3
    """Windows are so much longer when no editor with an account took part (7 days for 72 h)."""
    vacancy_factor: float = 14 / 3
    """An end waits so much longer for a successor (14 days for 72 h)."""
    retain_days: int = 30
    """How long edits of a property stay open to another judgement."""
    gone_h: float = 72.0
    """A merge or a deletion must stand so long before the item is left."""
    bulk_items: int = 50
    """One editor with one summary on more items than this within an hour is a bulk run."""
    caps: Caps = field(default_factory=Caps)
    """How much of one editor or run goes on in a day."""
    properties: tuple[str, ...] = WATCHED
    """Properties whose changes become candidates."""
    cutoff: dt.date | None = LEGACY_DATE
    """Up to when the served model's own knowledge reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What the gate decided: candidates whose state moved, and the keys of those that settled."""

    candidates: tuple[Candidate, ...]
    settled: tuple[NetResult, ...]

    @property
    def settled_keys(self) -> frozenset[str]:
        return frozenset(r.change.key for r in self.settled)


def window_h(result: NetResult, settings: WatchSettings) -> float:
    """Hours for which the change must stand before it counts."""
    rule = CATALOGUE[result.change.property]
    hours = rule.stability_h if settings.stability_h is None else settings.stability_h
    if result.change.kind is ChangeKind.END and not result.decision.retraction:
        return hours * settings.vacancy_factor
    if result.unconfirmed:
        return hours * settings.unconfirmed_factor
    agreed = result.change.corroborations
    if rule.living_persons:  # what is private rests on sources, not on another statement alone
        agreed = tuple(c for c in agreed if is_by_reference(c))
    sure = agreed and verdict(result.findings) is Check.PASS
    return min(hours, settings.corroborated_h) if sure else hours


def gate(
    judgement: ItemJudgement,
    settling: Sequence[Candidate],
    now: dt.datetime,
    settings: WatchSettings,
    turnstile: Turnstile,
) -> GateResult:
    """Move every candidate of an item that was just re-read. What would settle passes the
    turnstile, or is held with its reason and due again later."""
    waiting = {c.change.key: c for c in settling}
    moved: list[Candidate] = []
    settled: list[NetResult] = []
    for slot in judgement.slots:
        for result in slot.results:
            if not result.goes_on:
                continue
            known = waiting.pop(result.change.key, None)
            candidate = _step(result, known, now, settings, turnstile)
            if candidate.state is CandidateState.SETTLED:
                settled.append(result)
            if candidate != known:
                moved.append(candidate)
    moved += [_gone(candidate, judgement) for candidate in waiting.values()]
    return GateResult(candidates=tuple(moved), settled=tuple(settled))


def _step(
    result: NetResult,
    known: Candidate | None,
    now: dt.datetime,
    settings: WatchSettings,
    turnstile: Turnstile,
) -> Candidate:
    span = dt.timedelta(hours=window_h(result, settings))
    run = result.run.id if result.run else ""
    context = {
        "edits": list(result.edits),
        "since": result.since.isoformat() if result.since else None,
        "retraction": result.decision.retraction,
        "unconfirmed": result.unconfirmed,
        "run_size": result.run.size if result.run else 0,
        "constraints": {str(f.kind): str(f.check) for f in result.findings},
        "risk": result.risk,
    }
    if known is None or (result.since is not None and result.since > known.first_seen):
        first = result.since if result.caught_up and result.since else now
        return Candidate(
            change=result.change,
            state=CandidateState.SETTLING,
            first_seen=first,
            due_at=first + span,
            reason=result.change.reason,
            context=context,
            editor=result.editor,
            run=run,
        )
    due = known.first_seen + span
    reason, state = result.change.reason, CandidateState.SETTLING
    if now >= due:
        free = result.decision.retraction  # what is taken back must not wait behind others
        held = None if free else turnstile.enter(result.change.key, result.editor, run, now)
        if held is None:
            reason = f"stood for {span.total_seconds() / 3600:g} hours: {reason}"
            state = CandidateState.SETTLED
        else:
            reason, due = held.reason, held.until
    if state is known.state and due == known.due_at:
        return known
    return replace(
        known,
        change=result.change,
        state=state,
        due_at=due,
        reason=reason,
        context=context,
        editor=result.editor,
        run=run,
    )


def _gone(candidate: Candidate, judgement: ItemJudgement) -> Candidate:
    """The change no longer stands, or is now seen as something else."""
    slot = next((s for s in judgement.slots if s.property == candidate.change.property), None)
    key = candidate.change.key
    other = next((r for r in slot.results if r.change.key == key), None) if slot else None
    if other is not None:
        return replace(candidate, state=CandidateState.DISMISSED, reason=other.change.reason)
    reason = "the value that held before holds again"
    if slot is not None and any(r.goes_on for r in slot.results):
        reason = "another change of the same fact took its place"
    elif slot is not None and slot.results:
        reason = slot.results[0].change.reason
    return replace(candidate, state=CandidateState.WITHDRAWN, reason=reason)


def verdicts(
    item: str, judgement: ItemJudgement, settled: frozenset[str]
) -> tuple[EditVerdict, ...]:
    """One verdict for each revision; kept are those whose change has settled."""
    found: list[EditVerdict] = []
    for note in judgement.edits:
        kept = note.completed or (note.key is not None and note.key in settled)
        waiting = note.key is not None and not kept
        found.append(
            EditVerdict(
                item=item,
                revision=note.revision.id,
                time=note.revision.time,
                user=note.revision.user,
                kind=str(note.kind),
                kept=kept,
                reason=f"waits until it has settled: {note.reason}" if waiting else note.reason,
                property=note.property,
            )
        )
    return tuple(found)


def dismissals(judgement: ItemJudgement, told: frozenset[str]) -> dict[str, Dismissal]:
    """Every difference that does not go on, by identity; those in `told` were reported before."""
    found: dict[str, Dismissal] = {}
    for slot in judgement.slots:
        changes = [r.change for r in slot.results if not r.goes_on]
        changes += [c.change for c in slot.corrected]
        for change in changes:
            found[f"{change.key}|{change.kind}"] = Dismissal(
                change=change, kind=change.kind, reason=change.reason
            )
    return {identity: d for identity, d in found.items() if identity not in told}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Which properties keep their old base, and what the watcher must remember about the item."""

    keep: dict[str, Any]
    starts: dict[str, int]
    days: dict[str, dt.date]
    emitted: dict[str, Emitted]
    wakes_at: dt.datetime | None


def accept(
    judgement: ItemJudgement,
    result: GateResult,
    history: ItemHistory,
    now: dt.datetime,
    settings: WatchSettings,
) -> Acceptance:
    """Split the new state by property into what is accepted and what is still open.

    A property keeps its base while a change of it settles or is held, and while its edits are
    recent; what has settled is accepted at once."""
    keep: dict[str, Any] = {}
    new_starts: dict[str, int] = {}
    new_days: dict[str, dt.date] = {}
    told = dict(history.emitted)
    for slot in judgement.slots:
        done = [r for r in result.settled if r.change.property == slot.property]
        for one in done:
            told[slot.property] = _emitted(one, now)
        if done and not _still_open(slot, done):
            continue
        if not done and not _retained(slot, now, settings):
            continue
        name = slot.property
        keep[name] = _merge(name, history.base, history.head, done)
        new_starts[name] = history.starts.get(name, history.base_revision)
        new_days[name] = history.accepted_on.get(name, history.base_day)
    wakes = [s.wakes_on for s in judgement.slots if s.wakes_on]
    wakes_at = dt.datetime.combine(min(wakes), dt.time(), tzinfo=dt.UTC) if wakes else None
    return Acceptance(keep=keep, starts=new_starts, days=new_days, emitted=told, wakes_at=wakes_at)


def _still_open(slot: SlotResult, done: Sequence[NetResult]) -> bool:
    """After a part of a property with many values has settled: does another part still wait?"""
    if CATALOGUE[slot.property].functional:
        return False
    return any(r not in done and (r.goes_on or r.change.kind in _HOLDS) for r in slot.results)


def _retained(slot: SlotResult, now: dt.datetime, settings: WatchSettings) -> bool:
    kinds = {r.change.kind for r in slot.results}
    if kinds & _HOLDS or any(k.is_world_change for k in kinds):
        return True
    recent = now - dt.timedelta(days=settings.retain_days)
    return slot.touched_at is not None and slot.touched_at > recent


def _merge(
    property_id: str, base: EntityDoc, head: EntityDoc, done: Sequence[NetResult]
) -> list[Any]:
    """The base's statements, with those of settled differences as they stand now."""
    ids = {i for r in done for i in (r.change.old_statement, r.change.new_statement) if i}
    now = {s.get("id"): s for s in head.raw_claims.get(property_id, ())}
    kept = [s for s in base.raw_claims.get(property_id, ()) if s.get("id") not in ids]
    return kept + [now[i] for i in sorted(ids) if i in now]


def _emitted(result: NetResult, now: dt.datetime) -> Emitted:
    change = result.change
    return Emitted(
        old=change.old.id if change.old else None,
        new=change.new.id if change.new else None,
        old_statement=change.old_statement,
        new_statement=change.new_statement,
        at=now,
    )
