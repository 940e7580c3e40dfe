"""The states of a change and of a release, and the only moves between them (DESIGN 2).

Owns the two transition tables and `transition`, which moves an entity and writes its event row in
the caller's transaction. Does not decide when to move.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlmodel import Session, col, update

from daemon.errors import IllegalTransition
from daemon.store import trail
from daemon.store.rows import ChangeLineRow, ChangeRow, EventRow, ReleaseRow


class ChangeState(StrEnum):
    DETECTED = "detected"
    SETTLING = "settling"
    SETTLED = "settled"
    DRAFTING = "drafting"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    BATCHED = "batched"
    LIVE = "live"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"
    REJECTED = "rejected"
    FAILED = "failed"
    RETRACTED = "retracted"


class ReleaseState(StrEnum):
    FROZEN = "frozen"
    TRAINING = "training"
    TRAINED = "trained"
    EVALUATING = "evaluating"
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    PROMOTED = "promoted"
    DISCARDED = "discarded"


_C, _R = ChangeState, ReleaseState

CHANGE_MOVES: Mapping[ChangeState, frozenset[ChangeState]] = {
    _C.DETECTED: frozenset({_C.SETTLING, _C.DISMISSED, _C.WITHDRAWN}),
    _C.SETTLING: frozenset({_C.SETTLED, _C.DISMISSED, _C.WITHDRAWN}),
    _C.SETTLED: frozenset({_C.DRAFTING, _C.WITHDRAWN, _C.DISMISSED, _C.FAILED}),
    # What production says already is dismissed.
    _C.DRAFTING: frozenset({_C.IN_REVIEW, _C.SETTLED, _C.DISMISSED, _C.WITHDRAWN, _C.FAILED}),
    # A person may ask for another draft.
    _C.IN_REVIEW: frozenset({_C.APPROVED, _C.REJECTED, _C.SETTLED, _C.WITHDRAWN}),
    # Undo leads back to the queue until the edit is frozen into a release.
    _C.APPROVED: frozenset({_C.BATCHED, _C.IN_REVIEW, _C.WITHDRAWN}),
    _C.REJECTED: frozenset({_C.IN_REVIEW, _C.SETTLED}),
    # A discarded release gives its edits back; a rollback takes them out of production.
    _C.BATCHED: frozenset({_C.LIVE, _C.APPROVED}),
    _C.LIVE: frozenset({_C.RETRACTED, _C.BATCHED}),
    _C.RETRACTED: frozenset({_C.LIVE}),
    # A person may ask for another try.
    _C.FAILED: frozenset({_C.SETTLED, _C.WITHDRAWN}),
    # A person may see in it what the watch did not.
    _C.DISMISSED: frozenset({_C.SETTLED}),
    _C.WITHDRAWN: frozenset(),
}

RELEASE_MOVES: Mapping[ReleaseState, frozenset[ReleaseState]] = {
    _R.FROZEN: frozenset({_R.TRAINING, _R.FAILED, _R.DISCARDED}),
    _R.TRAINING: frozenset({_R.TRAINED, _R.FAILED, _R.DISCARDED}),
    _R.TRAINED: frozenset({_R.EVALUATING, _R.FAILED, _R.DISCARDED}),
    _R.EVALUATING: frozenset({_R.PASSED, _R.FAILED, _R.INCONCLUSIVE, _R.DISCARDED}),
    # Production may move between the verdict and the promotion.
    _R.PASSED: frozenset({_R.PROMOTED, _R.INCONCLUSIVE, _R.DISCARDED}),
    # Only a person gets an inconclusive release promoted, with a reason.
    _R.INCONCLUSIVE: frozenset({_R.PROMOTED, _R.DISCARDED}),
    _R.FAILED: frozenset({_R.DISCARDED}),
    # After a rollback its edits may go into another release.
    _R.PROMOTED: frozenset({_R.DISCARDED}),
    _R.DISCARDED: frozenset(),
}

OPEN_RELEASES = frozenset({_R.FROZEN, _R.TRAINING, _R.TRAINED, _R.EVALUATING, _R.PASSED})
"""States in which a release stands before production; there is at most one such release."""


def transition(
    session: Session,
    entity: ChangeRow | ReleaseRow,
    to: ChangeState | ReleaseState,
    *,
    actor: str,
    reason: str,
    now: dt.datetime,
    data: Mapping[str, Any] | None = None,
) -> EventRow:
    """Move `entity` to `to` and write the event, in the transaction of `session`.

    Raises IllegalTransition, before anything is written, when the table has no such move.
    """
    kind, allowed, here = _moves(entity)
    if to not in allowed:
        names = ", ".join(sorted(allowed)) or "nothing"
        raise IllegalTransition(
            f"{kind} {entity.id} is {here} and cannot become {to}; from there it can become {names}"
        )
    event = EventRow(
        at=now,
        entity=kind,
        entity_id=str(entity.id),
        from_state=here,
        to_state=to.value,
        actor=actor,
        reason=reason,
        data=dict(data or {}),
    )
    entity.state = to.value
    entity.updated_at = now
    session.add(entity)
    if isinstance(entity, ChangeRow):
        mine = col(ChangeLineRow.change_id) == entity.id
        session.exec(update(ChangeLineRow).where(mine).values(state=to.value))
    return trail.append(session, event)


def record_event(
    session: Session,
    entity: str,
    entity_id: object,
    *,
    actor: str,
    reason: str,
    now: dt.datetime,
    data: Mapping[str, Any] | None = None,
    to_state: str | None = None,
) -> EventRow:
    """An event that moves no state machine (created, claimed, retried), in the same transaction."""
    event = EventRow(
        at=now,
        entity=entity,
        entity_id=str(entity_id),
        from_state=None,
        to_state=to_state,
        actor=actor,
        reason=reason,
        data=dict(data or {}),
    )
    return trail.append(session, event)


def _moves(entity: ChangeRow | ReleaseRow) -> tuple[str, frozenset[StrEnum], str]:
    if isinstance(entity, ChangeRow):
        return "change", frozenset(CHANGE_MOVES[ChangeState(entity.state)]), entity.state
    return "release", frozenset(RELEASE_MOVES[ReleaseState(entity.state)]), entity.state
