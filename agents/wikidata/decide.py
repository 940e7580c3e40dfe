"""What the difference between two states of one property means, given all that stands now.

Owns the net decision on a property: succession, start, end, late entry, or the reason why it is
none of these. Pure. Does not attribute it to edits (`classify`) or wait for it to settle (`gate`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from agents.wikidata.pairs import coarser_equal, judge_pair
from agents.wikidata.side import Facts
from agents.wikidata.view import (
    END,
    START,
    Phase,
    View,
    current_view,
    is_acting,
    phase,
    qualifier_date,
    value_key,
)
from knowledge.facts import ChangeKind, Date, Statement
from knowledge.properties import Property, Tier

LATE_DAYS = 90
"""A change entered later than this after the event is a late entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One net difference. `old` is the statement as accepted, `new` as it stands now."""

    kind: ChangeKind
    old: Statement | None = None
    new: Statement | None = None
    reason: str
    retraction: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One property of one item: the accepted statements and the day they were accepted on, the
    statements now, and what else is known."""

    rule: Property
    accepted: Sequence[Statement]
    accepted_on: dt.date
    head: Sequence[Statement]
    today: dt.date
    facts: Facts
    cutoff: dt.date | None = None
    """Up to when the model's own knowledge reaches; None if that is not known."""

    @property
    def dated(self) -> bool:
        return self.rule.tier is Tier.N

    def before(self) -> View:
        day = min(self.accepted_on, self.today)
        return current_view(self.accepted, day, dated=self.dated)

    def now(self) -> View:
        return current_view(self.head, self.today, dated=self.dated)

    def heir(self, statement: Statement) -> Statement | None:
        """The statement as it stands now: by id, if it still says the same fact, else by value."""
        for one in self.head:
            if one.id == statement.id and judge_pair(
                statement.mainsnak, one.mainsnak, self.facts, in_place=True
            ):
                return one
        return next((s for s in self.head if value_key(s) == value_key(statement)), None)


def decide(case: Case) -> list[Decision]:
    """Every net difference of the property; empty when the same values hold."""
    before, now = case.before(), case.now()
    if before.values == now.values:
        return []
    if not case.rule.functional and not case.dated:
        return _several(case, before, now)
    return _single(case, before, now)


def next_start(case: Case) -> dt.date | None:
    """The first day on which a statement that waits for its start will hold."""
    dates = [
        d.earliest()
        for s in case.head
        if phase(s, case.today) is Phase.NOT_STARTED and (d := qualifier_date(s, START))
    ]
    return min(dates, default=None)


def strictly_later(a: Date, b: Date) -> bool:
    """Whether `a` is after `b` even at the coarser precision of the two."""
    return not coarser_equal(a, b) and a.earliest() > b.earliest()


def _single(case: Case, before: View, now: View) -> list[Decision]:
    held, notes = _sift(case, before, now)
    values = {value_key(s) for s in held}
    if values == before.values:
        return notes
    if not values:
        return notes + [_gone(case, before.of(v)) for v in sorted(before.values)]
    if len(values) > 1:
        return [*notes, _unclear(case, before, held)]
    new = next(iter(held)) if len(held) == 1 else now.of(next(iter(values)))
    olds = [before.of(v) for v in sorted(before.values - values)]
    if not before.values:
        return [*notes, _started(case, new)]
    if values <= before.values:
        return [*notes, _left_over(max(olds, key=_start_order), new)]
    return [*notes, _replaced(case, max(olds, key=_start_order), new)]


def _sift(case: Case, before: View, now: View) -> tuple[list[Statement], list[Decision]]:
    """Of several values that stand side by side, set aside those that are no rival holder."""
    held = [now.of(v) for v in sorted(now.values)]
    notes: list[Decision] = []
    if len(held) < 2:
        return held, notes
    for statement in list(held):
        if value_key(statement) in before.values or len(held) == 1:
            continue
        others = [s for s in held if s is not statement]
        note = _no_rival(case, statement, others)
        if note is not None:
            held.remove(statement)
            notes.append(note)
    if held or not notes:
        return held, notes
    return [now.of(v) for v in sorted(now.values)], []


