"""What can only be read over the API: status, audit, the dry run of the policy."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from daemon.review.audit import EventPage
from daemon.review.sampling import Agreement
from daemon.review.trial import Trial
from daemon.web.api.models import Chain, Cursor, Limit, Me, Word
from daemon.web.identity import Open, Operator, Viewer

router = APIRouter()


@router.get("/me")
def me(who: Viewer) -> Me:
    """Whose token this is."""
    return Me(name=who.name, role=who.role, via=who.via)


@router.get("/status")
def status(services: Open, who: Viewer) -> dict[str, Any]:
    """Where everything stands."""
    return services.status()


@router.get("/audit")
def audit(
    services: Open,
    who: Viewer,
    actor: Word = "",
    entity: Word = "",
    entity_id: Word = "",
    people: bool = False,
    before: Cursor = None,
    limit: Limit = 100,
) -> EventPage:
    """Events, newest first."""
    return services.audit.page(
        actor=actor,
        entity=entity,
        entity_id=entity_id,
        people=people,
        before=before,
        limit=limit,
    )


@router.get("/audit/chain")
def chain(services: Open, who: Viewer) -> Chain:
    """Check the hash chain of all events."""
    broken = services.audit.broken_at()
    return Chain(whole=broken is None, broken_at=broken)


@router.get("/agreement")
def agreement(services: Open, who: Viewer) -> list[Agreement]:
    """How far second looks agree with each reviewer's approvals."""
    return services.sampling.agreement()


@router.get("/policy/trial")
def trial(services: Open, who: Operator) -> Trial:
    """What the configured policy would have done."""
    return services.try_policy()
