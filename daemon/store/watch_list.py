"""The watch list and its dirty marks, in the caller's transaction.

Owns putting items on the list and taking them off, and which marks count. What a look leaves behind
is `daemon.store.outcomes`'s.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, col, select

from agents.ledger import DirtyMark
from daemon.store.candidates import revive_proposals, withdraw_candidates
from daemon.store.rows import BaseRow, DirtyRow, WatchItemRow

_CHUNK = 500


def add_items(session: Session, items: Iterable[str], now: dt.datetime) -> int:
    """Put items on the watch list, dirty; the number that were not on it. One that was merged or
    deleted goes on from its base."""
    wanted = list(dict.fromkeys(items))
    rows = rows_by(
        session, lambda part: select(WatchItemRow).where(col(WatchItemRow.item).in_(part)), wanted
    )
    known = {row.item: row for row in rows}
    fresh = [item for item in wanted if item not in known]
    back = [r for r in known.values() if r.deleted or r.redirect_to is not None]
    for row in back:
        if row.deleted:
            revive_proposals(session, row.item, now)
        row.added_at, row.deleted, row.redirect_to = now, False, None
        row.looked_at = row.look_again_at = row.gone_since = None
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
        row = session.get(WatchItemRow, item, with_for_update=True)
        if row is None:
            continue
        withdraw_candidates(session, item, "the item was taken off the watch list", now)
        forget(session, item)
        session.delete(row)
        removed += 1
    return removed


def mark_items(session: Session, marks: Sequence[DirtyMark], now: dt.datetime) -> int:
    """Mark what is watched and newer than its base; the number newly dirty."""
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
            row.revision, row.reason = mark.revision, mark.reason
            if row.attempts or item.gone_since:  # else it is being edited, and waits for its rest
                row.not_before = None
            if row.parked:  # what is new may be well
                row.parked, row.attempts = False, 0
            session.add(row)
    return newly


def forget(session: Session, item: str) -> None:
    """Drop what is known of an item and that it may have changed."""
    for row in (session.get(DirtyRow, item), session.get(BaseRow, item)):
        if row is not None:
            session.delete(row)


def rows_by(
    session: Session, query: Callable[[Sequence[Any]], Any], keys: Sequence[Any]
) -> list[Any]:
    """Rows of a query over many keys, in portions that any database takes."""
    found: list[Any] = []
    for start in range(0, len(keys), _CHUNK):
        found.extend(session.exec(query(keys[start : start + _CHUNK])).all())
    return found