def _no_rival(case: Case, statement: Statement, others: list[Statement]) -> Decision | None:
    if is_acting(statement):
        return Decision(kind=ChangeKind.ACTING, new=statement, reason=_ACTING)
    for other in others:
        pair = judge_pair(other.mainsnak, statement.mainsnak, case.facts)
        if pair is not None:
            return Decision(kind=pair.kind, old=other, new=statement, reason=pair.reason)
    if qualifier_date(statement, START) is None:
        return Decision(
            kind=ChangeKind.DUPLICATE,
            new=statement,
            reason="a further value without a start date beside one that still holds",
        )
    return None


_ACTING = "the holder is qualified as acting, so the office has not passed on"


def _unclear(case: Case, before: View, held: list[Statement]) -> Decision:
    names = ", ".join(sorted(value_key(s) for s in held))
    fresh = [s for s in held if value_key(s) not in before.values]
    return Decision(
        kind=ChangeKind.AMBIGUOUS,
        old=before.of(min(before.values)) if before.values else None,
        new=fresh[0] if fresh else None,
        reason=f"{names} all hold at once for {case.rule.label}: held until one of them ends",
    )


def _left_over(old: Statement, new: Statement) -> Decision:
    """Several values stood side by side, and all but one are gone: nothing began to hold."""
    return Decision(
        kind=ChangeKind.NO_CHANGE,
        old=old,
        new=new,
        reason="of several values that stood side by side one is left; it held before",
    )


def _gone(case: Case, old: Statement) -> Decision:
    """Nothing holds now."""
    heir = case.heir(old)
    if heir is not None and phase(heir, case.today) is Phase.ENDED:
        waiting = next_start(case)
        if waiting is not None:
            return Decision(
                kind=ChangeKind.NOT_STARTED,
                old=old,
                reason=f"the successor starts on {waiting}, which is still to come",
            )
        if any(is_acting(s) and phase(s, case.today) is Phase.RUNNING for s in case.head):
            return Decision(kind=ChangeKind.ACTING, old=old, reason=_ACTING)
        return Decision(
            kind=ChangeKind.END, old=old, reason=f"ended {_when(heir, END)}, no successor"
        )
    return _not_ended(case, old, heir)


def _not_ended(case: Case, old: Statement, heir: Statement | None) -> Decision:
    if heir is None:
        kind, reason = ChangeKind.CORRECTION, "the statement was removed, not ended"
    elif phase(heir, case.today) is Phase.DEPRECATED:
        kind, reason = ChangeKind.CORRECTION, "the statement was deprecated: it never was true"
    elif phase(heir, case.today) is Phase.NOT_STARTED:
        kind, reason = ChangeKind.NOT_STARTED, f"its start was moved to {_when(heir, START)}"
    else:
        kind, reason = ChangeKind.RANK_ONLY, "the value still holds, only its rank is lower"
    return Decision(kind=kind, old=old, reason=reason)


def _started(case: Case, new: Statement) -> Decision:
    """Nothing held before."""
    if is_acting(new):
        return Decision(kind=ChangeKind.ACTING, new=new, reason=_ACTING)
    start = qualifier_date(new, START)
    if start is None and case.rule.tier not in (Tier.O, Tier.N):
        return Decision(
            kind=ChangeKind.NO_CHANGE,
            new=new,
            reason="a first value without a start date: the item was completed, nothing changed",
        )
    if start is None or not _is_late(case, start):
        return Decision(
            kind=ChangeKind.START, new=new, reason=f"first value, started {_when(new, START)}"
        )
    if case.cutoff is None or start.latest() < case.cutoff:
        return Decision(
            kind=ChangeKind.NO_CHANGE,
            new=new,
            reason=f"holds since {start.iso()}: the item was completed, nothing changed",
        )
    return Decision(
        kind=ChangeKind.LATE_ENTRY, new=new, reason=f"entered late: holds since {start.iso()}"
    )


