"""All changes in all states, and what the watch put aside, with its reasons and a way back."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from daemon.review.query import Order
from daemon.store.states import ChangeState
from daemon.web import queries
from daemon.web.forms import Sent
from daemon.web.identity import Open, Reviewer, Viewer
from daemon.web.render import page

router = APIRouter(prefix="/changes")


@router.get("")
def changes(request: Request, services: Open, who: Viewer, after: int | None = None) -> Response:
    parameters = {"order": Order.NEWEST.value, **request.query_params}
    query = queries.parse(parameters, queries.ALL)
    found = services.queue.look(query, after=after)
    data = {
        "at": "changes",
        "query": query,
        "page": found.page,
        "after": after,
        "facets": found.facets,
        "counts": services.review.counts(),
        "states": list(ChangeState),
        "dismissed": sum(services.dismissed.counts().values()),
    }
    fragment = request.headers.get("hx-target") == "queue"
    return page(request, "changes_list.html" if fragment else "changes.html", data)


@router.get("/dismissed")
def dismissed(
    request: Request, services: Open, who: Viewer, kind: str = "", before: int | None = None
) -> Response:
    data = {
        "at": "changes",
        "kind": kind,
        "page": services.dismissed.page(kind=kind, before=before),
        "counts": services.dismissed.counts(),
        "edits": services.watch.edits_by_kind(),
    }
    return page(request, "dismissed.html", data)


@router.post("/dismissed/{dismissal_id:int}/reopen")
def reopen_dismissal(services: Open, who: Reviewer, dismissal_id: int, form: Sent) -> Response:
    change = services.dismissed.reopen(dismissal_id, actor=who.name, reason=form["reason"])
    return RedirectResponse(f"/review/{change}", status_code=303)


@router.post("/{change_id:int}/reopen")
def reopen_change(services: Open, who: Reviewer, change_id: int, form: Sent) -> Response:
    services.dismissed.reopen_change(change_id, actor=who.name, reason=form["reason"])
    return RedirectResponse(f"/review/{change_id}", status_code=303)
