"""A dry run of an auto-approve policy: what it would have done, and where people said otherwise.

Owns the comparison with the decisions of people. Approves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, col, select

from daemon.review.items import latest_draft
from daemon.review.policy import Policy, decide
from daemon.store.engine import Database
from daemon.store.rows import ChangeRow, DraftRow
from daemon.store.states import ChangeState
from knowledge import codec
from knowledge.edits import EditUnit

_APPROVED = (
    ChangeState.APPROVED,
    ChangeState.BATCHED,
    ChangeState.LIVE,
    ChangeState.RETRACTED,
)
_DECIDED = (*_APPROVED, ChangeState.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Of `decided` changes that people decided, the policy would have approved `approved`, and
    `disagreements` of those (change ids) people had rejected. Of `waiting` in the queue it would
    approve `would_approve`."""

    policy: str
    decided: int
    approved: int
    disagreements: tuple[int, ...]
    waiting: int
    would_approve: int

    @property
    def text(self) -> str:
        return (
            f"would have approved {self.approved} of {self.decided} that people decided, disagrees "
            f"with them on {len(self.disagreements)}; would approve {self.would_approve} of "
            f"{self.waiting} that wait"
        )


def try_policy(database: Database, policy: Policy, *, at_most: int = 500) -> Trial:
    """Put the latest decisions of people, and the head of the queue, before the policy."""
    with database.read() as session:
        decided = [
            (row, draft)
            for row in _rows(session, _DECIDED, at_most)
            if row.decided_by and not row.decided_by.startswith("policy:")
            if (draft := _decided_draft(session, row)) is not None
        ]
        waiting = [
            draft
            for row in _rows(session, (ChangeState.IN_REVIEW,), at_most)
            if (draft := latest_draft(session, row.id or 0)) is not None
        ]
    passed = [row for row, draft in decided if _passes(policy, draft)]
    return Trial(
        policy=policy.name,
        decided=len(decided),
        approved=len(passed),
        disagreements=tuple(r.id or 0 for r in passed if r.state == ChangeState.REJECTED),
        waiting=len(waiting),
        would_approve=sum(_passes(policy, draft) for draft in waiting),
    )


def _rows(session: Session, states: tuple[ChangeState, ...], limit: int) -> list[ChangeRow]:
    return list(
        session.exec(
            select(ChangeRow)
            .where(col(ChangeRow.state).in_([s.value for s in states]))
            .order_by(col(ChangeRow.id).desc())
            .limit(limit)
        ).all()
    )


def _decided_draft(session: Session, row: ChangeRow) -> DraftRow | None:
    """The draft that was approved, else the last one."""
    if row.approved_digest:
        return session.exec(
            select(DraftRow).where(
                DraftRow.change_id == row.id, DraftRow.digest == row.approved_digest
            )
        ).first()
    return latest_draft(session, row.id or 0)


def _passes(policy: Policy, draft: DraftRow) -> bool:
    unit = codec.from_data(EditUnit, draft.unit)
    return decide(policy, unit, clean=draft.clean, contested=False).approve
