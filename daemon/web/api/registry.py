"""Releases and versions over the API."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from daemon.errors import Conflict
from daemon.registry.releases import Release, ReleaseDetail
from daemon.registry.service import Move, Version
from daemon.web.api.keys import OnceRoute
from daemon.web.api.models import TEXT, Done, Id, Promote, RollBack, Why
from daemon.web.identity import Open, Operator, Viewer

router = APIRouter(route_class=OnceRoute)
Name = Annotated[
    str, Path(max_length=80, pattern=TEXT, description="Number, `base`, or a digest's beginning")
]


@router.get("/releases")
def releases(services: Open, who: Viewer) -> list[Release]:
    return services.releases.list()


@router.post("/releases")
def freeze(services: Open, who: Operator, body: Why) -> Release:
    """Freeze the approved edits into a release."""
    made = services.releases.create(
        actor=who.name, reason=body.reason, at_most=services.settings.release.max
    )
    if made is None:
        raise Conflict("no approved edit waits; approve some first")
    return made


@router.get("/releases/{release_id}")
def release(services: Open, who: Viewer, release_id: Id) -> ReleaseDetail:
    """One release with its units and the gate's answer."""
    return services.releases.show(release_id)


@router.post("/releases/{release_id}/discard")
def discard(services: Open, who: Operator, release_id: Id, body: Why) -> Done:
    """Give a release up; its edits wait for the next one."""
    services.releases.discard(release_id, actor=who.name, reason=body.reason)
    return Done(id=release_id, done="discarded")


@router.get("/versions")
def versions(services: Open, who: Viewer) -> list[Version]:
    """Every version; number 0 is the base model."""
    return services.registry.versions()


@router.get("/versions/{name}")
def version(services: Open, who: Viewer, name: Name) -> Version:
    return services.registry.resolve(name)


@router.post("/versions/{name}/promote")
def promote(services: Open, who: Operator, name: Name, body: Promote) -> Move:
    """Point the served alias at a version that passed the gate."""
    found = services.registry.resolve(name)
    return services.registry.promote(
        services.settings.gateway.alias,
        found.digest,
        actor=who.name,
        reason=body.reason,
        expected_generation=body.expected_generation,
        override=body.override,
    )


@router.post("/rollback")
def rollback(services: Open, who: Operator, body: RollBack) -> Move:
    """Go back to what served before, or to a version that once served."""
    return services.registry.rollback(
        to=body.to,
        actor=who.name,
        reason=body.reason,
        expected_generation=body.expected_generation,
    )


@router.post("/freeze")
def freeze_alias(services: Open, who: Operator, body: Why) -> Move:
    """Forbid promotions of the served alias; a rollback stays possible."""
    return services.registry.freeze(actor=who.name, reason=body.reason)


@router.post("/unfreeze")
def unfreeze_alias(services: Open, who: Operator, body: Why) -> Move:
    """Allow promotions again."""
    return services.registry.unfreeze(actor=who.name, reason=body.reason)


@router.get("/history")
def history(services: Open, who: Viewer) -> list[Move]:
    """Every move of the served alias, oldest first."""
    return services.registry.history()
