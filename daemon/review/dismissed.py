"""What the watch put aside, with its reasons, and the way back for what it was wrong about.

Owns the list of dismissed differences and reopening: of a difference, which becomes a change, and
of a change that ended. What is reopened is drafted next, then waits in the queue like any other.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from daemon.clock import Clock
from daemon.errors import Conflict, NotFound
from daemon.review.items import get_change
from daemon.store.drafts import index_change
from daemon.store.engine import Database
from daemon.store.rows import ChangeRow, DismissalRow
from daemon.store.states import ChangeState, transition
from knowledge import codec
from knowledge.facts import FactChange

PAGE_SIZE = 50
_BACK = {
    ChangeState.DISMISSED: ChangeState.SETTLED,
    ChangeState.FAILED: ChangeState.SETTLED,
    ChangeState.REJECTED: ChangeState.IN_REVIEW,
}
OPEN = ("detected", "settling", "settled", "drafting", "in_review", "approved")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dismissal:
    """One difference that is not of the world, and why."""

    id: int
    fact: FactChange
    kind: str
    reason: str
    at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DismissalPage:
    """Newest first; `cursor` of the next ones, None at the end."""

    items: tuple[Dismissal, ...]
    cursor: int | None


class Dismissed:
    """Blocking calls."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(
        self, *, kind: str = "", before: int | None = None, limit: int = PAGE_SIZE
    ) -> DismissalPage:
        limit = max(1, min(limit, 200))
        statement = select(DismissalRow).order_by(col(DismissalRow.id).desc()).limit(limit + 1)
        if kind:
            statement = statement.where(DismissalRow.kind == kind)
        if before is not None:
            statement = statement.where(col(DismissalRow.id) < before)
        with self._database.read() as session:
            rows = session.exec(statement).all()
        items = tuple(_dismissal(row) for row in rows[:limit])
        return DismissalPage(items=items, cursor=items[-1].id if len(rows) > limit else None)

    def counts(self) -> dict[str, int]:
        """By kind, the most frequent first."""
        with self._database.read() as session:
            rows = session.exec(
                select(DismissalRow.kind, func.count())
                .group_by(col(DismissalRow.kind))
                .order_by(func.count().desc(), col(DismissalRow.kind))
            ).all()
        return dict(rows)

    def reopen(self, dismissal_id: int, *, actor: str, reason: str = "") -> int:
        """Make a change of a dismissed difference; its id.

        Raises NotFound, and Conflict when the same change is on its way or has no new value.
        """
        now = self._clock.now()
        with self._database.write() as session:
            row = session.get(DismissalRow, dismissal_id) if 0 < dismissal_id < 2**31 else None
            if row is None:
                raise NotFound(f"there is no dismissed difference {dismissal_id}")
            fact = codec.from_data(FactChange, row.change)
            _refuse_second(session, fact.key)
            change = ChangeRow(
                key=fact.key,
                slot=fact.slot,
                subject=fact.subject.id,
                property=fact.property,
                state=ChangeState.DISMISSED.value,
                fact=row.change,
                reason=row.reason,
                created_at=now,
                updated_at=now,
            )
            session.add(change)
            session.flush()
            assert change.id is not None
            index_change(session, change, fact)
            told = f"reopened: {reason}" if reason.strip() else "reopened"
            transition(
                session,
                change,
                ChangeState.SETTLED,
                actor=actor,
                reason=f"{told} (was {row.kind}: {row.reason})",
                now=now,
                data={"dismissal": dismissal_id},
            )
            return change.id

    def reopen_change(self, change_id: int, *, actor: str, reason: str = "") -> None:
        """Take up a change that was dismissed, rejected or failed. Raises Conflict for others."""
        now = self._clock.now()
        with self._database.write() as session:
            row = get_change(session, change_id)
            to = _BACK.get(ChangeState(row.state))
            if to is None:
                raise Conflict(
                    f"change {change_id} is {row.state}; only what was dismissed, rejected or "
                    "failed can be reopened"
                )
            _refuse_second(session, row.key)
            told = f"reopened: {reason}" if reason.strip() else "reopened"
            transition(session, row, to, actor=actor, reason=told, now=now)
            row.failures, row.not_before = 0, None
            row.decided_by = row.decided_at = None


def _refuse_second(session: Session, key: str) -> None:
    """At most one change of a key is on its way."""
    there = session.exec(
        select(ChangeRow.id, ChangeRow.state).where(
            ChangeRow.key == key, col(ChangeRow.state).in_(OPEN)
        )
    ).first()
    if there is not None:
        raise Conflict(f"the same change is already {there[1]} as change {there[0]}")


def _dismissal(row: DismissalRow) -> Dismissal:
    assert row.id is not None
    return Dismissal(
        id=row.id,
        fact=codec.from_data(FactChange, row.change),
        kind=row.kind,
        reason=row.reason,
        at=row.at,
    )
