"""The history of one property between two states: which edits touched it, which were undone.

Owns revisions as values, the timeline of a property over them, reverts (by tag, by checksum of
state, statement by statement) and edit wars. Does not say what an edit meant (`classify`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agents.wikidata.diff import StatementDiff, Touched, diff_statements, meaning, state_key
from agents.wikidata.entity import EntityDoc
from agents.wikidata.risk import Editor, editor, is_reverting, undone_revision
from agents.wikidata.view import current_view
from knowledge.facts import Statement

WAR_FLIPS = 2
WAR_DAYS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One edit. `doc` is the state after it; None where the content was hidden."""

    id: int
    time: dt.datetime
    user: str
    comment: str = ""
    tags: tuple[str, ...] = ()
    sha1: str = ""
    parent: int = 0
    bot: bool = False
    temporary: bool = False
    doc: EntityDoc | None = None

    @property
    def editor(self) -> Editor:
        return editor(self.user, bot=self.bot, temporary=self.temporary)

    @property
    def reverting(self) -> bool:
        return is_reverting(self.tags, self.comment)


@dataclass(frozen=True, slots=True)
class Touch:
    """An edit that changed more than references of one property."""

    revision: Revision
    diff: StatementDiff
    after: tuple[Statement, ...]


@dataclass(slots=True)
class Timeline:
    """One property from its base state to now."""

    property_id: str
    base: tuple[Statement, ...]
    touches: tuple[Touch, ...]
    reverted: dict[int, Revision] = field(default_factory=dict)
    """Undone edit -> the edit that undid it."""
    reverting: set[int] = field(default_factory=set)
    """Edits that did nothing but bring an earlier state back."""
    effective: dict[int, frozenset[str]] = field(default_factory=dict)
    """Surviving edit -> ids of the statements on which its effect still stands."""
    views: tuple[frozenset[str], ...] = ()
    """Values held at the base and after each touch."""

    @property
    def surviving(self) -> tuple[Touch, ...]:
        return tuple(t for t in self.touches if t.revision.id in self.effective)

    def flips(self, *, days: int = WAR_DAYS) -> int:
        """The most returns to a view that had been left, within any window of so many days."""
        times = [time for time, _, back in self._turns() if back]
        span = dt.timedelta(days=days)
        return max((sum(1 for t in times if s <= t <= s + span) for s in times), default=0)

    def fought_over(self) -> frozenset[frozenset[str]]:
        """Views that were brought in again after having been undone, with at least two flips
        within a fortnight: the sides of edit wars. (Different vandals who are undone one after
        the other, or a duplicate that comes and goes, make no war.)"""
        if self.flips() < WAR_FLIPS:
            return frozenset()
        moves = [(t.revision.id, v) for t, u, v in self.moves() if u != v and v != self.views[0]]
        undone = {v for number, v in moves if number in self.reverted}
        return frozenset(v for v in undone if sum(1 for _, w in moves if w == v) > 1)

    @property
    def contested(self) -> bool:
        """True if what stands now is a side of an edit war."""
        return bool(self.views) and self.views[-1] in self.fought_over()

    def moves(self) -> list[tuple[Touch, frozenset[str], frozenset[str]]]:
        """Each touch with the values held before and after it."""
        return list(zip(self.touches, self.views, self.views[1:], strict=False))

    def standing_since(self) -> dt.datetime | None:
        """When the values that hold now began to hold, not counting what was undone since."""
        since: dt.datetime | None = None
        last = self.views[0] if self.views else frozenset()
        for touch, view in zip(self.touches, self.views[1:], strict=False):
            if touch.revision.id not in self.effective:
                continue
            if view == self.views[-1] and view != last:
                since = touch.revision.time
            last = view
        return since

    def _turns(self) -> list[tuple[dt.datetime, frozenset[str], bool]]:
        """Each change between values held: when, to which, and whether they had held before."""
        found: list[tuple[dt.datetime, frozenset[str], bool]] = []
        last = self.views[0] if self.views else frozenset()
        seen = {last}
        for touch, view in zip(self.touches, self.views[1:], strict=False):
            if not view or view == last:
                continue
            found.append((touch.revision.time, view, view in seen))
            seen.add(view)
            last = view
        return found


def timeline(
    property_id: str,
    base: Sequence[Statement],
    revisions: Iterable[Revision],
    day: dt.date,
    *,
    dated: bool = False,
) -> Timeline:
    """Follow one property from `base` through the revisions (oldest first)."""
    touches: list[Touch] = []
    state = tuple(base)
    for revision in revisions:
        if revision.doc is None:
            continue
        after = revision.doc.claims.get(property_id, ())
        found = diff_statements(property_id, state, after)
        if found and found.semantic:
            touches.append(Touch(revision, found, after))
        state = after
    line = Timeline(property_id, tuple(base), tuple(touches))
    line.views = tuple(
        current_view(s, day, dated=dated).values for s in (line.base, *(t.after for t in touches))
    )
    _undo_states(line)
    _undo_statements(line)
    return line


def _undo_states(line: Timeline) -> None:
    """Whole states that came back: everything in between was undone."""
    stack: list[tuple[object, Touch | None]] = [(state_key(line.base), None)]
    for touch in line.touches:
        key = state_key(touch.after)
        place = next((i for i, (k, _) in enumerate(stack) if k == key), None)
        if place is None:
            stack.append((key, touch))
            continue
        for _, undone in stack[place + 1 :]:
            if undone is not None:
                line.reverted.setdefault(undone.revision.id, touch.revision)
        del stack[place + 1 :]
        line.reverting.add(touch.revision.id)
    known = {t.revision.id for t in line.touches}
    for touch in line.touches:
        undone = undone_revision(touch.revision.comment) if touch.revision.reverting else None
        if undone in known and undone is not None and undone < touch.revision.id:
            line.reverted.setdefault(undone, touch.revision)


def _undo_statements(line: Timeline) -> None:
    """Among the rest: single statements that went back to an earlier meaning."""
    standing: dict[str, list[tuple[object, Touch | None]]] = {
        s.id: [(meaning(s), None)] for s in line.base
    }
    alive: dict[int, set[str]] = {}
    undone_by: dict[int, Revision] = {}
    for touch in line.touches:
        number = touch.revision.id
        if number in line.reverted or number in line.reverting:
            continue
        alive[number] = set()
        for one in touch.diff.all:
            if not one.only_references:
                _follow(standing, alive, undone_by, touch, one)
    for touch in line.touches:
        number = touch.revision.id
        if alive.get(number):
            line.effective[number] = frozenset(alive[number])
        elif number in undone_by:
            line.reverted[number] = undone_by[number]
        elif number in alive:
            line.reverting.add(number)


def _follow(
    standing: dict[str, list[tuple[object, Touch | None]]],
    alive: dict[int, set[str]],
    undone_by: dict[int, Revision],
    touch: Touch,
    one: Touched,
) -> None:
    stack = standing.setdefault(one.id, [(meaning(one.before), None)])
    now = meaning(one.after)
    place = next((i for i, (m, _) in enumerate(stack) if m == now), None)
    if place is None:
        stack.append((now, touch))
        alive[touch.revision.id].add(one.id)
        return
    for _, undone in stack[place + 1 :]:
        if undone is not None and undone.revision.id in alive:
            alive[undone.revision.id].discard(one.id)
            undone_by[undone.revision.id] = touch.revision
    del stack[place + 1 :]
