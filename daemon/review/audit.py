"""The audit trail for people: pages of events, export, and whether its chain is whole.

Owns reading. Nothing here writes: events are written with what they tell about.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, func, select

from daemon.store import trail
from daemon.store.engine import Database
from daemon.store.rows import EventRow

PAGE_SIZE = 100
_BATCH = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One act, with the hash that chains it to the one before."""

    id: int
    at: dt.datetime
    entity: str
    entity_id: str
    from_state: str | None
    to_state: str | None
    actor: str
    reason: str
    data: Mapping[str, Any]
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Newest first; `cursor` of the next ones, None at the end."""

    items: tuple[Event, ...]
    cursor: int | None


class Audit:
    """Blocking reads of the trail."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self,
        *,
        actor: str = "",
        entity: str = "",
        entity_id: str = "",
        people: bool = False,
        before: int | None = None,
        limit: int = PAGE_SIZE,
    ) -> EventPage:
        """`people` leaves out what Almanac's own stages did."""
        limit = max(1, min(limit, 500))
        statement = select(EventRow).order_by(col(EventRow.id).desc()).limit(limit + 1)
        if actor:
            statement = statement.where(EventRow.actor == actor)
        if entity:
            statement = statement.where(EventRow.entity == entity)
        if entity_id:
            statement = statement.where(EventRow.entity_id == entity_id)
        if people:
            statement = statement.where(col(EventRow.actor).not_in(STAGES))
        if before is not None:
            statement = statement.where(col(EventRow.id) < before)
        with self._database.read() as session:
            rows = session.exec(statement).all()
        items = tuple(_event(row) for row in rows[:limit])
        return EventPage(items=items, cursor=items[-1].id if len(rows) > limit else None)

    def head(self) -> int:
        """Id of the newest event; 0 before the first."""
        with self._database.read() as session:
            return session.exec(select(func.max(EventRow.id))).one() or 0

    def broken_at(self) -> int | None:
        """The first event that does not fit the one before it; None when the chain is whole."""
        previous = trail.GENESIS
        for rows in self._batches():
            broken = trail.broken_at(rows, previous)
            if broken is not None:
                return broken
            previous = rows[-1].hash
        return None

    def export(self) -> Iterator[Event]:
        """Every event, oldest first."""
        for rows in self._batches():
            yield from (_event(row) for row in rows)

    def _batches(self) -> Iterator[list[EventRow]]:
        last = 0
        while True:
            with self._database.read() as session:
                rows = session.exec(
                    select(EventRow)
                    .where(col(EventRow.id) > last)
                    .order_by(col(EventRow.id))
                    .limit(_BATCH)
                ).all()
            if not rows:
                return
            yield list(rows)
            last = rows[-1].id or 0


STAGES = ("watch", "curate", "release", "train", "evaluate", "promote", "registry", "evaluator")
"""Actors that are no people."""


def _event(row: EventRow) -> Event:
    assert row.id is not None
    return Event(
        id=row.id,
        at=row.at,
        entity=row.entity,
        entity_id=row.entity_id,
        from_state=row.from_state,
        to_state=row.to_state,
        actor=row.actor,
        reason=row.reason,
        data=row.data,
        hash=row.hash,
    )
