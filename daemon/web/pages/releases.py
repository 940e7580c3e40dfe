"""Releases: what is in one, how its training went, what the gate said; freezing and discarding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, RedirectResponse, Response

from daemon.errors import Conflict, NotFound
from daemon.jobs import readings
from daemon.web.forms import Sent
from daemon.web.identity import Open, Operator, Viewer
from daemon.web.pages.overview import running
from daemon.web.render import page

router = APIRouter(prefix="/releases")


@router.get("")
def releases(request: Request, services: Open, who: Viewer) -> Response:
    data = {
        "at": "releases",
        "releases": services.releases.list()[::-1],
        "ready": services.releases.ready(),
        "size": services.settings.release.size,
        "standing": services.releases.standing(),
        "advice": {release.id: todo for release, todo in services.releases.left_over()},
    }
    return page(request, "releases.html", data)


@router.post("/freeze")
def freeze(services: Open, who: Operator, form: Sent) -> Response:
    release = services.releases.create(
        actor=who.name,
        reason=form["reason"].strip() or f"frozen by {who.name}",
        at_most=services.settings.release.max,
    )
    if release is None:
        raise Conflict("no approved edit waits; approve some first")
    return RedirectResponse(f"/releases/{release.id}", status_code=303)


@router.get("/{release_id:int}")
def release(request: Request, services: Open, who: Viewer, release_id: int) -> Response:
    return page(request, "release.html", {"at": "releases", **_data(services, release_id)})


@router.get("/{release_id:int}/live")
def release_live(request: Request, services: Open, who: Viewer, release_id: int) -> Response:
    return page(request, "release_live.html", _data(services, release_id))


@router.post("/{release_id:int}/discard")
def discard(services: Open, who: Operator, release_id: int, form: Sent) -> Response:
    reason = form["reason"].strip()
    if not reason:
        raise Conflict("say why the release is given up; it stands in its history")
    services.releases.discard(release_id, actor=who.name, reason=reason)
    return RedirectResponse(f"/releases/{release_id}", status_code=303)


@router.get("/{release_id:int}/report")
def report(services: Open, who: Viewer, release_id: int) -> Response:
    """The evaluation's own report, as its job wrote it: no scripts, so its page asks for none."""
    path = services.releases.show(release_id).report_path
    jobs = services.settings.job_folder.resolve()
    if path is None or not Path(path).is_file() or jobs not in Path(path).resolve().parents:
        raise NotFound(f"release {release_id} has no report on this machine")
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
    return FileResponse(path, media_type="text/html", headers={"Content-Security-Policy": policy})


def _data(services: Open, release_id: int) -> dict[str, Any]:
    detail = services.releases.show(release_id)
    job_folder = services.settings.job_folder
    standing = running(services)
    return {
        "detail": detail,
        "release": detail.release,
        "gate": detail.gate,
        "curves": readings.curves(job_folder, release_id),
        "running": standing if standing and standing["release"].id == release_id else None,
        "serving": services.registry.current()[1],
        "events": services.audit.page(entity="release", entity_id=str(release_id)).items,
        "manifest": (
            services.registry.manifest(detail.release.adapter) if detail.release.adapter else {}
        ),
    }
