"""The watch's memory on the database: implements `agents.ledger.WatchLedger`.

Owns the watch list, cursors, dirty marks, bases, verdicts and dismissals; what candidates become is
in `daemon.store.candidates`. Does not classify.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import insert
from sqlmodel import Session, col, or_, select

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
from daemon.clock import Clock
from daemon.store.candidates import apply_candidate, read_candidate, withdraw_candidates
from daemon.store.engine import Database
from daemon.store.rows import (
    BaseRow,
    CandidateRow,
    CursorRow,
    DirtyRow,
    DismissalRow,
    EditVerdictRow,
    WatchItemRow,
)
from daemon.store.runs import close_decided, has_open, open_runs, read_traffic
from knowledge import codec

_CHUNK = 500
_FIRST_RETRY_S = 30.0
_LONGEST_RETRY_S = 3600.0
_DUE_SHARE = 4
"""One look in so many is kept for items whose time has come, however many others are marked."""
_LAGGING_LOOKS = 6
PARK_AFTER = 30
"""Failed looks (a day of them) before an item is a dead letter."""
"""Good answers older than the mark before the mark is dropped: the sweep finds what is real."""

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
            return _mark(session, marks, now)

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
            rows = _by(
                session, lambda part: select(BaseRow).where(col(BaseRow.item).in_(part)), items
            )
            return {r.item: Base(item=r.item, revision=r.revision, entity=r.entity) for r in rows}

        return await self._database.reading(work)

    async def settling(self, items: Sequence[str]) -> dict[str, list[Candidate]]:
        def work(session: Session) -> dict[str, list[Candidate]]:
            rows = _by(
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
            rows = _by(
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
        await self._database.writing(lambda session: _record(session, outcome, now))


def add_items(session: Session, items: Iterable[str], now: dt.datetime) -> int:
    """Put items on the watch list, dirty; the number that were not on it."""
    wanted = list(dict.fromkeys(items))
    rows = _by(
        session, lambda part: select(WatchItemRow).where(col(WatchItemRow.item).in_(part)), wanted
    )
    known = {row.item: row for row in rows}
    fresh = [item for item in wanted if item not in known]
    back = [r for r in known.values() if r.deleted or r.redirect_to is not None]
    for row in back:
        row.added_at, row.deleted, row.redirect_to = now, False, None
        row.looked_at = row.look_again_at = None
        session.add(row)
        session.merge(DirtyRow(item=row.item, revision=0, reason="added", marked_at=now))
    if fresh:  # a list may have tens of thousands: row by row that takes half a minute
        listed = {"added_at": now, "deleted": False}
        marked = {"revision": 0, "reason": "added", "marked_at": now, "attempts": 0}
        session.execute(insert(WatchItemRow), [{"item": i, **listed} for i in fresh])
        session.execute(insert(DirtyRow), [{"item": i, **marked} for i in fresh])
    return len(fresh) + len(back)


def remove_items(session: Session, items: Iterable[str], now: dt.datetime) -> int:
    """Take items off the watch list, with what still settled about them; the number removed."""
    removed = 0
    for item in dict.fromkeys(items):
        row = session.get(WatchItemRow, item)
        if row is None:
            continue
        withdraw_candidates(session, item, "the item was taken off the watch list", now)
        _forget(session, item)
        session.delete(row)
        removed += 1
    return removed


def _mark(session: Session, marks: Sequence[DirtyMark], now: dt.datetime) -> int:
    newly = 0
    for mark in marks:
        item = session.get(WatchItemRow, mark.item)
        if item is None or item.deleted or item.redirect_to is not None:
            continue
        base = session.get(BaseRow, mark.item)
        if base is not None and mark.revision <= base.revision:
            continue
        row = session.get(DirtyRow, mark.item)
        if row is None:
            session.add(
                DirtyRow(item=mark.item, revision=mark.revision, reason=mark.reason, marked_at=now)
            )
            newly += 1
        elif mark.revision > row.revision:
            row.revision, row.reason, row.not_before = mark.revision, mark.reason, None
            if row.parked:  # what is new may be well
                row.parked, row.attempts = False, 0
            session.add(row)
    return newly


def _record(session: Session, outcome: ItemOutcome, now: dt.datetime) -> None:
    if outcome.status == "unknown":
        _postpone(session, outcome.item, now, outcome.reason)
        return
    item = session.get(WatchItemRow, outcome.item)
    if item is None:
        return  # taken off the list while it was looked at
    item.looked_at, item.look_again_at = now, outcome.look_again_at
    session.add(item)
    for verdict in outcome.edits:
        session.merge(_verdict_row(verdict))
    for dismissal in outcome.dismissals:
        session.add(_dismissal_row(outcome.item, dismissal, now))
    open_runs(session, outcome.runs, now)
    for candidate in outcome.candidates:
        apply_candidate(session, outcome.item, candidate, now)
    if outcome.redirect_to is not None or outcome.deleted:
        _leave(session, item, outcome, now)
        return
    if outcome.base is not None:
        session.merge(
            BaseRow(
                item=outcome.item,
                revision=outcome.base.revision,
                entity=outcome.base.entity,
                accepted_at=now,
            )
        )
    _clean(session, outcome.item, now)


def _postpone(session: Session, item: str, now: dt.datetime, why: str) -> None:
    """Look again later: soon first, then less and less often, then not before somebody asks."""
    row = session.get(DirtyRow, item) or DirtyRow(
        item=item, revision=0, reason="due", marked_at=now
    )
    wait_s = min(_FIRST_RETRY_S * 2 ** min(row.attempts, 20), _LONGEST_RETRY_S)
    row.attempts += 1
    row.not_before = now + dt.timedelta(seconds=wait_s)
    row.why, row.parked = why, row.attempts >= PARK_AFTER
    session.add(row)


def _clean(session: Session, item: str, now: dt.datetime) -> None:
    row = session.get(DirtyRow, item)
    if row is None:
        return
    base = session.get(BaseRow, item)
    caught_up = row.revision <= (base.revision if base else 0)
    if caught_up or row.attempts >= _LAGGING_LOOKS:
        session.delete(row)
    elif row.attempts == 0:  # the mark came while the item was looked at: look again at once
        row.attempts, row.why = 1, "marked during the look"
        session.add(row)
    else:  # a lagging replica
        _postpone(session, item, now, "the answer was older than the mark")


def _leave(session: Session, item: WatchItemRow, outcome: ItemOutcome, now: dt.datetime) -> None:
    """The item was merged away or deleted: what settled about it is void."""
    if outcome.redirect_to is not None:
        reason = f"the item was merged into {outcome.redirect_to}"
        add_items(session, [outcome.redirect_to], now)
        _rekey(session, item.item, outcome.redirect_to, now)
    else:
        reason = "the item was deleted"
    withdraw_candidates(session, item.item, reason, now)
    _forget(session, item.item)
    item.redirect_to, item.deleted = outcome.redirect_to, outcome.deleted
    session.add(item)


def _rekey(session: Session, item: str, target: str, now: dt.datetime) -> None:
    """What was accepted of a merged item is what its target is compared with, if nothing is yet."""
    base = session.get(BaseRow, item)
    if base is not None and session.get(BaseRow, target) is None:
        session.add(
            BaseRow(item=target, revision=base.revision, entity=base.entity, accepted_at=now)
        )


def _forget(session: Session, item: str) -> None:
    for row in (session.get(DirtyRow, item), session.get(BaseRow, item)):
        if row is not None:
            session.delete(row)


def _verdict_row(verdict: EditVerdict) -> EditVerdictRow:
    return EditVerdictRow(
        item=verdict.item,
        revision=verdict.revision,
        time=verdict.time,
        user=verdict.user,
        kind=verdict.kind,
        kept=verdict.kept,
        reason=verdict.reason,
        property=verdict.property,
    )


def _dismissal_row(item: str, dismissal: Dismissal, now: dt.datetime) -> DismissalRow:
    return DismissalRow(
        item=item,
        key=dismissal.change.key,
        kind=dismissal.kind.value,
        reason=dismissal.reason,
        change=codec.to_data(dismissal.change),
        at=now,
    )


def _by(session: Session, query: Callable[[Sequence[Any]], Any], keys: Sequence[Any]) -> list[Any]:
    """Rows of a query over many keys, in portions that any database takes."""
    found: list[Any] = []
    for start in range(0, len(keys), _CHUNK):
        found.extend(session.exec(query(keys[start : start + _CHUNK])).all())
    return found
