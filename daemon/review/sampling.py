"""A second look at a sample of what was approved, and how far reviewers agree.

Owns the draw (by the draft's digest, so that nobody chooses), the answers and the agreement.
Whoever approved a change does not answer for it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from daemon.clock import Clock
from daemon.errors import Conflict, NotFound
from daemon.review.items import get_change
from daemon.store.engine import Database
from daemon.store.rows import RereviewRow
from daemon.store.states import ChangeState, record_event, transition


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLook:
    """One change that was drawn. `agrees` None: nobody has looked yet."""

    change: int
    approved_by: str
    drawn_at: dt.datetime
    agrees: bool | None
    actor: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Of one reviewer's approvals that others looked at again: how many they agreed with."""

    reviewer: str
    agreed: int
    of: int


def draw(
    session: Session, change_id: int, digest: str, actor: str, share: float, now: dt.datetime
) -> bool:
    """Put an approval on the list when its digest falls into the share; whether it did."""
    if int(digest[:8], 16) >= share * 2**32:
        return False
    session.merge(
        RereviewRow(change_id=change_id, digest=digest, approved_by=actor, drawn_at=now, reason="")
    )
    return True


def forget(session: Session, change_id: int) -> None:
    """An approval was taken back: nobody need look at it."""
    row = session.get(RereviewRow, change_id)
    if row is not None and row.agrees is None:
        session.delete(row)


class Sampling:
    """The list of second looks. Blocking calls."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def waiting(self, limit: int = 200) -> list[SecondLook]:
        """Those that nobody has answered, oldest first."""
        with self._database.read() as session:
            rows = session.exec(
                select(RereviewRow)
                .where(col(RereviewRow.agrees).is_(None))
                .order_by(col(RereviewRow.drawn_at), col(RereviewRow.change_id))
                .limit(limit)
            ).all()
            return [_look(row) for row in rows]

    def of(self, change_id: int) -> SecondLook | None:
        with self._database.read() as session:
            row = session.get(RereviewRow, change_id)
            return _look(row) if row else None

    def answer(self, change_id: int, *, agrees: bool, actor: str, reason: str = "") -> None:
        """Say whether the approval was right. A disagreement puts an edit that is not frozen back
        into the queue. Raises Conflict for one's own approval, NotFound for what was not drawn."""
        now = self._clock.now()
        with self._database.write() as session:
            row = session.get(RereviewRow, change_id)
            if row is None:
                raise NotFound(f"change {change_id} was not drawn for a second look")
            if row.agrees is not None:
                raise Conflict(f"{row.actor} has looked at change {change_id} already")
            if actor == row.approved_by:
                raise Conflict("you approved this change; a second look is somebody else's")
            if not agrees and not reason.strip():
                raise Conflict("say what is wrong with the approval")
            row.agrees, row.actor, row.reason, row.answered_at = agrees, actor, reason, now
            session.add(row)
            told = f"second look: {'agrees' if agrees else 'disagrees: ' + reason}"
            record_event(session, "change", change_id, actor=actor, reason=told, now=now)
            change = get_change(session, change_id)
            if not agrees and change.state == ChangeState.APPROVED:
                transition(
                    session, change, ChangeState.IN_REVIEW, actor=actor, reason=told, now=now
                )
                change.approved_digest = change.decided_by = change.decided_at = None

    def agreement(self) -> list[Agreement]:
        """By reviewer, those with the most second looks first."""
        with self._database.read() as session:
            rows = session.exec(
                select(RereviewRow.approved_by, RereviewRow.agrees).where(
                    col(RereviewRow.agrees).is_not(None)
                )
            ).all()
        return _agreement([(name, bool(agrees)) for name, agrees in rows])


def _agreement(answers: Sequence[tuple[str, bool]]) -> list[Agreement]:
    names = sorted({name for name, _ in answers})
    found = [
        Agreement(
            reviewer=name,
            agreed=sum(agrees for who, agrees in answers if who == name),
            of=sum(who == name for who, _ in answers),
        )
        for name in names
    ]
    return sorted(found, key=lambda one: (-one.of, one.reviewer))


def _look(row: RereviewRow) -> SecondLook:
    return SecondLook(
        change=row.change_id,
        approved_by=row.approved_by,
        drawn_at=row.drawn_at,
        agrees=row.agrees,
        actor=row.actor,
        reason=row.reason,
    )
