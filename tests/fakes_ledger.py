"""The watch ledger in memory, with the rules that its protocol states."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from agents.ledger import (
    Base,
    Candidate,
    CandidateState,
    Cursor,
    DirtyMark,
    Dismissal,
    EditVerdict,
    ItemOutcome,
    Traffic,
)


class MemoryLedger:
    """`WatchLedger` for tests. What it holds is public, for assertions."""

    def __init__(self, items: Sequence[str] = ()) -> None:
        self.cursors: dict[str, Cursor] = {}
        self.base: dict[str, Base] = {}
        self.marks: dict[str, int] = {}
        self.wakes: dict[str, dt.datetime] = {}
        self.verdicts: dict[tuple[str, int], EditVerdict] = {}
        self.candidates: dict[str, Candidate] = {}
        self.dismissed: list[Dismissal] = []
        self.outcomes: list[ItemOutcome] = []
        self.deleted: set[str] = set()
        for item in items:
            self._add(item)

    async def cursor(self, stream: str) -> Cursor | None:
        return self.cursors.get(stream)

    async def mark(self, marks: Sequence[DirtyMark], cursor: Cursor | None = None) -> int:
        fresh = 0
        for mark in marks:
            base = self.base.get(mark.item)
            if base is None or 0 < mark.revision <= base.revision:
                continue
            fresh += mark.item not in self.marks
            self.marks[mark.item] = max(mark.revision, self.marks.get(mark.item, 0))
        if cursor is not None:
            self.cursors[cursor.stream] = cursor
        return fresh

    async def watched(self) -> dict[str, int]:
        return {i: b.revision for i, b in self.base.items() if i not in self.deleted}

    async def gone(self) -> list[str]:
        return sorted(self.deleted)

    async def watch(self, items: Sequence[str]) -> int:
        return sum(self._add(i) for i in items)

    async def dirty(self, limit: int, now: dt.datetime) -> list[str]:
        due = {
            c.change.subject.id
            for c in self.candidates.values()
            if c.state is CandidateState.SETTLING and c.due_at <= now
        }
        due |= {i for i, at in self.wakes.items() if at <= now}
        return sorted(set(self.marks) | due, key=lambda i: (len(i), i))[:limit]

    async def bases(self, items: Sequence[str]) -> dict[str, Base]:
        return {i: self.base[i] for i in items if i in self.base}

    async def settling(self, items: Sequence[str]) -> dict[str, list[Candidate]]:
        found: dict[str, list[Candidate]] = {i: [] for i in items}
        for candidate in self.candidates.values():
            if candidate.state is CandidateState.SETTLING and candidate.change.subject.id in found:
                found[candidate.change.subject.id].append(candidate)
        return found

    async def traffic(
        self, editors: Sequence[str], runs: Sequence[str], since: dt.datetime, sample: int
    ) -> Traffic:
        """Nothing is drawn and nothing capped: that is tested over the database."""
        return Traffic()

    async def close_runs(self, now: dt.datetime, sample: int) -> int:
        return 0

    async def seen(self, item: str, revisions: Sequence[int]) -> set[int]:
        return {r for r in revisions if (item, r) in self.verdicts}

    async def record(self, outcome: ItemOutcome) -> None:
        self.outcomes.append(outcome)
        if outcome.status in ("unknown", "early"):
            return
        item = outcome.item
        known = self.base.get(item)
        if outcome.started_from not in (None, known.identity if known else None):
            return
        for edit in outcome.edits:
            self.verdicts[item, edit.revision] = edit
        for candidate in outcome.candidates:
            self.candidates[candidate.change.key] = candidate
        self.dismissed += outcome.dismissals
        self.wakes.pop(item, None)
        if outcome.look_again_at is not None:
            self.wakes[item] = outcome.look_again_at
        if outcome.base is not None:
            self.base[item] = outcome.base
        if self.marks.get(item, 0) <= self.base[item].revision or outcome.redirect_to:
            self.marks.pop(item, None)
        if outcome.deleted:
            self.deleted.add(item)
            self.marks.pop(item, None)
        if outcome.redirect_to is not None:
            base = self.base.pop(item)
            if outcome.redirect_to not in self.base:
                self._add(outcome.redirect_to)
                self.base[outcome.redirect_to] = replace(base, item=outcome.redirect_to)

    def settled(self) -> list[Candidate]:
        return [c for c in self.candidates.values() if c.state is CandidateState.SETTLED]

    def _add(self, item: str) -> bool:
        if item in self.base:
            if item not in self.deleted:
                return False
            self.deleted.remove(item)
            self.marks[item] = 0
            return True
        self.base[item] = Base(item=item, revision=0, entity=None)
        self.marks[item] = 0
        return True
