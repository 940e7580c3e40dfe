"""The audit trail: who did what, when and why, and whether its chain is whole; as JSONL too."""

from __future__ import annotations

import json
from collections.abc import Iterator

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from daemon.review.audit import Audit
from daemon.web.identity import Open, Viewer
from daemon.web.render import page
from knowledge import codec

router = APIRouter(prefix="/audit")


@router.get("")
def audit(
    request: Request,
    services: Open,
    who: Viewer,
    actor: str = "",
    entity: str = "",
    id: str = "",
    people: bool = False,
    before: int | None = None,
    check: bool = False,
) -> Response:
    data = {
        "at": "audit",
        "page": services.audit.page(
            actor=actor, entity=entity, entity_id=id, people=people, before=before
        ),
        "actor": actor,
        "entity": entity,
        "entity_id": id,
        "people": people,
        "checked": check,
        "broken_at": services.audit.broken_at() if check else None,
        "entities": ("change", "release", "adapter", "evaluation", "alias", "user"),
        "agreement": services.sampling.agreement(),
    }
    return page(request, "audit.html", data)


@router.get("/export.jsonl")
def export(services: Open, who: Viewer) -> Response:
    headers = {"Content-Disposition": 'attachment; filename="almanac-audit.jsonl"'}
    return StreamingResponse(
        _lines(services.audit), media_type="application/x-ndjson", headers=headers
    )


def _lines(trail: Audit) -> Iterator[str]:
    for event in trail.export():
        yield json.dumps(codec.to_data(event), ensure_ascii=False) + "\n"
