"""Candidates and the changes that they become, in the caller's transaction.

Owns the birth of a change (detected, settling), and its move to settled, withdrawn or dismissed as
its candidate does; what settles beside earlier changes of the same fact is decided by
`daemon.store.settlement`. Does not judge candidates: the watch does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, select

from agents.ledger import Candidate, CandidateState
from daemon.store.drafts import index_change
from daemon.store.rows import CandidateRow, ChangeRow
from daemon.store.settlement import CONSIDERED, Earlier, Settlement, settle
from daemon.store.states import ChangeState, record_event, transition
from knowledge import codec
from knowledge.facts import FactChange

ACTOR = "watch"
DELETED = "the item was deleted"
"""Why the changes of a deleted item are withdrawn; what is so may be revived."""
_BEFORE_SETTLED = (ChangeState.DETECTED, ChangeState.SETTLING)
_BEFORE_BATCH = (
    *_BEFORE_SETTLED,
    ChangeState.SETTLED,
    ChangeState.DRAFTING,
    ChangeState.IN_REVIEW,
    ChangeState.APPROVED,
)


def apply_candidate(session: Session, item: str, candidate: Candidate, now: dt.datetime) -> None:
    """Store the candidate's new state and move its change accordingly."""
    row = _store_candidate(session, item, candidate, now)
    match candidate.state:
        case CandidateState.SETTLING:
            _detect(session, row, candidate, now)
        case CandidateState.SETTLED:
            change = _detect(session, row, candidate, now)
            _settle(session, change, candidate, now)
        case CandidateState.WITHDRAWN:
            _end(session, row, ChangeState.WITHDRAWN, candidate.reason, now, _BEFORE_BATCH)
        case CandidateState.DISMISSED:
            _end(session, row, ChangeState.DISMISSED, candidate.reason, now, _BEFORE_SETTLED)


def withdraw_candidates(session: Session, item: str, reason: str, now: dt.datetime) -> None:
    rows = session.exec(
        select(CandidateRow).where(
            CandidateRow.item == item, CandidateRow.state == CandidateState.SETTLING
        )
    ).all()
    for row in rows:
        row.state, row.reason = CandidateState.WITHDRAWN, reason
        session.add(row)
        _end(session, row, ChangeState.WITHDRAWN, reason, now, _BEFORE_SETTLED)


def withdraw_proposals(session: Session, item: str, reason: str, now: dt.datetime) -> int:
    """Withdraw what has settled about an item and is in no release yet; the number."""
    rows = session.exec(
        select(ChangeRow).where(
            ChangeRow.subject == item, col(ChangeRow.state).in_([s.value for s in _BEFORE_BATCH])
        )
    ).all()
    for row in rows:
        _move(session, row, ChangeState.WITHDRAWN, reason, now)
    return len(rows)


def revive_proposals(session: Session, item: str, now: dt.datetime) -> int:
    """The page of a deleted item is there again: what had settled and was withdrawn for that is
    settled again, each as a change of its own; the number. What is so no longer a look finds."""
    rows = session.exec(
        select(CandidateRow)
        .join(ChangeRow, col(ChangeRow.id) == col(CandidateRow.change_id))
        .where(
            CandidateRow.item == item,
            CandidateRow.state == CandidateState.SETTLED,
            ChangeRow.state == ChangeState.WITHDRAWN,
            ChangeRow.reason == DELETED,
        )
        .order_by(col(ChangeRow.id))
    ).all()
    for row in rows:
        apply_candidate(session, item, read_candidate(row), now)
    return len(rows)


def _store_candidate(
    session: Session, item: str, candidate: Candidate, now: dt.datetime
) -> CandidateRow:
    change = candidate.change
    row = session.get(CandidateRow, change.key)
    values: dict[str, Any] = {
        "item": item,
        "slot": change.slot,
        "state": candidate.state.value,
        "first_seen": candidate.first_seen,
        "due_at": candidate.due_at,
        "reason": candidate.reason,
        "change": codec.to_data(change),
        "context": candidate.context,
        "editor": candidate.editor,
        "run": candidate.run,
    }
    if candidate.state is not CandidateState.SETTLED:
        values["settled_at"] = None
    elif row is None or row.settled_at is None:
        values["settled_at"] = now
    if row is not None and row.run != candidate.run:
        values["sampled"] = False
    if row is None:
        row = CandidateRow(key=change.key, **values)
    else:
        for name, value in values.items():
            setattr(row, name, value)
    session.add(row)
    return row


