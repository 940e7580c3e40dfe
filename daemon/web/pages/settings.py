"""Settings, to read: every value with where it came from; what the policy would have done."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from daemon.web.identity import Open, Operator, Viewer
from daemon.web.render import page

router = APIRouter(prefix="/settings")


@router.get("")
def settings(request: Request, services: Open, who: Viewer) -> Response:
    return _page(request, services, trial=False)


@router.get("/dry-run")
def dry_run(request: Request, services: Open, who: Operator) -> Response:
    return _page(request, services, trial=True)


def _page(request: Request, services: Open, *, trial: bool) -> Response:
    sections: dict[str, list[object]] = {}
    for source in request.app.state.sources:
        head, _, rest = source.key.partition(".")
        sections.setdefault(head if rest else "general", []).append(source)
    data = {
        "at": "settings",
        "sections": sections,
        "policy": services.review_policy,
        "auto": services.settings.review.auto_approve,
        "trial": services.try_policy() if trial else None,
    }
    return page(request, "settings.html", data)
