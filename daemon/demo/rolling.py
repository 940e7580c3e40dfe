"""Taking the last promotion back and giving it again, timed as a user would feel it.

Owns the two moves, once in a demo's life: they are in the alias's history, with their reasons.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from daemon.app import Almanac
from daemon.demo.asking import Asker, plain_question
from daemon.demo.errors import DemoError
from daemon.demo.notes import Notes
from daemon.demo.progress import Narrator
from daemon.registry.releases import Release
from daemon.registry.service import PRODUCTION
from daemon.services import Services
from daemon.store.states import ReleaseState
from knowledge.edits import EditUnit

ACTOR = "demo"
BACK = "to show that it can be taken back"
AGAIN = "back to the newest version"
ARRIVAL_TIMEOUT_S = 30.0


def promoted(services: Services) -> list[Release]:
    """The releases that went into production, oldest first."""
    return [r for r in services.releases.list() if r.state is ReleaseState.PROMOTED]


def units_of(services: Services, release: Release) -> tuple[EditUnit, ...]:
    return services.releases.show(release.id).units


async def roll(almanac: Almanac, asker: Asker, notes: Notes, narrator: Narrator) -> None:
    """Roll back and promote again, unless it was done before. Raises DemoError."""
    services, registry = almanac.services, almanac.services.registry
    reasons = {move.reason for move in registry.history(PRODUCTION)}
    releases = promoted(services)
    if not releases or AGAIN in reasons:
        return
    last = releases[-1]
    before = f"v{releases[-2].version}" if len(releases) > 1 else "v0"
    question = plain_question(units_of(services, last)[0]).text
    with narrator.stage("roll back", "Rolling back, and promoting again") as stage:
        if BACK not in reasons:
            notes.back_s = await asyncio.to_thread(
                _timed,
                lambda: registry.rollback(actor=ACTOR, reason=BACK),
                lambda: asker.ask(question).version == before,
            )
        notes.again_s = await asyncio.to_thread(
            _timed,
            lambda: registry.promote(PRODUCTION, last.adapter, actor=ACTOR, reason=AGAIN),
            lambda: asker.ask(question).version == f"v{last.version}",
        )
        stage.note = f"{before} and v{last.version} answered again"


def _timed(command: Callable[[], object], arrived: Callable[[], bool]) -> float:
    """Seconds from giving a command to the first answer that shows it. Raises DemoError."""
    started = time.monotonic()
    command()
    while not arrived():
        if time.monotonic() - started > ARRIVAL_TIMEOUT_S:
            raise DemoError("the gateway did not follow the alias; see logs/gateway.log")
    return time.monotonic() - started
