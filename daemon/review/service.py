"""Decisions about proposals: list, show, claim, approve, reject, undo.

Owns the rules of deciding: an approval names the digest of the draft that was read, a claimed item
is decided by its claimant, a decision can be undone until the edit is frozen. Every call that
writes is one transaction with its event. Used by web, API, command line and controllers alike.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, func, select

from agents.ledger import CandidateState
from daemon.clock import Clock
from daemon.errors import Conflict, NotFound
from daemon.store.engine import Database
from daemon.store.evidence import evidence_of
from daemon.store.rows import CandidateRow, ChangeRow, DraftRow, EventRow
from daemon.store.states import ChangeState, record_event, transition
from knowledge import codec
from knowledge.edits import EditUnit
from knowledge.facts import FactChange
from knowledge.narrative import Evidence

_QUEUE = (ChangeState.IN_REVIEW,)
_UNDOABLE = (ChangeState.APPROVED, ChangeState.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of the queue. An approval must name `digest`; None before the first draft."""

    id: int
    state: ChangeState
    fact: FactChange
    reason: str
    digest: str | None
    version: int
    clean: bool
    retracts: int | None
    claimed_by: str | None
    decided_by: str | None
    updated_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One event of an entity."""

    at: dt.datetime
    from_state: str | None
    to_state: str | None
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """All that a reviewer sees of one change."""

    item: Item
    unit: EditUnit | None
    findings: tuple[dict[str, Any], ...]
    lineage: dict[str, Any]
    evidence: tuple[Evidence, ...]
    audit: tuple[AuditLine, ...]


class ReviewService:
    """Blocking calls; the event loop uses them through a thread."""

    def __init__(self, database: Database, clock: Clock, *, lease_s: float = 600.0) -> None:
        self._database = database
        self._clock = clock
        self._lease_s = lease_s

    def list(self, states: Sequence[ChangeState] = _QUEUE, limit: int | None = None) -> list[Item]:
        """Changes in these states, oldest first; all of them unless `limit` says how many."""
        with self._database.read() as session:
            rows = session.exec(
                select(ChangeRow)
                .where(col(ChangeRow.state).in_([s.value for s in states]))
                .order_by(col(ChangeRow.id))
                .limit(limit)
            ).all()
            drafts = _latest_drafts(session, [row.id for row in rows if row.id])
            return [self._item(row, drafts.get(row.id or 0)) for row in rows]

    def counts(self) -> dict[str, int]:
        """Number of changes by state, of all states that occur."""
        with self._database.read() as session:
            rows = session.exec(
                select(ChangeRow.state, func.count()).group_by(col(ChangeRow.state))
            ).all()
            return {str(state): count for state, count in rows}

    def show(self, change_id: int) -> Detail:
        """Raises NotFound."""
        with self._database.read() as session:
            row = _change(session, change_id)
            draft = _latest_drafts(session, [change_id]).get(change_id)
            events = session.exec(
                select(EventRow)
                .where(EventRow.entity == "change", EventRow.entity_id == str(change_id))
                .order_by(col(EventRow.id))
            ).all()
            return Detail(
                item=self._item(row, draft),
                unit=codec.from_data(EditUnit, draft.unit) if draft else None,
                findings=tuple(draft.findings) if draft else (),
                lineage=draft.lineage if draft else {},
                evidence=tuple(evidence_of(session, draft.evidence)) if draft else (),
                audit=tuple(
                    AuditLine(
                        at=e.at,
                        from_state=e.from_state,
                        to_state=e.to_state,
                        actor=e.actor,
                        reason=e.reason,
                    )
                    for e in events
                ),
            )

    def contested(self, slot: str) -> bool:
        """Whether another difference of the same fact still settles."""
        with self._database.read() as session:
            row = session.exec(
                select(CandidateRow.key).where(
                    CandidateRow.slot == slot, CandidateRow.state == CandidateState.SETTLING
                )
            ).first()
            return row is not None

    def claim(self, change_id: int, *, actor: str) -> dt.datetime:
        """Take an item for a while, or renew the claim. Raises Conflict when it is another's."""
        with self._database.write() as session:
            row = self._in_queue(session, change_id, actor)
            until = self._clock.now() + dt.timedelta(seconds=self._lease_s)
            if row.claimed_by != actor:
                record_event(
                    session,
                    "change",
                    change_id,
                    actor=actor,
                    reason=f"claimed until {until:%H:%M} UTC",
                    now=self._clock.now(),
                )
            row.claimed_by, row.claimed_until = actor, until
            session.add(row)
            return until

    def approve(self, change_id: int, digest: str, *, actor: str, reason: str = "") -> None:
        """Approve the draft with this digest (a prefix of at least 8 characters will do).

        Raises Conflict when the draft has changed since, or another holds or decided the item.
        """
        with self._database.write() as session:
            row = self._in_queue(session, change_id, actor)
            draft = _latest_drafts(session, [change_id])[change_id]
            if not draft.unit["narrative"]:
                raise Conflict(
                    f"change {change_id} has no narrative, so there is nothing to teach; "
                    "its findings say why. Reject it"
                )
            if len(digest) < 8 or not draft.digest.startswith(digest):
                raise Conflict(
                    f"change {change_id} is now at draft {draft.digest[:12]} (version "
                    f"{draft.version}), not {digest[:12]}; read it again, then decide"
                )
            row.approved_digest = draft.digest
            self._decide(session, row, ChangeState.APPROVED, actor, reason or "approved")

    def reject(self, change_id: int, *, actor: str, reason: str) -> None:
        """Raises Conflict as `approve`, and without a reason."""
        if not reason.strip():
            raise Conflict("a rejection needs a reason; say what is wrong with the proposal")
        with self._database.write() as session:
            row = self._in_queue(session, change_id, actor)
            self._decide(session, row, ChangeState.REJECTED, actor, reason)

    def undo(self, change_id: int, *, actor: str, reason: str = "undone") -> None:
        """Put a decided item back into the queue. Raises Conflict once it is frozen."""
        with self._database.write() as session:
            row = _change(session, change_id)
            if row.state not in _UNDOABLE:
                raise Conflict(
                    f"change {change_id} is {row.state}; a decision can be undone only until "
                    "the edit is frozen into a release"
                )
            transition(
                session,
                row,
                ChangeState.IN_REVIEW,
                actor=actor,
                reason=reason,
                now=self._clock.now(),
            )
            row.approved_digest = row.decided_by = row.decided_at = None

    def policy_passed_over(self, change_id: int, mark: str, *, actor: str, reason: str) -> None:
        """Note why the auto-approve policy left an item to a person, once for each `mark`."""
        with self._database.write() as session:
            row = _change(session, change_id)
            if row.policy_seen != mark:
                row.policy_seen = mark
                session.add(row)
                record_event(
                    session, "change", change_id, actor=actor, reason=reason, now=self._clock.now()
                )

    def unseen_by_policy(self, mark_of: str) -> list[tuple[int, str, EditUnit, bool]]:
        """Queue items whose current draft the policy `mark_of` has not looked at: (change id, draft
        digest, unit, clean)."""
        with self._database.read() as session:
            rows = session.exec(
                select(ChangeRow).where(ChangeRow.state == ChangeState.IN_REVIEW)
            ).all()
            drafts = _latest_drafts(session, [row.id for row in rows if row.id])
            return [
                (row.id, draft.digest, codec.from_data(EditUnit, draft.unit), draft.clean)
                for row in rows
                if row.id and (draft := drafts[row.id]) and not self._claim_of(row)
                if row.policy_seen != f"{mark_of}:{draft.digest}"
            ]

    def _decide(
        self, session: Session, row: ChangeRow, to: ChangeState, actor: str, reason: str
    ) -> None:
        now = self._clock.now()
        transition(session, row, to, actor=actor, reason=reason, now=now)
        row.decided_by, row.decided_at = actor, now
        row.claimed_by = row.claimed_until = None

    def _in_queue(self, session: Session, change_id: int, actor: str) -> ChangeRow:
        row = _change(session, change_id)
        if row.state != ChangeState.IN_REVIEW:
            by = f" by {row.decided_by}" if row.decided_by else ""
            raise Conflict(f"change {change_id} is not in review: it is {row.state}{by}")
        holder = self._claim_of(row)
        if holder is not None and holder != actor:
            raise Conflict(
                f"change {change_id} is claimed by {holder} until {row.claimed_until:%H:%M} UTC; "
                "take another one or wait"
            )
        return row

    def _claim_of(self, row: ChangeRow) -> str | None:
        if row.claimed_until is None or row.claimed_until <= self._clock.now():
            return None
        return row.claimed_by

    def _item(self, row: ChangeRow, draft: DraftRow | None) -> Item:
        assert row.id is not None
        return Item(
            id=row.id,
            state=ChangeState(row.state),
            fact=codec.from_data(FactChange, row.fact),
            reason=row.reason,
            digest=draft.digest if draft else None,
            version=draft.version if draft else 0,
            clean=draft.clean if draft else False,
            retracts=row.retracts,
            claimed_by=self._claim_of(row),
            decided_by=row.decided_by,
            updated_at=row.updated_at,
        )


def _change(session: Session, change_id: int) -> ChangeRow:
    row = session.get(ChangeRow, change_id)
    if row is None:
        raise NotFound(f"there is no change {change_id}; `almanac review list` shows the queue")
    return row


def _latest_drafts(session: Session, change_ids: Sequence[int]) -> dict[int, DraftRow]:
    """The newest draft of each change that has one."""
    found: dict[int, DraftRow] = {}
    for start in range(0, len(change_ids), 500):
        rows = session.exec(
            select(DraftRow)
            .where(col(DraftRow.change_id).in_(change_ids[start : start + 500]))
            .order_by(col(DraftRow.version))
        )
        found.update({row.change_id: row for row in rows})
    return found
