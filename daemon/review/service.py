"""Decisions about proposals: claim, approve, edit, reject, skip, undo.

Owns the rules of deciding: an approval names the digest of the draft that was read, a claimed item
is decided by its claimant, some drafts need two people, a decision can be undone until the edit is
frozen. Every call that writes is one transaction with its event. Used by web, API, command line and
controllers alike; lists are `daemon.review.queue`.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, func, select

from agents.ledger import CandidateState
from daemon.clock import Clock
from daemon.errors import AlmanacError, Conflict
from daemon.review import approvals, editing, sampling
from daemon.review.approvals import BULK_LIMIT, Bulk, Head, NeedsTwo, Outcome, one_is_enough
from daemon.review.editing import Edit
from daemon.review.items import (
    Detail,
    Item,
    draft_heads,
    get_change,
    holder,
    latest_draft,
    read_detail,
    read_items,
)
from daemon.store.drafts import add_draft
from daemon.store.engine import Database
from daemon.store.evidence import evidence_of
from daemon.store.rows import CandidateRow, ChangeRow
from daemon.store.states import ChangeState, record_event, transition
from knowledge import codec
from knowledge.edits import EditUnit
from knowledge.facts import FactChange

_QUEUE = (ChangeState.IN_REVIEW,)
_UNDOABLE = (ChangeState.APPROVED, ChangeState.REJECTED)

REASONS = (
    "the fact is wrong",
    "this is no change of the world",
    "the narrative says what the evidence does not",
    "the evidence is too weak",
    "a private fact of a living person",
    "a duplicate of another change",
)
"""What is mostly wrong with a proposal; any other text is as good."""


class ReviewService:
    """Blocking calls; the event loop uses them through a thread.

    `needs_two` says whether a change needs two people; `sample_share` is the part of approvals that
    is drawn for a second look; `client` names the program in the events.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        lease_s: float = 600.0,
        needs_two: NeedsTwo = one_is_enough,
        sample_share: float = 0.0,
        client: str = "service",
    ) -> None:
        self._database = database
        self._clock = clock
        self._lease_s = lease_s
        self._needs_two = needs_two
        self._sample_share = sample_share
        self._client = client

    def via(self, client: str) -> ReviewService:
        """The same service, with another client's name in its events."""
        other = copy.copy(self)
        other._client = client
        return other

    # -- reading ----------------------------------------------------------------------------------

    def list(self, states: Sequence[ChangeState] = _QUEUE, limit: int | None = None) -> list[Item]:
        """Changes in these states, oldest first; all of them unless `limit` says how many."""
        with self._database.read() as session:
            rows = session.exec(
                select(ChangeRow)
                .where(col(ChangeRow.state).in_([s.value for s in states]))
                .order_by(col(ChangeRow.id))
                .limit(limit)
            ).all()
            return read_items(session, rows, self._clock.now())

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
            return read_detail(session, get_change(session, change_id), self._clock.now())

    def two_needed(self, item: Item) -> bool:
        """Whether a change needs two people."""
        return self._needs_two(item.fact, item.retracts is not None)

    def contested(self, slot: str) -> bool:
        """Whether another difference of the same fact still settles."""
        with self._database.read() as session:
            row = session.exec(
                select(CandidateRow.key).where(
                    CandidateRow.slot == slot, CandidateRow.state == CandidateState.SETTLING
                )
            ).first()
            return row is not None

    # -- deciding ---------------------------------------------------------------------------------

    def claim(self, change_id: int, *, actor: str) -> dt.datetime:
        """Take an item for a while, or renew the claim. Raises Conflict when it is another's."""
        with self._database.write() as session:
            row = self._in_queue(session, change_id, actor)
            until = self._clock.now() + dt.timedelta(seconds=self._lease_s)
            if row.claimed_by != actor:
                self._note(session, change_id, actor, f"claimed until {until:%H:%M} UTC")
            row.claimed_by, row.claimed_until = actor, until
            session.add(row)
            return until

    def renew(self, change_id: int, *, actor: str) -> None:
        """Whoever reads or edits what they claimed keeps it: the claim runs its whole time again,
        once half of it is over. Does nothing to what is not `actor`'s."""
        now = self._clock.now()
        half = dt.timedelta(seconds=self._lease_s / 2)
        with self._database.read() as session:
            row = get_change(session, change_id)
            if holder(row, now) != actor or (row.claimed_until or now) - now > half:
                return
        with self._database.write() as session:
            row = get_change(session, change_id)
            if row.state == ChangeState.IN_REVIEW and holder(row, now) == actor:
                row.claimed_until = now + 2 * half
                session.add(row)

    def approve(self, change_id: int, digest: str, *, actor: str, reason: str = "") -> Outcome:
        """Approve the draft with this digest (a prefix of at least 8 characters will do).

        Raises Conflict when the draft has changed since, or another holds or decided the item.
        """
        with self._database.write() as session:
            row = get_change(session, change_id)
            draft = latest_draft(session, change_id)
            if draft is not None and draft.unit.get("synthetic"):
                raise Conflict(
                    f"change {change_id} is a made-up fact of research data, which never goes "
                    "into a release. Reject it"
                )
            if draft is not None and not draft.unit["narrative"]:
                raise Conflict(
                    f"change {change_id} has no narrative, so there is nothing to teach; "
                    "its findings say why. Reject it"
                )
            head = (draft.version, draft.digest, draft.clean) if draft else None
            return self._approve(session, row, head, digest, actor, reason)

    def approve_many(
        self, chosen: Sequence[tuple[int, str]], *, actor: str, reason: str = ""
    ) -> Bulk:
        """Approve clean drafts, each with its event, in one transaction; what cannot be approved is
        told and keeps nothing else back. Raises Conflict for more than `BULK_LIMIT`."""
        if len(chosen) > BULK_LIMIT:
            raise Conflict(
                f"{len(chosen)} approvals in one go; {BULK_LIMIT} is the most, so choose fewer"
            )
        approved: list[int] = []
        first: list[int] = []
        refused: dict[int, str] = {}
        with self._database.write() as session:
            ids = [change_id for change_id, _ in chosen]
            rows = {r.id: r for r in session.exec(select(ChangeRow).where(_in(ChangeRow.id, ids)))}
            heads = draft_heads(session, ids)
            for change_id, digest in chosen:
                head = heads.get(change_id)
                try:
                    row = rows.get(change_id) or get_change(session, change_id)
                    if head is not None and not head[2]:
                        raise Conflict(
                            f"change {change_id} has findings open; open it and decide it by itself"
                        )
                    outcome = self._approve(session, row, head, digest, actor, reason)
                    (approved if outcome is Outcome.APPROVED else first).append(change_id)
                except AlmanacError as error:
                    refused[change_id] = str(error)
        return Bulk(approved=tuple(approved), first=tuple(first), refused=refused)

    def edit(self, change_id: int, digest: str, edit: Edit, *, actor: str) -> str:
        """Store an edit of the draft with this digest as a new version; its digest.

        The version is verified by the rules; what they object to stands beside it. Raises Conflict
        when the draft has changed since, or another holds or decided the item.
        """
        with self._database.write() as session:
            row = self._in_queue(session, change_id, actor)
            draft = latest_draft(session, change_id)
            approvals.named(
                row, (draft.version, draft.digest, draft.clean) if draft else None, digest
            )
            assert draft is not None
            before = codec.from_data(EditUnit, draft.unit)
            unit = editing.apply(before, edit, actor=actor, digest=draft.digest)
            evidence = evidence_of(session, draft.evidence)
            findings = editing.verify(unit, evidence, draft.facts)
            made = add_draft(
                session,
                row,
                unit,
                findings=[codec.to_data(finding) for finding in findings],
                evidence=draft.evidence,
                facts=draft.facts,
                lineage={**draft.lineage, "edited_from": draft.digest},
                author=actor,
                now=self._clock.now(),
            )
            checks = f"{len(findings)} findings" if findings else "all checks passed"
            told = f"edited: draft {made.version}, {checks}"
            self._note(session, change_id, actor, told, digest=made.digest, verb="edit")
            return made.digest

    def reject(self, change_id: int, *, actor: str, reason: str) -> None:
        """Raises Conflict as `approve`, and without a reason."""
        if not reason.strip():
            raise Conflict("a rejection needs a reason; say what is wrong with the proposal")
        with self._database.write() as session:
            row = self._in_queue(session, change_id, actor)
            self._decide(session, row, ChangeState.REJECTED, actor, reason)

    def skip(self, change_id: int, *, actor: str, reason: str = "") -> None:
        """Leave an item to somebody else; gives a claim back. Raises Conflict as `claim`."""
        with self._database.write() as session:
            row = self._in_queue(session, change_id, actor)
            row.claimed_by = row.claimed_until = None
            session.add(row)
            self._note(session, change_id, actor, reason or "skipped", verb="skip")

    def undo(self, change_id: int, *, actor: str, reason: str = "undone") -> None:
        """Put a decided item back into the queue, or take back one's first approval of two.

        Raises Conflict once it is frozen.
        """
        with self._database.write() as session:
            row = get_change(session, change_id)
            if row.state == ChangeState.IN_REVIEW and approvals.unsign(session, change_id, actor):
                self._note(session, change_id, actor, f"first approval taken back: {reason}")
                return
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
                data={"client": self._client},
            )
            row.approved_digest = row.decided_by = row.decided_at = None
            approvals.unsign(session, change_id, None)
            sampling.forget(session, change_id)

    # -- inside a transaction ---------------------------------------------------------------------

    def _approve(
        self,
        session: Session,
        row: ChangeRow,
        head: Head | None,
        digest: str,
        actor: str,
        reason: str,
    ) -> Outcome:
        """Approve the latest draft, whose version, digest and cleanness are `head`."""
        self._check_open(row, actor)
        draft = approvals.named(row, head, digest)
        first = None
        if self._needs_two(codec.from_data(FactChange, row.fact), row.retracts is not None):
            first = approvals.first_of_two(session, row.id or 0, draft, actor)
            if first is None:
                self._sign(session, row, draft, actor)
                return Outcome.FIRST
        row.approved_digest = draft
        told = reason or "approved"
        self._decide(
            session,
            row,
            ChangeState.APPROVED,
            actor,
            f"{told} (second after {first})" if first else told,
            digest=draft,
        )
        now = self._clock.now()
        sampling.draw(session, row.id or 0, draft, actor, self._sample_share, now)
        return Outcome.APPROVED

    def _sign(self, session: Session, row: ChangeRow, draft: str, actor: str) -> None:
        """Store the first of two approvals; the item is free for the second one."""
        assert row.id is not None
        approvals.sign(session, row.id, draft, actor, self._clock.now())
        row.claimed_by = row.claimed_until = None
        session.add(row)
        told = "first approval; a second person must agree"
        self._note(session, row.id, actor, told, digest=draft, verb="first_approval")

    def _decide(
        self,
        session: Session,
        row: ChangeRow,
        to: ChangeState,
        actor: str,
        reason: str,
        **data: str,
    ) -> None:
        now = self._clock.now()
        told = {"client": self._client, **data}
        transition(session, row, to, actor=actor, reason=reason, now=now, data=told)
        row.decided_by, row.decided_at = actor, now
        row.claimed_by = row.claimed_until = None

    def _note(self, session: Session, change_id: int, actor: str, reason: str, **data: str) -> None:
        record_event(
            session,
            "change",
            change_id,
            actor=actor,
            reason=reason,
            now=self._clock.now(),
            data={"client": self._client, **data},
        )

    def _in_queue(self, session: Session, change_id: int, actor: str) -> ChangeRow:
        row = get_change(session, change_id)
        self._check_open(row, actor)
        return row

    def _check_open(self, row: ChangeRow, actor: str) -> None:
        """Raises Conflict unless `actor` may decide the change now."""
        if row.state != ChangeState.IN_REVIEW:
            by = f" by {row.decided_by}" if row.decided_by else ""
            raise Conflict(f"change {row.id} is not in review: it is {row.state}{by}")
        by = holder(row, self._clock.now())
        if by is not None and by != actor:
            raise Conflict(
                f"change {row.id} is claimed by {by} until {row.claimed_until:%H:%M} UTC; "
                "take another one or wait"
            )


def _in(column: Any, values: Sequence[int]) -> Any:
    return col(column).in_(list(values))