def _replaced(case: Case, old: Statement, new: Statement) -> Decision:
    """One value held, another one holds now."""
    heir = case.heir(old)
    ended = heir is not None and phase(heir, case.today) is Phase.ENDED
    start, before = qualifier_date(new, START), qualifier_date(old, START)
    followed = bool(start and before and strictly_later(start, before))
    pair = judge_pair(old.mainsnak, new.mainsnak, case.facts)
    if pair and not (pair.kind is ChangeKind.GRANULARITY and ended and followed):
        return Decision(kind=pair.kind, old=old, new=new, reason=pair.reason)
    if is_acting(new):
        return Decision(kind=ChangeKind.ACTING, old=old, new=new, reason=_ACTING)
    if start and before and strictly_later(before, start):
        return Decision(
            kind=ChangeKind.AMBIGUOUS,
            old=old,
            new=new,
            reason=f"the new value starts {start.iso()}, before the old one ({before.iso()})",
        )
    if ended and heir is not None:
        started = f", the next started {start.iso()}" if start else ""
        return _world(case, old, new, start, f"the old one ended {_when(heir, END)}{started}")
    if heir is None or phase(heir, case.today) is not Phase.RUNNING:
        return _removed(case, old, new, heir, start, followed)
    if start is None:
        return Decision(
            kind=ChangeKind.AMBIGUOUS,
            old=old,
            new=new,
            reason="ranked above a value that has not ended, without any date of its own",
        )
    return _world(case, old, new, start, f"ranked above the old one, started {start.iso()}")


def _removed(
    case: Case,
    old: Statement,
    new: Statement,
    heir: Statement | None,
    start: Date | None,
    followed: bool,
) -> Decision:
    if heir is None and followed and start is not None:
        how = "overwritten in place" if old.id == new.id else "removed"
        return _world(
            case, old, new, start, f"the old one was {how}, the next started {start.iso()}"
        )
    reason = "overwritten or removed without an end date, and no later start says otherwise"
    if heir is not None:
        reason = _not_ended(case, old, heir).reason
    return Decision(kind=ChangeKind.CORRECTION, old=old, new=new, reason=reason)


def _world(case: Case, old: Statement, new: Statement, start: Date | None, reason: str) -> Decision:
    if start is not None and case.cutoff is not None and start.latest() < case.cutoff:
        return Decision(
            kind=ChangeKind.NO_CHANGE,
            old=old,
            new=new,
            reason=f"{reason}; that is before the model's cut-off of {case.cutoff}",
        )
    late = start is not None and _is_late(case, start)
    kind = ChangeKind.LATE_ENTRY if late else ChangeKind.SUCCESSION
    return Decision(kind=kind, old=old, new=new, reason=reason)


def _several(case: Case, before: View, now: View) -> list[Decision]:
    """A property with many values: each comes and goes for itself."""
    found: list[Decision] = []
    for value in sorted(before.values - now.values):
        old = before.of(value)
        heir = case.heir(old)
        if heir is not None and phase(heir, case.today) is Phase.ENDED:
            found.append(Decision(kind=ChangeKind.END, old=old, reason=f"ended {_when(heir, END)}"))
        else:
            found.append(_not_ended(case, old, heir))
    known = [before.of(v) for v in sorted(before.values)]
    for value in sorted(now.values - before.values):
        new = now.of(value)
        if any(
            value_key(s) == value and phase(s, case.today) is Phase.RUNNING for s in case.accepted
        ):
            reason = "the value held before, only ranks changed"
            found.append(Decision(kind=ChangeKind.RANK_ONLY, new=new, reason=reason))
            continue
        pairs = (judge_pair(s.mainsnak, new.mainsnak, case.facts) for s in known)
        pair = next((p for p in pairs if p), None)
        found.append(
            Decision(kind=pair.kind, new=new, reason=pair.reason) if pair else _started(case, new)
        )
    return found


def _is_late(case: Case, start: Date) -> bool:
    return start.latest() < case.today - dt.timedelta(days=LATE_DAYS)


def _start_order(statement: Statement) -> tuple[dt.date, str]:
    start = qualifier_date(statement, START)
    return (start.earliest() if start else dt.date.min, statement.id)


def _when(statement: Statement, property_id: str) -> str:
    date = qualifier_date(statement, property_id)
    return f"in {date.iso()}" if date else "at an unknown date"
