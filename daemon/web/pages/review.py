"""The inbox and the item: reading. Deciding is `decide`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from daemon.accounts import Who
from daemon.review.items import Detail
from daemon.review.query import Query
from daemon.review.service import REASONS
from daemon.review.worddiff import word_diff
from daemon.services import Services
from daemon.web import checklist, queries
from daemon.web.forms import Sent
from daemon.web.identity import Open, Reviewer, Viewer
from daemon.web.render import page
from daemon.web.texts import marked
from knowledge.properties import CATALOGUE
from knowledge.questions import Use

router = APIRouter()


@router.get("/review")
def inbox(request: Request, services: Open, who: Viewer, after: int | None = None) -> Response:
    query = queries.parse(request.query_params)
    found = services.queue.look(query, after=after)
    data: dict[str, Any] = {
        "at": "review",
        "query": query,
        "page": found.page,
        "after": after,
        "facets": found.facets,
        "views": services.queue.views(who.name),
        "did": did(request),
        "second_looks": services.sampling.waiting(20),
    }
    fragment = request.headers.get("hx-target") == "queue"
    return page(request, "inbox_list.html" if fragment else "inbox.html", data)


@router.post("/review/views")
def save_view(request: Request, services: Open, who: Reviewer, form: Sent) -> Response:
    services.queue.save_view(who.name, form["name"].strip() or "unnamed", form["query"])
    return RedirectResponse(f"/review?{form['query']}", status_code=303)


@router.get("/review/next")
def next_item(request: Request, services: Open, who: Viewer, after: int = 0) -> Response:
    """To the next proposal of the filter, or to the inbox when none is left."""
    query = queries.parse(request.query_params)
    return RedirectResponse(next_url(services, who, query, after, did(request)), status_code=303)


@router.get("/review/{change_id:int}")
def item(request: Request, services: Open, who: Viewer, change_id: int) -> Response:
    query = queries.parse(request.query_params)
    services.review.renew(change_id, actor=who.name)
    detail = services.review.show(change_id)
    before, after = services.queue.neighbours(query, change_id)
    data = {
        "at": "review",
        **item_data(services, detail, who),
        "query": query,
        "before": before,
        "after": after,
        "did": did(request),
    }
    return page(request, "item.html", data)


def did(request: Request) -> tuple[str, int] | None:
    """The decision that led here, as the redirect says it: shown with a way to undo it."""
    verb, _, number = request.query_params.get("did", "").partition(":")
    known = ("approved", "rejected", "skipped", "undone", "edited", "signed", "claimed")
    return (verb, int(number)) if verb in known and number.isdigit() else None


def next_url(
    services: Services, who: Who, query: Query, change_id: int, done: tuple[str, int] | None
) -> str:
    following = services.queue.following(query, change_id, actor=who.name)
    more = {"did": f"{done[0]}:{done[1]}"} if done else {}
    place = f"/review/{following}" if following is not None else "/review"
    return place + queries.to_url(query, **more)


def item_data(services: Services, detail: Detail, who: Who) -> dict[str, Any]:
    """What the item page shows beside the list's query."""
    unit = detail.unit
    spans = [
        (claim.kind.value, span)
        for claim in (unit.narrative.claims if unit and unit.narrative else ())
        for span in claim.spans
    ]
    sources = {evidence.id: (n, evidence) for n, evidence in enumerate(detail.evidence, start=1)}
    quoted = {span.evidence_id for _, span in spans}
    in_order = sorted(detail.evidence, key=lambda e: e.id not in quoted)
    row = CATALOGUE.get(detail.item.fact.property)
    return {
        "detail": detail,
        "item": detail.item,
        "fact": unit.change if unit else detail.item.fact,
        "unit": unit,
        "narrative": unit.narrative if unit else None,
        "sources": sources,
        "evidence": [(sources[e.id][0], e, marked(e, spans), e.id in quoted) for e in in_order],
        "diffs": _diffs(detail),
        "questions": [(use, unit.asked(use)) for use in (Use.TRAIN, Use.EXAM)] if unit else [],
        "tier": row.tier.value if row else "unknown",
        "private": row.living_persons if row else True,
        "two_needed": services.review.two_needed(detail.item),
        "contested": services.review.contested(detail.item.fact.slot),
        "second_look": services.sampling.of(detail.item.id),
        "passed": checklist.passed(str(f.get("rule")) for f in detail.findings),
        "reasons": REASONS,
        "ready": services.releases.ready() if detail.item.state == "approved" else 0,
        "release_size": services.settings.release.size,
        "mine": detail.item.claimed_by == who.name,
    }


def _diffs(detail: Detail) -> list[dict[str, Any]]:
    """From each version of the draft to the next, newest first."""
    found = []
    for old, new in zip(detail.drafts, detail.drafts[1:], strict=False):
        texts = [d.unit.narrative.prose if d.unit.narrative else "" for d in (old, new)]
        found.append({"old": old, "new": new, "runs": word_diff(*texts)})
    return found[::-1]
