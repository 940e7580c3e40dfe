"""Changes over the API: lists, one of them, and every decision."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from daemon.review.dismissed import DismissalPage
from daemon.review.editing import Edit
from daemon.review.items import Detail
from daemon.review.query import Checks, Order
from daemon.review.query import Query as Filter
from daemon.review.queue import Facets, Page
from daemon.review.sampling import SecondLook
from daemon.review.service import ReviewService
from daemon.services import Services
from daemon.store.states import ChangeState
from daemon.web.api.keys import OnceRoute
from daemon.web.api.models import (
    Answer,
    Approve,
    ApproveMany,
    BulkDone,
    Claimed,
    Cursor,
    Done,
    EditDraft,
    Edited,
    Id,
    Limit,
    Reject,
    Remark,
    Word,
)
from daemon.web.identity import Open, Reviewer, Viewer

router = APIRouter(route_class=OnceRoute)
States = Annotated[list[ChangeState] | None, Query(description="Default: in_review", max_length=20)]


def _review(services: Services) -> ReviewService:
    return services.review.via("api")


def _filter(
    state: list[ChangeState] | None,
    q: str,
    property: str,
    kind: str,
    checks: Checks | None,
    source: str,
    claimed_by: str,
    order: Order,
) -> Filter:
    return Filter(
        states=tuple(state or [ChangeState.IN_REVIEW]),
        q=q,
        property=property,
        kind=kind,
        checks=checks,
        source=source,
        claimed_by=claimed_by,
        order=order,
    )


@router.get("/changes")
def list_changes(
    services: Open,
    who: Viewer,
    state: States = None,
    q: Word = "",
    property: Word = "",
    kind: Word = "",
    checks: Checks | None = None,
    source: Word = "",
    claimed_by: Word = "",
    order: Order = Order.OLDEST,
    after: Cursor = None,
    limit: Limit = 50,
) -> Page:
    """Changes by filter, a page at a time."""
    query = _filter(state, q, property, kind, checks, source, claimed_by, order)
    return services.queue.page(query, after=after, limit=limit)


@router.get("/changes/facets")
def facets(
    services: Open,
    who: Viewer,
    state: States = None,
    q: Word = "",
    property: Word = "",
    kind: Word = "",
    checks: Checks | None = None,
    source: Word = "",
    claimed_by: Word = "",
) -> Facets:
    """Live counts of what the filter finds."""
    query = _filter(state, q, property, kind, checks, source, claimed_by, Order.OLDEST)
    return services.queue.facets(query)


@router.post("/changes/approve")
def approve_many(services: Open, who: Reviewer, body: ApproveMany) -> BulkDone:
    """Approve clean drafts; what cannot be approved is told and keeps nothing else back."""
    chosen = [(one.id, one.digest) for one in body.items]
    done = _review(services).approve_many(chosen, actor=who.name, reason=body.reason)
    return BulkDone(
        approved=list(done.approved), first_of_two=list(done.first), refused=dict(done.refused)
    )


@router.get("/changes/{change_id}")
def show_change(services: Open, who: Viewer, change_id: Id) -> Detail:
    """One change with its drafts, evidence and events."""
    return services.review.show(change_id)


@router.post("/changes/{change_id}/claim")
def claim(services: Open, who: Reviewer, change_id: Id) -> Claimed:
    """Take a change for a while, or renew the claim."""
    until = _review(services).claim(change_id, actor=who.name)
    return Claimed(id=change_id, until=until.isoformat())


@router.post("/changes/{change_id}/approve")
def approve(services: Open, who: Reviewer, change_id: Id, body: Approve) -> Done:
    """Approve the draft with this digest. `first_of_two`: a second person must agree."""
    outcome = _review(services).approve(change_id, body.digest, actor=who.name, reason=body.reason)
    return Done(id=change_id, done=outcome.value)


@router.post("/changes/{change_id}/edit")
def edit(services: Open, who: Reviewer, change_id: Id, body: EditDraft) -> Edited:
    """Store an edit as a new version of the draft, verified by the rules."""
    service = _review(services)
    digest = service.edit(
        change_id, body.digest, Edit(claims=body.claims, cause=body.cause), actor=who.name
    )
    made = next(d for d in service.show(change_id).drafts if d.digest == digest)
    return Edited(id=change_id, digest=digest, clean=made.clean, findings=len(made.findings))


@router.post("/changes/{change_id}/reject")
def reject(services: Open, who: Reviewer, change_id: Id, body: Reject) -> Done:
    _review(services).reject(change_id, actor=who.name, reason=body.reason)
    return Done(id=change_id, done="rejected")


@router.post("/changes/{change_id}/skip")
def skip(services: Open, who: Reviewer, change_id: Id, body: Remark) -> Done:
    """Leave a change to somebody else."""
    _review(services).skip(change_id, actor=who.name, reason=body.reason)
    return Done(id=change_id, done="skipped")


@router.post("/changes/{change_id}/undo")
def undo(services: Open, who: Reviewer, change_id: Id) -> Done:
    """Take a decision back, until the edit is frozen."""
    _review(services).undo(change_id, actor=who.name)
    return Done(id=change_id, done="undone")


@router.post("/changes/{change_id}/reopen")
def reopen(services: Open, who: Reviewer, change_id: Id, body: Remark) -> Done:
    """Take up a change that was dismissed, rejected or failed."""
    services.dismissed.reopen_change(change_id, actor=who.name, reason=body.reason)
    return Done(id=change_id, done="reopened")


@router.post("/changes/{change_id}/second-look")
def answer(services: Open, who: Reviewer, change_id: Id, body: Answer) -> Done:
    """Say whether somebody else's approval was right."""
    services.sampling.answer(change_id, agrees=body.agrees, actor=who.name, reason=body.reason)
    return Done(id=change_id, done="answered")


@router.get("/second-looks")
def second_looks(services: Open, who: Viewer) -> list[SecondLook]:
    """Approvals that were drawn for a second look and wait for one."""
    return services.sampling.waiting()


@router.get("/dismissed")
def dismissed(
    services: Open, who: Viewer, kind: Word = "", before: Cursor = None, limit: Limit = 50
) -> DismissalPage:
    """What the watch put aside, newest first."""
    return services.dismissed.page(kind=kind, before=before, limit=limit)


@router.post("/dismissed/{dismissal_id}/reopen")
def reopen_dismissal(services: Open, who: Reviewer, dismissal_id: Id, body: Remark) -> Done:
    """Make a change of a dismissed difference; `id` is the change's."""
    change = services.dismissed.reopen(dismissal_id, actor=who.name, reason=body.reason)
    return Done(id=change, done="reopened")
