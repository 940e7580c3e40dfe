"""The watch's memory on the database: implements `agents.ledger.WatchLedger`.

Owns cursors, what is to be looked at and what is known of it. The list itself and its marks are in
`daemon.store.watch_list`, what a look leaves behind in `daemon.store.outcomes`. Does not classify.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TypeVar

from sqlmodel import Session, col, or_, select

from agents.ledger import (
    Base,
    Candidate,
    CandidateState,
    Cursor,
    DirtyMark,
    ItemOutcome,
    Traffic,
)
from daemon.clock import Clock
from daemon.store.candidates import read_candidate
from daemon.store.engine import Database
from daemon.store.outcomes import record_outcome
from daemon.store.rows import (
    BaseRow,
    CandidateRow,
    CursorRow,
    DirtyRow,
    EditVerdictRow,
    WatchItemRow,
)
from daemon.store.runs import close_decided, has_open, read_traffic
from daemon.store.watch_list import add_items, mark_items, rows_by

_DUE_SHARE = 4
"""One look in so many is kept for items whose time has come, however many others are marked."""

T = TypeVar("T")


class SqlWatchLedger:
    """Each writing method is one transaction, and harmless when repeated."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def cursor(self, stream: str) -> Cursor | None:
        def work(session: Session) -> Cursor | None:
            row = session.get(CursorRow, stream)
            if row is None:
                return None
            return Cursor(stream=row.stream, event_id=row.event_id, event_time=row.event_time)

        return await self._database.reading(work)

    async def mark(self, marks: Sequence[DirtyMark], cursor: Cursor | None = None) -> int:
        if not marks and cursor is None:
            return 0
        now = self._clock.now()

        def work(session: Session) -> int:
            if cursor is not None:
                session.merge(
                    CursorRow(
                        stream=cursor.stream,
                        event_id=cursor.event_id,
                        event_time=cursor.event_time,
                        committed_at=now,
                    )
                )
            return mark_items(session, marks, now)

        return await self._database.writing(work)

    async def watched(self) -> dict[str, int]:
        def work(session: Session) -> dict[str, int]:
            rows = session.exec(
                select(WatchItemRow.item, BaseRow.revision)
                .join(BaseRow, col(BaseRow.item) == col(WatchItemRow.item), isouter=True)
                .where(
                    col(WatchItemRow.deleted).is_(False), col(WatchItemRow.redirect_to).is_(None)
                )
            ).all()
            return {item: revision or 0 for item, revision in rows}

        return await self._database.reading(work)

    async def gone(self) -> list[str]:
        def work(session: Session) -> list[str]:
            left = or_(col(WatchItemRow.deleted), col(WatchItemRow.redirect_to).is_not(None))
            return list(session.exec(select(WatchItemRow.item).where(left)).all())

        return await self._database.reading(work)

    async def watch(self, items: Sequence[str]) -> int:
        now = self._clock.now()
        return await self._database.writing(lambda session: add_items(session, items, now))

    async def dirty(self, limit: int, now: dt.datetime) -> list[str]:
        def work(session: Session) -> list[str]:
            marked = session.exec(
                select(DirtyRow.item)
                .where(
                    or_(col(DirtyRow.not_before).is_(None), col(DirtyRow.not_before) <= now),
                    col(DirtyRow.parked).is_(False),
                )
                .order_by(col(DirtyRow.marked_at), col(DirtyRow.item))
                .limit(limit)
            ).all()
            waiting = select(DirtyRow.item).where(
                or_(col(DirtyRow.not_before) > now, col(DirtyRow.parked).is_(True))
            )
            due = session.exec(
                select(CandidateRow.item)
                .where(
                    CandidateRow.state == CandidateState.SETTLING,
                    CandidateRow.due_at <= now,
                    col(CandidateRow.item).not_in(waiting),
                )
                .order_by(col(CandidateRow.due_at), col(CandidateRow.item))
                .limit(limit)
            ).all()
            announced = session.exec(
                select(WatchItemRow.item)
                .where(
                    col(WatchItemRow.look_again_at) <= now,
                    col(WatchItemRow.item).not_in(waiting),
                )
                .order_by(col(WatchItemRow.look_again_at), col(WatchItemRow.item))
                .limit(limit)
            ).all()
            timed = list(dict.fromkeys([*due, *announced]))
            kept = timed[: max(1, limit // _DUE_SHARE)]
            room = [item for item in marked if item not in set(kept)][: limit - len(kept)]
            return list(dict.fromkeys([*room, *kept, *timed]))[:limit]

        return await self._database.reading(work)

    async def bases(self, items: Sequence[str]) -> dict[str, Base]:
        def work(session: Session) -> dict[str, Base]:
            rows = rows_by(
                session, lambda part: select(BaseRow).where(col(BaseRow.item).in_(part)), items
            )
            return {r.item: Base(item=r.item, revision=r.revision, entity=r.entity) for r in rows}

        return await self._database.reading(work)

    async def settling(self, items: Sequence[str]) -> dict[str, list[Candidate]]:
        def work(session: Session) -> dict[str, list[Candidate]]:
            rows = rows_by(
                session,
                lambda part: select(CandidateRow).where(
                    col(CandidateRow.item).in_(part),
                    CandidateRow.state == CandidateState.SETTLING,
                ),
                items,
            )
            found: dict[str, list[Candidate]] = {}
            for row in sorted(rows, key=lambda r: (r.first_seen, r.key)):
                found.setdefault(row.item, []).append(read_candidate(row))
            return found

        return await self._database.reading(work)

    async def traffic(
        self, editors: Sequence[str], runs: Sequence[str], since: dt.datetime, sample: int
    ) -> Traffic:
        if not editors and not runs:
            return Traffic()
        return await self._database.writing(
            lambda session: read_traffic(session, editors, runs, since, sample)
        )

    async def close_runs(self, now: dt.datetime, sample: int) -> int:
        if not await self._database.reading(has_open):
            return 0
        return await self._database.writing(lambda session: close_decided(session, now, sample))

    async def seen(self, item: str, revisions: Sequence[int]) -> set[int]:
        def work(session: Session) -> set[int]:
            rows = rows_by(
                session,
                lambda part: select(EditVerdictRow.revision).where(
                    EditVerdictRow.item == item, col(EditVerdictRow.revision).in_(part)
                ),
                revisions,
            )
            return set(rows)

        return await self._database.reading(work)

    async def record(self, outcome: ItemOutcome) -> None:
        now = self._clock.now()
        await self._database.writing(lambda session: record_outcome(session, outcome, now))
