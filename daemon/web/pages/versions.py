"""Versions of the model: lineage, where production points and pointed, promotion, rollback."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from daemon.errors import Conflict
from daemon.registry.service import Version
from daemon.services import Services
from daemon.web.forms import Form, Sent
from daemon.web.identity import Open, Operator, Viewer
from daemon.web.render import page

router = APIRouter(prefix="/versions")
_COMPARED = (
    ("efficacy", "Direct questions right"),
    ("paraphrase", "Paraphrases right"),
    ("h_acc", "H-Acc: single-fact answers right"),
    ("m_acc", "M-Acc: two-hop answers right"),
    ("before", "Old knowledge kept as “before”"),
    ("locality", "Other facts kept"),
)


@router.get("")
def versions(request: Request, services: Open, who: Viewer) -> Response:
    known = services.registry.versions()
    generation, digest = services.registry.current()
    moves = services.registry.history()
    numbers = {v.digest: v.number for v in known}
    data = {
        "at": "versions",
        "versions": known[::-1],
        "numbers": numbers,
        "digest": digest,
        "generation": generation,
        "moves": moves[::-1],
        "broken_at": services.registry.broken_at(),
        "frozen_by": services.registry.frozen_by(),
        "lineage": [numbers.get(d) for d in services.registry.lineage(digest)],
    }
    return page(request, "versions.html", data)


@router.get("/compare")
def compare(request: Request, services: Open, who: Viewer, a: str = "", b: str = "") -> Response:
    known = services.registry.versions()
    first = services.registry.resolve(a or "base")
    second = services.registry.resolve(b or f"v{known[-1].number}")
    units = [{u.id: u for u in services.registry.live_units(v.digest)} for v in (first, second)]
    measured = [_metrics(services, v) for v in (first, second)]
    data = {
        "at": "versions",
        "versions": known,
        "a": first,
        "b": second,
        "only_a": [u for i, u in units[0].items() if i not in units[1]],
        "only_b": [u for i, u in units[1].items() if i not in units[0]],
        "both": len(units[0].keys() & units[1].keys()),
        "measured": [
            (label, measured[0].get(name), measured[1].get(name))
            for name, label in _COMPARED
            if measured[0].get(name) or measured[1].get(name)
        ],
    }
    return page(request, "compare.html", data)


@router.get("/{name}")
def version(request: Request, services: Open, who: Viewer, name: str) -> Response:
    found = services.registry.resolve(name)
    known = services.registry.versions()
    numbers = {v.digest: v.number for v in known}
    evaluation = services.registry.evaluation(found.digest) if found.digest else None
    generation, digest = services.registry.current()
    data = {
        "at": "versions",
        "version": found,
        "numbers": numbers,
        "lineage": [numbers.get(d) for d in services.registry.lineage(found.digest)],
        "units": services.registry.live_units(found.digest),
        "gate": evaluation.gate if evaluation else None,
        "manifest": services.registry.manifest(found.digest) if found.digest else {},
        "serves": found.digest == digest,
        "frozen_by": services.registry.frozen_by(),
        "generation": generation,
        "served": any(m.to_digest == found.digest for m in services.registry.history())
        or found.digest is None,
    }
    return page(request, "version.html", data)


@router.post("/{name}/promote")
def promote(services: Open, who: Operator, name: str, form: Sent) -> Response:
    found = services.registry.resolve(name)
    reason = _reason(form)
    services.registry.promote(
        services.settings.gateway.alias,
        found.digest,
        actor=who.name,
        reason=reason,
        expected_generation=_generation(form),
        override=form["override"] == "yes",
    )
    return RedirectResponse("/versions", status_code=303)


@router.post("/rollback")
def rollback(services: Open, who: Operator, form: Sent) -> Response:
    services.registry.rollback(
        to=form["to"] or None,
        actor=who.name,
        reason=_reason(form),
        expected_generation=_generation(form),
    )
    return RedirectResponse("/versions", status_code=303)


@router.post("/freeze")
def freeze(services: Open, who: Operator, form: Sent) -> Response:
    """Nothing is promoted until it is unfrozen; a rollback stays possible."""
    services.registry.freeze(actor=who.name, reason=_reason(form))
    return RedirectResponse("/versions", status_code=303)


@router.post("/unfreeze")
def unfreeze(services: Open, who: Operator, form: Sent) -> Response:
    services.registry.unfreeze(actor=who.name, reason=_reason(form))
    return RedirectResponse("/versions", status_code=303)


def _reason(form: Form) -> str:
    if not (reason := form["reason"].strip()):
        raise Conflict("say why; the reason stands in the history for good")
    return reason


def _generation(form: Form) -> int | None:
    """What the page showed when the button was pressed."""
    return int(form["generation"]) if form["generation"].isdigit() else None


def _metrics(services: Services, version: Version) -> dict[str, Any]:
    """Metrics of a version by name, as the last evaluation measured it."""
    evaluation = services.registry.evaluation(version.digest) if version.digest else None
    metrics = (evaluation.evaluation.get("metrics") if evaluation else None) or {}
    found = metrics.get("candidate") or {}
    return {
        name: {key: value[key] for key in ("value", "low", "high", "n") if key in value}
        for name, value in found.items()
        if isinstance(value, dict) and "value" in value
    }
