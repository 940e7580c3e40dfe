"""Deciding: approve, reject, skip, claim, undo, edit, in bulk. Plain forms; every answer leads on.

Owns what happens to a stale form: 409 and a comparison in which nothing of the writer's is lost.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from daemon.accounts import Who
from daemon.errors import Conflict
from daemon.review.approvals import BULK_LIMIT, Outcome
from daemon.review.editing import Edit
from daemon.review.query import Query
from daemon.review.worddiff import word_diff
from daemon.services import Services
from daemon.web import queries
from daemon.web.forms import Form, Sent
from daemon.web.identity import Open, Reviewer
from daemon.web.pages.review import item_data, next_url
from daemon.web.render import page
from knowledge.narrative import CausalNarrative, ClaimKind

router = APIRouter(prefix="/review")
CLIENT = "web"


@router.post("/{change_id:int}/approve")
def approve(
    request: Request, services: Open, who: Reviewer, change_id: int, form: Sent
) -> Response:
    try:
        outcome = services.review.via(CLIENT).approve(
            change_id, form["digest"], actor=who.name, reason=form["reason"]
        )
    except Conflict as error:
        return _stale(request, services, who, change_id, form, error)
    verb = "approved" if outcome is Outcome.APPROVED else "signed"
    return _on(request, services, who, form, change_id, verb)


@router.post("/{change_id:int}/reject")
def reject(request: Request, services: Open, who: Reviewer, change_id: int, form: Sent) -> Response:
    reason = ": ".join(text for part in ("choice", "reason") if (text := form[part].strip()))
    try:
        services.review.via(CLIENT).reject(change_id, actor=who.name, reason=reason)
    except Conflict as error:
        return _stale(request, services, who, change_id, form, error)
    return _on(request, services, who, form, change_id, "rejected")


@router.post("/{change_id:int}/skip")
def skip(request: Request, services: Open, who: Reviewer, change_id: int, form: Sent) -> Response:
    try:
        services.review.via(CLIENT).skip(change_id, actor=who.name, reason=form["reason"])
    except Conflict as error:
        return _stale(request, services, who, change_id, form, error)
    return _on(request, services, who, form, change_id, "skipped")


@router.post("/{change_id:int}/claim")
def claim(request: Request, services: Open, who: Reviewer, change_id: int, form: Sent) -> Response:
    try:
        services.review.via(CLIENT).claim(change_id, actor=who.name)
    except Conflict as error:
        return _stale(request, services, who, change_id, form, error)
    return _back(form, change_id, "claimed")


@router.post("/{change_id:int}/undo")
def undo(request: Request, services: Open, who: Reviewer, change_id: int, form: Sent) -> Response:
    try:
        services.review.via(CLIENT).undo(change_id, actor=who.name)
    except Conflict as error:
        return _stale(request, services, who, change_id, form, error)
    return _back(form, change_id, "undone")


@router.post("/{change_id:int}/second-look")
def second_look(services: Open, who: Reviewer, change_id: int, form: Sent) -> Response:
    services.sampling.answer(
        change_id, agrees=form["agrees"] == "yes", actor=who.name, reason=form["reason"]
    )
    return RedirectResponse(f"/review/{change_id}", status_code=303)


# -- editing --------------------------------------------------------------------------------------


@router.get("/{change_id:int}/edit")
def edit_page(request: Request, services: Open, who: Reviewer, change_id: int) -> Response:
    services.review.renew(change_id, actor=who.name)
    detail = services.review.show(change_id)
    narrative = detail.unit.narrative if detail.unit else None
    if narrative is None:
        raise Conflict(f"change {change_id} has no narrative to edit; its findings say why")
    data = {
        "at": "review",
        **item_data(services, detail, who),
        "query": queries.parse(request.query_params),
        "texts": {claim.kind.value: claim.text for claim in narrative.claims},
        "cause": narrative.cause or "",
        "problem": "",
    }
    return page(request, "edit.html", data)


@router.post("/{change_id:int}/edit")
def edit(request: Request, services: Open, who: Reviewer, change_id: int, form: Sent) -> Response:
    wanted = Edit(
        claims={kind: form[kind.value] for kind in ClaimKind if form[kind.value]},
        cause=form["cause"],
    )
    try:
        services.review.via(CLIENT).edit(change_id, form["digest"], wanted, actor=who.name)
    except Conflict as error:
        return _lost_race(request, services, who, change_id, form, error)
    return _back(form, change_id, "edited")


def _lost_race(
    request: Request, services: Services, who: Who, change_id: int, form: Form, error: Conflict
) -> Response:
    """Three ways side by side: what was read, what stands there now, and what was written."""
    detail = services.review.show(change_id)
    now = detail.unit.narrative if detail.unit else None
    read = next(
        (
            draft.unit.narrative
            for draft in detail.drafts
            if form["digest"] and draft.digest.startswith(form["digest"])
        ),
        None,
    )
    rows = [_three_ways(kind, read, now, form[kind.value]) for kind in ClaimKind]
    data = {
        "at": "review",
        **item_data(services, detail, who),
        "query": _query(form),
        "message": str(error),
        "rows": rows,
        "cause": form["cause"],
    }
    return page(request, "conflict.html", data, status=409)


def _three_ways(
    kind: ClaimKind, read: CausalNarrative | None, now: CausalNarrative | None, mine: str
) -> dict[str, Any]:
    was = _claim(read, kind) if read else ""
    there = _claim(now, kind) if now else ""
    return {
        "kind": kind.value,
        "read": was,
        "theirs": word_diff(was, there),
        "mine": word_diff(was, mine),
        "text": mine,
        "there": there,
        "differs": there != mine,
    }


def _claim(narrative: CausalNarrative, kind: ClaimKind) -> str:
    return next((claim.text for claim in narrative.claims if claim.kind is kind), "")


# -- in bulk --------------------------------------------------------------------------------------


@router.get("/bulk")
def bulk_preview(request: Request, services: Open, who: Reviewer) -> Response:
    """What a bulk approval would approve: only what passed every check, each line to be seen."""
    chosen = [int(n) for n in request.query_params.getlist("id") if n.isdigit()][:BULK_LIMIT]
    items = services.queue.of(chosen)
    data = {
        "at": "review",
        "query": queries.parse(request.query_params),
        "fit": [item for item in items if item.clean and item.state == "in_review"],
        "unfit": [item for item in items if not item.clean or item.state != "in_review"],
        "limit": BULK_LIMIT,
    }
    return page(request, "bulk.html", data)


@router.post("/bulk")
def bulk(request: Request, services: Open, who: Reviewer, form: Sent) -> Response:
    chosen = [
        (int(number), digest)
        for number, _, digest in (text.partition(":") for text in form.all("item"))
        if number.isdigit()
    ]
    done = services.review.via(CLIENT).approve_many(
        chosen, actor=who.name, reason=form["reason"] or "approved in bulk"
    )
    data = {"at": "review", "query": _query(form), "done": done}
    return page(request, "bulk_done.html", data, status=409 if done.refused else 200)


# -- leading on -----------------------------------------------------------------------------------


def _query(form: Form) -> Query:
    return queries.parse(dict(parse_qsl(form["query"].removeprefix("?"))))


def _on(
    request: Request, services: Services, who: Who, form: Form, change_id: int, verb: str
) -> Response:
    """To the next proposal of the list that the form came from. A browser that has fetched its page
    already (`X-Have`) is told what happened, to show above it, and need not fetch it again."""
    url = next_url(services, who, _query(form), change_id, (verb, change_id))
    if request.headers.get("x-have") != urlsplit(url).path:
        return RedirectResponse(url, status_code=303)
    told = page(request, "did.html", {"did": (verb, change_id)})
    told.headers["X-Next"] = url
    told.headers["X-Waiting"] = str(services.queue.length())
    return told


def _back(form: Form, change_id: int, verb: str) -> Response:
    more = queries.to_url(_query(form), did=f"{verb}:{change_id}")
    return RedirectResponse(f"/review/{change_id}{more}", status_code=303)


def _stale(
    request: Request, services: Services, who: Who, change_id: int, form: Form, error: Conflict
) -> Response:
    """The item as it is now, with why the decision did not count and what changed meanwhile."""
    detail = services.review.show(change_id)
    read = next((d for d in detail.drafts if d.digest == form["digest"]), None)
    told = [
        d.unit.narrative.prose if d and d.unit.narrative else ""
        for d in (read, detail.drafts[-1] if detail.drafts else None)
    ]
    query = _query(form)
    before, after = services.queue.neighbours(query, change_id)
    data = {
        "at": "review",
        **item_data(services, detail, who),
        "query": query,
        "before": before,
        "after": after,
        "did": None,
        "stale": str(error),
        "stale_runs": word_diff(*told) if read and told[0] != told[1] else (),
        "kept_reason": form["reason"],
    }
    return page(request, "item.html", data, status=409)
