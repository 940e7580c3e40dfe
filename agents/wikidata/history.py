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

    property: str
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
        times = [t for t, _ in self._returns()]
        span = dt.timedelta(days=days)
        return max((sum(1 for t in times if s <= t <= s + span) for s in times), default=0)

    @property
    def contested(self) -> bool:
        """True if the values that stand now are a side of an edit war: they had already been
        taken back once, and the war flipped at least twice within a fortnight."""
        returns = self._returns()
        return (
            bool(returns)
            and self.flips() >= WAR_FLIPS
            and self.views[-1] != self.views[0]
            and self.views[-1] in {v for _, v in returns}
        )

    @property
    def last_flip(self) -> dt.datetime | None:
        return max((t for t, _ in self._returns()), default=None)

    def standing_since(self) -> dt.datetime | None:
        """When the values that hold now began to hold without a break."""
        since: dt.datetime | None = None
        for touch, before, after in zip(self.touches, self.views, self.views[1:], strict=False):
            if after == self.views[-1] and before != after:
                since = touch.revision.time
        return since

    def _returns(self) -> list[tuple[dt.datetime, frozenset[str]]]:
        seen = {self.views[0]} if self.views else set()
        found: list[tuple[dt.datetime, frozenset[str]]] = []
        for touch, before, after in zip(self.touches, self.views, self.views[1:], strict=False):
            if before != after and after in seen:
                found.append((touch.revision.time, after))
            seen.add(after)
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