def _detect(
    session: Session, row: CandidateRow, candidate: Candidate, now: dt.datetime
) -> ChangeRow:
    """The change of a candidate that still settles; a new one when there is none."""
    known = session.get(ChangeRow, row.change_id) if row.change_id else None
    fact = candidate.change
    if known is not None and known.state in _BEFORE_SETTLED:
        known.fact, known.reason = codec.to_data(fact), candidate.reason
        session.add(known)
        index_change(session, known, fact)
        return known
    queued = session.exec(
        select(ChangeRow).where(
            ChangeRow.key == fact.key, col(ChangeRow.state).in_([s.value for s in _BEFORE_BATCH])
        )
    ).first()
    change = queued or _born(session, candidate, now)
    row.change_id = change.id
    session.add(row)
    return change


def _born(session: Session, candidate: Candidate, now: dt.datetime) -> ChangeRow:
    """A new change, detected and settling."""
    fact = candidate.change
    change = ChangeRow(
        key=fact.key,
        slot=fact.slot,
        subject=fact.subject.id,
        property=fact.property,
        state=ChangeState.DETECTED.value,
        fact=codec.to_data(fact),
        reason=candidate.reason,
        created_at=now,
        updated_at=now,
    )
    session.add(change)
    session.flush()
    index_change(session, change, fact)
    record_event(
        session,
        "change",
        change.id,
        actor=ACTOR,
        reason=candidate.reason,
        now=now,
        to_state=ChangeState.DETECTED.value,
    )
    due = f"stands until {candidate.due_at:%Y-%m-%d %H:%M} UTC"
    transition(session, change, ChangeState.SETTLING, actor=ACTOR, reason=due, now=now)
    return change


def _settle(session: Session, change: ChangeRow, candidate: Candidate, now: dt.datetime) -> None:
    if change.state != ChangeState.SETTLING:
        return  # settled before: the same look, recorded again
    decision, earlier = settle(candidate.change, _earlier(session, change))
    if decision is Settlement.OPEN or earlier is None:
        _move(session, change, ChangeState.SETTLED, candidate.reason, now)
        return
    if decision is Settlement.DUPLICATE:
        reason = f"the same change is already {earlier.state} as change {earlier.id}"
        _move(session, change, ChangeState.DISMISSED, reason, now)
        return
    if decision is Settlement.RETRACT:
        change.retracts = earlier.id
        reason = f"Wikidata took back change {earlier.id}, which is {earlier.state}"
        _move(session, change, ChangeState.SETTLED, reason, now)
        return
    taken_back = session.get(ChangeRow, earlier.id)
    assert taken_back is not None
    reason = f"Wikidata took it back (change {change.id}) before it was taught"
    _move(session, taken_back, ChangeState.WITHDRAWN, reason, now)
    reason = f"takes back change {earlier.id}, which was not taught yet"
    _move(session, change, ChangeState.DISMISSED, reason, now)


def _earlier(session: Session, change: ChangeRow) -> list[Earlier]:
    rows = session.exec(
        select(ChangeRow)
        .where(
            ChangeRow.slot == change.slot,
            ChangeRow.id != change.id,
            col(ChangeRow.state).in_([s.value for s in CONSIDERED]),
        )
        .order_by(col(ChangeRow.id))
    ).all()
    return [
        Earlier(
            id=row.id or 0, state=ChangeState(row.state), fact=codec.from_data(FactChange, row.fact)
        )
        for row in rows
    ]


def _end(
    session: Session,
    row: CandidateRow,
    to: ChangeState,
    reason: str,
    now: dt.datetime,
    only_from: Sequence[ChangeState],
) -> None:
    change = session.get(ChangeRow, row.change_id) if row.change_id else None
    if change is not None and change.state in only_from:
        _move(session, change, to, reason, now)


def _move(
    session: Session, change: ChangeRow, to: ChangeState, reason: str, now: dt.datetime
) -> None:
    change.reason = reason
    transition(session, change, to, actor=ACTOR, reason=reason, now=now)


def read_candidate(row: CandidateRow) -> Candidate:
    """The row as the watch knows it."""
    return Candidate(
        change=codec.from_data(FactChange, row.change),
        state=CandidateState(row.state),
        first_seen=row.first_seen,
        due_at=row.due_at,
        reason=row.reason,
        context=row.context,
        editor=row.editor,
        run=row.run,
    )
