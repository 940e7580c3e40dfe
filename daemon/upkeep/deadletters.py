"""Dead letters: what failed too often and was parked, so that the rest flows.

Owns the one list over changes, items, releases and messages, and trying one again. Parking itself
is done where the failures are counted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from daemon.clock import Clock
from daemon.errors import Conflict, NotFound
from daemon.store.engine import Database
from daemon.store.rows import ChangeRow, DirtyRow, NotificationRow, ReleaseRow
from daemon.store.states import ChangeState, ReleaseState, record_event, transition

KINDS = ("change", "item", "release", "message")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Something parked: `change 12`, `item Q42`, ..."""

    kind: str
    id: str
    failures: int
    reason: str
    since: dt.datetime


class DeadLetters:
    """Blocking calls."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def list(self, limit: int = 500) -> list[DeadLetter]:
        """What is parked, by kind, oldest first."""
        with self._database.read() as session:
            found = [*_changes(session, limit), *_items(session, limit)]
            return found + _releases(session, limit) + _messages(session, limit)

    def counts(self) -> dict[str, float]:
        """How many are parked, by kind."""
        parked = {
            "change": (ChangeRow, ChangeRow.state == ChangeState.FAILED),
            "item": (DirtyRow, col(DirtyRow.parked).is_(True)),
            "release": (ReleaseRow, ReleaseRow.state == ReleaseState.FAILED),
            "message": (NotificationRow, col(NotificationRow.parked).is_(True)),
        }
        with self._database.read() as session:
            return {
                kind: float(
                    session.exec(select(func.count()).select_from(table).where(where)).one()
                )
                for kind, (table, where) in parked.items()
            }

    def retry(self, kind: str, id: str, *, actor: str, reason: str = "") -> None:
        """Try a parked one again, with a fresh count. Raises NotFound, Conflict."""
        now = self._clock.now()
        with self._database.write() as session:
            match kind:
                case "change":
                    self._retry_change(session, id, actor, reason, now)
                case "item":
                    row = session.get(DirtyRow, id)
                    if row is None or not row.parked:
                        raise NotFound(
                            f"item {id} is not parked; `almanac dead list` shows what is"
                        )
                    row.parked, row.attempts, row.not_before = False, 0, None
                    session.add(row)
                case "message":
                    message = session.get(NotificationRow, _number(id))
                    if message is None or not message.parked:
                        raise NotFound(
                            f"message {id} is not parked; `almanac dead list` shows what is"
                        )
                    message.parked, message.attempts, message.not_before = False, 0, None
                    session.add(message)
                case "release":
                    raise Conflict(
                        f"a failed release is not tried again as it is: `almanac release discard "
                        f"{id}` gives its edits back, and the next release takes them"
                    )
                case _:
                    raise NotFound(f"there are no dead {kind!r}; kinds are {', '.join(KINDS)}")
            text = f"tried again: {reason}" if reason else "tried again"
            if kind != "change":
                record_event(session, kind, id, actor=actor, reason=text, now=now)

    def _retry_change(
        self, session: Session, id: str, actor: str, reason: str, now: dt.datetime
    ) -> None:
        row = session.get(ChangeRow, _number(id))
        if row is None or row.state != ChangeState.FAILED:
            raise NotFound(f"change {id} is not parked; `almanac dead list` shows what is")
        row.failures, row.not_before = 0, None
        text = f"tried again: {reason}" if reason else "tried again"
        transition(session, row, ChangeState.SETTLED, actor=actor, reason=text, now=now)


def _number(text: str) -> int:
    if not text.isdigit():
        raise NotFound(f"{text!r} is no number of a dead letter; `almanac dead list` shows them")
    return int(text)


def _changes(session: Session, limit: int) -> Sequence[DeadLetter]:
    rows = session.exec(
        select(ChangeRow)
        .where(ChangeRow.state == ChangeState.FAILED)
        .order_by(col(ChangeRow.id))
        .limit(limit)
    ).all()
    return [
        DeadLetter(
            kind="change", id=str(r.id), failures=r.failures, reason=r.reason, since=r.updated_at
        )
        for r in rows
    ]


def _items(session: Session, limit: int) -> Sequence[DeadLetter]:
    rows = session.exec(
        select(DirtyRow)
        .where(col(DirtyRow.parked).is_(True))
        .order_by(col(DirtyRow.marked_at))
        .limit(limit)
    ).all()
    return [
        DeadLetter(kind="item", id=r.item, failures=r.attempts, reason=r.why, since=r.marked_at)
        for r in rows
    ]


def _releases(session: Session, limit: int) -> list[DeadLetter]:
    rows = session.exec(
        select(ReleaseRow)
        .where(ReleaseRow.state == ReleaseState.FAILED)
        .order_by(col(ReleaseRow.id))
        .limit(limit)
    ).all()
    return [
        DeadLetter(
            kind="release", id=str(r.id), failures=r.failures, reason=r.reason, since=r.updated_at
        )
        for r in rows
    ]


def _messages(session: Session, limit: int) -> list[DeadLetter]:
    rows = session.exec(
        select(NotificationRow)
        .where(col(NotificationRow.parked).is_(True))
        .order_by(col(NotificationRow.id))
        .limit(limit)
    ).all()
    return [
        DeadLetter(
            kind="message",
            id=str(r.id),
            failures=r.attempts,
            reason=f"{r.channel}: {r.why}",
            since=r.created_at,
        )
        for r in rows
    ]
