"""The audit trail: every event chained to the one before it by hash.

Owns appending and checking. The chain is of all events of the database in their order, so one that
was altered, or taken out of the middle, shows. Works in the caller's transaction, and relies on
`Database.write` letting one writer in at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlmodel import Session, col, select

from daemon.store.rows import EventRow
from knowledge.narrative import digest_of

GENESIS = "0" * 64
_HEAD = "almanac.trail.head"


def append(session: Session, event: EventRow) -> EventRow:
    """Add the event, with its hash, to the session."""
    chain(session, [event])
    session.add(event)
    return event


def chain(session: Session, events: Sequence[EventRow]) -> None:
    """Give the events their hashes, as those that are written next, in their order."""
    head = session.info.get(_HEAD)
    if head is None:
        with session.no_autoflush:
            head = session.exec(
                select(EventRow.hash).order_by(col(EventRow.id).desc()).limit(1)
            ).first()
    for event in events:
        head = event.hash = hash_of(event, head or GENESIS)
    session.info[_HEAD] = head


def hash_of(event: EventRow, previous: str) -> str:
    """sha256 (hex) over what the event says and the hash of the one before."""
    return digest_of(
        {
            "previous": previous,
            "at": event.at.isoformat(),
            "entity": event.entity,
            "entity_id": event.entity_id,
            "from": event.from_state,
            "to": event.to_state,
            "actor": event.actor,
            "reason": event.reason,
            "data": event.data,
        }
    )


def broken_at(events: Iterable[EventRow], previous: str = GENESIS) -> int | None:
    """Id of the first event that does not fit the one before it; None when the chain is whole.

    `events` are all of them, in their order.
    """
    for event in events:
        if event.hash != hash_of(event, previous):
            return event.id
        previous = event.hash
    return None
