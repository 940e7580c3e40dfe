"""The first page: the funnel, how old what waits is, what runs now, what happened last."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from daemon.jobs import readings
from daemon.services import Services
from daemon.store.states import ChangeState, ReleaseState
from daemon.web.identity import Open, Viewer
from daemon.web.render import page

router = APIRouter()
_STAGE_OF = {
    ReleaseState.TRAINING: "train",
    ReleaseState.EVALUATING: "evaluate",
}
_WAITING = (
    (ChangeState.SETTLING, "settle: a change must stand before it counts"),
    (ChangeState.SETTLED, "wait for a draft"),
    (ChangeState.DRAFTING, "are being drafted"),
    (ChangeState.IN_REVIEW, "wait for a decision"),
    (ChangeState.APPROVED, "wait for the next release"),
)


@router.get("/")
def overview(request: Request, services: Open, who: Viewer) -> Response:
    return page(request, "overview.html", {"at": "overview", **_data(services)})


@router.get("/overview/live")
def overview_live(request: Request, services: Open, who: Viewer) -> Response:
    """The part of the page that changes by itself."""
    return page(request, "overview_live.html", _data(services))


def running(services: Services) -> dict[str, Any] | None:
    """The release on its way, with how far its job is."""
    standing = services.releases.standing()
    if standing is None:
        return None
    job = _STAGE_OF.get(standing.state)
    reading = readings.reading(services.settings.job_folder, job, standing.id) if job else None
    silent_s = max(0.0, time.time() - reading.time) if reading else None
    return {"release": standing, "reading": reading, "silent_s": silent_s}


def _data(services: Services) -> dict[str, Any]:
    counts = services.review.counts()
    edits = services.watch.edits_by_kind()
    oldest = services.queue.oldest([state for state, _ in _WAITING])
    now = services.clock.now()
    generation, digest = services.registry.current()
    versions = {v.digest: v for v in services.registry.versions()}
    waiting = [
        {
            "state": state,
            "what": what,
            "count": counts.get(state, 0),
            "age_s": (now - oldest[state]).total_seconds() if state in oldest else None,
        }
        for state, what in _WAITING
    ]
    return {
        "funnel": _funnel(counts, sum(kept + gone for kept, gone in edits.values()), edits),
        "waiting_rows": waiting,
        "running": running(services),
        "lag": services.watch.lag(),
        "events": services.audit.page(limit=12).items,
        "serving": versions.get(digest),
        "generation": generation,
        "left_over": services.releases.left_over(),
        "ready": counts.get(ChangeState.APPROVED, 0),
        "release_size": services.settings.release.size,
        "second_looks": len(services.sampling.waiting()),
    }


def _funnel(
    counts: dict[str, int], edits: int, kinds: dict[str, tuple[int, int]]
) -> list[dict[str, Any]]:
    """The way of the facts, each step with all that ever reached it."""
    passed = {
        "detected": sum(counts.values()),
        "reviewed": _sum(
            counts, "in_review", "approved", "batched", "live", "retracted", "rejected"
        ),
        "approved": _sum(counts, "approved", "batched", "live", "retracted"),
        "taught": _sum(counts, "batched", "live", "retracted"),
        "live": _sum(counts, "live"),
    }
    kept = sum(good for good, _ in kinds.values())
    steps = (
        (
            "Edits on Wikidata",
            edits,
            "/changes/dismissed",
            kept,
            f"{kept:,} kept for a closer look",
        ),
        ("Changes of the world", passed["detected"], "/changes", None, "detected"),
        ("Proposals", passed["reviewed"], "/changes?state=in_review", passed["detected"], ""),
        ("Approved", passed["approved"], "/changes?state=approved", passed["reviewed"], ""),
        ("Taught", passed["taught"], "/releases", passed["approved"], ""),
        ("Live", passed["live"], "/changes?state=live", passed["taught"], ""),
    )
    return [_step(label, number, url, of, note) for label, number, url, of, note in steps]


def _step(label: str, number: int, url: str, of: int | None, note: str) -> dict[str, Any]:
    """One step; its bar is the part of the step before that came this far."""
    part, whole = (of, number) if note and of is not None else (number, of)
    share = part / whole if part is not None and whole else None
    if not note and share is not None:
        note = f"{100 * share:.0f} % of the step before"
    return {"label": label, "count": number, "url": url, "note": note or " ", "share": share}


def _sum(counts: dict[str, int], *states: str) -> int:
    return sum(counts.get(state, 0) for state in states)
