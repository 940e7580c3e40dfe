"""What the watching side remembers, as ports: cursors, dirty items, bases, findings.

Owns the protocol and its value types. Does not store: `daemon.store` implements `WatchLedger` on a
database, and every method that writes is one transaction.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from knowledge.facts import ChangeKind, FactChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a stream was left: the event id is echoed verbatim on the next connect."""

    stream: str
    event_id: str
    event_time: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DirtyMark:
    """An item that may have changed. Idempotent: a mark never lowers the stored revision."""

    item: str
    revision: int
    reason: str
    """`stream`, `recentchanges`, `sweep`, `added` or `due`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The last accepted state of an item; `entity` is its JSON, None before the first look."""

    item: str
    revision: int
    entity: dict[str, Any] | None

    @property
    def identity(self) -> str:
        """Equal for equal states of the item alone: what a look started from is told by it."""
        text = json.dumps([self.revision, self.entity], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class EditVerdict:
    """What one revision of a watched item was. Every revision seen gets exactly one."""

    item: str
    revision: int
    time: dt.datetime
    user: str
    kind: str
    """A `ChangeKind` value, or `label`, `reference`, `unwatched`, ... for other edits."""
    kept: bool
    """True when the edit took part in a world change that goes on; noise is never kept."""
    reason: str
    property: str | None = None


class CandidateState(StrEnum):
    SETTLING = "settling"
    SETTLED = "settled"
    WITHDRAWN = "withdrawn"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A difference that looks like a world change and waits until it has settled."""

    change: FactChange
    state: CandidateState
    first_seen: dt.datetime
    due_at: dt.datetime
    reason: str
    context: dict[str, Any] = field(default_factory=dict)
    editor: str = ""
    """Who made the last of its edits; empty where its edits are not at hand."""
    run: str = ""
    """Id of the bulk run that its edits are part of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRun:
    """One editor's work with one summary over many items on one day."""

    id: str
    editor: str
    summary: str
    day: dt.date
    size: int
    """Items within an hour, when it was first seen."""


class RunState(StrEnum):
    OPEN = "open"
    """Its sample is with the reviewers, the rest is held."""
    RELEASED = "released"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStanding:
    """Where a run stands. `sample` are keys of the changes that were drawn."""

    state: RunState = RunState.OPEN
    reason: str = ""
    sample: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What has lately settled, as times by editor and by run, and where runs stand."""

    editors: dict[str, list[dt.datetime]] = field(default_factory=dict)
    runs: dict[str, list[dt.datetime]] = field(default_factory=dict)
    standings: dict[str, RunStanding] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dismissal:
    """A difference that is not of the world, with the reason that a person can read."""

    change: FactChange
    kind: ChangeKind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemOutcome:
    """The result of one look at one item, committed as one transaction.

    `status` is `changed`, `unchanged`, `unknown` or `early`; with `unknown` nothing but `reason` is
    used, the base stays and the item stays dirty. So it does with `early`, which is no failure: the
    item is being edited and is looked at once more at `look_again_at`. `base` is the new base (the
    same entity when only the revision moved).
    `redirect_to` re-keys the watch to the merge target.
    """

    item: str
    status: str
    started_from: str | None = None
    """`Base.identity` of what the look started from: if another has been stored since, nothing of
    the outcome is, and the item stays dirty. None holds whatever is stored (catching up)."""
    base: Base | None = None
    edits: tuple[EditVerdict, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    """Every candidate whose state this look created or changed; keyed by `change.key`."""
    dismissals: tuple[Dismissal, ...] = ()
    runs: tuple[BulkRun, ...] = ()
    """Bulk runs that this look came upon; one that is known stays as it is."""
    redirect_to: str | None = None
    deleted: bool = False
    stands_for: dt.timedelta = dt.timedelta()
    """How long a merge or a deletion must have stood before the item is left: many are undone."""
    reason: str = ""
    look_again_at: dt.datetime | None = None
    """When a date in the item comes due (an announced start): look then even without an edit."""


class WatchLedger(Protocol):
    """Persistence of the watch. All methods are coroutines; writers are atomic and idempotent."""

    async def cursor(self, stream: str) -> Cursor | None: ...

    async def mark(self, marks: Sequence[DirtyMark], cursor: Cursor | None = None) -> int:
        """Store marks of watched items and the cursor in one transaction; the number newly dirty.

        Marks at or below the item's base revision, and marks of items that are not watched, are
        ignored (the cursor still moves)."""
        ...

    async def watched(self) -> dict[str, int]:
        """Every watched item with the revision of its base (0 before the first look)."""
        ...

    async def gone(self) -> list[str]:
        """Items that were left because they were merged or deleted. Their bases are kept."""
        ...

    async def watch(self, items: Sequence[str]) -> int:
        """Add items to the watch list, dirty with reason `added`; the number that were new. One
        that was gone goes on from its base."""
        ...

    async def dirty(self, limit: int, now: dt.datetime) -> list[str]:
        """Items to look at: dirty ones, and those with a settling candidate due by `now`."""
        ...

    async def bases(self, items: Sequence[str]) -> dict[str, Base]: ...

    async def settling(self, items: Sequence[str]) -> dict[str, list[Candidate]]:
        """The candidates of these items that still settle."""
        ...

    async def traffic(
        self, editors: Sequence[str], runs: Sequence[str], since: dt.datetime, sample: int
    ) -> Traffic:
        """What of these editors and runs has settled since, and where the runs stand. Draws up to
        `sample` changes of each open run, which stay drawn; one that ended unseen is replaced."""
        ...

    async def close_runs(self, now: dt.datetime, sample: int) -> int:
        """Release or dismiss the open runs whose sample was decided by people, and make what was
        held of them due; the number of runs."""
        ...

    async def seen(self, item: str, revisions: Sequence[int]) -> set[int]:
        """Which of these revisions already have an `EditVerdict`."""
        ...

    async def record(self, outcome: ItemOutcome) -> None:
        """Commit a look: base, verdicts, candidates, dismissals, and the item no longer dirty
        (unless a newer revision was marked meanwhile, or the status is `unknown` or `early`).
        Of an item that is no longer watched nothing is kept."""
        ...
