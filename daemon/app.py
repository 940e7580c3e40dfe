"""The composition root: everything that works in one process, built from the settings.

Owns the order of the controllers, the home's lock, and the life of the process. `step` and
`run_until_idle` drive the controllers by hand, for the demo and the tests; `serve` lets a scheduler
drive them until SIGTERM.
"""

from __future__ import annotations

import asyncio
import fcntl
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import structlog

from daemon import wiring
from daemon.config import Settings, SettingSource
from daemon.controllers.curate import CurateController
from daemon.controllers.evaluate import EvaluateController
from daemon.controllers.promote import PromoteController
from daemon.controllers.release import ReleaseController
from daemon.controllers.review_policy import ReviewPolicyController
from daemon.controllers.stage import StageRunner
from daemon.controllers.train import TrainController
from daemon.controllers.watch import WatchController
from daemon.errors import ConfigError
from daemon.jobs.evaluation_job import gate_policy
from daemon.jobs.supervisor import Supervisor
from daemon.review import policy
from daemon.service_loop import ServiceLoop
from daemon.services import Services
from daemon.store import leases

LOCK = "almanac.lock"
CURATE_LEASE_S = 1800.0
"""Longer than all timeouts of one drafting run together."""
_JOB_WAIT_S = 5.0

log = structlog.get_logger()


class Controller(Protocol):
    """One stage."""

    async def reconcile(self) -> int: ...


class Almanac:
    """The services and controllers of one worker. Use `Almanac.open`."""

    def __init__(
        self,
        services: Services,
        agents: wiring.Agents,
        supervisor: Supervisor,
        sources: tuple[SettingSource, ...] = (),
    ) -> None:
        self.settings = services.settings
        self.sources = sources
        self.services = services
        self.agents = agents
        self.jobs = supervisor
        self.controllers: dict[str, Controller] = _controllers(services, agents, supervisor)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, sources: tuple[SettingSource, ...] = ()
    ) -> AsyncIterator[Almanac]:
        """Everything but the gateway and the timers. One process a home. `sources` say where the
        settings came from, for their page.

        Raises ConfigError, NewerDatabaseError.
        """
        settings.require_contact()
        settings.require_base_model()
        async with AsyncExitStack() as stack:
            services = stack.enter_context(Services.open(settings))
            stack.enter_context(only_worker(settings.home))
            owner = _owner(settings)
            with services.database.write() as session:
                leases.release_all(session, owner)  # the lock says that nobody holds them
            services.registry.tidy()
            gate_policy(settings.gate.policy)  # a bad one is told now, not after the training
            agents = await stack.enter_async_context(wiring.agents(services))
            supervisor = Supervisor(
                threads=settings.jobs.threads,
                heartbeat_timeout_s=settings.jobs.heartbeat_timeout_s,
            )
            stack.callback(supervisor.stop_all)
            yield cls(services, agents, supervisor, sources)

    async def step(self) -> int:
        """One round of all controllers, in the order of a fact's way; the steps taken."""
        taken = 0
        for controller in self.controllers.values():
            taken += await controller.reconcile()
        return taken

    async def run_until_idle(self) -> int:
        """Rounds until nothing is left to do now, jobs included; the steps taken.

        What waits for the clock, for a person or for a pause after a failure is left waiting.
        """
        taken = 0
        while True:
            steps = await self.step()
            taken += steps
            if steps == 0 and not self.jobs.running():
                return taken
            if steps == 0:
                await self.jobs.wait_any(_JOB_WAIT_S)

    async def serve(self) -> None:
        """Run with timers, intake, gateway and web until SIGTERM or SIGINT, then drain."""
        await ServiceLoop(self).run()

    async def status(self) -> dict[str, Any]:
        """Where everything stands, with the jobs of this process."""
        data = await asyncio.to_thread(self.services.status)
        data["jobs"] = [folder.name for folder in self.jobs.running()]
        return data


@contextmanager
def only_worker(home: Path) -> Iterator[None]:
    """Hold the home for this process; the system lets go when it ends, however that happens."""
    with (home / LOCK).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another Almanac works on {home}; end it, or set home to another folder"
            ) from None
        yield


def _owner(settings: Settings) -> str:
    return f"{socket.gethostname()}:{settings.home.resolve()}"


def _controllers(
    services: Services, agents: wiring.Agents, supervisor: Supervisor
) -> dict[str, Controller]:
    settings, database, clock = services.settings, services.database, services.clock
    owner, attempts = _owner(settings), settings.jobs.attempts
    runner = StageRunner(
        database,
        supervisor,
        clock,
        owner=owner,
        lease_s=settings.jobs.lease_s,
        attempts=attempts,
    )
    found: dict[str, Controller] = {
        "watch": WatchController(agents.watcher, batch=settings.wikidata.batch_items),
        "curate": CurateController(
            database,
            agents.curator,
            clock,
            owner=owner,
            lease_s=CURATE_LEASE_S,
            attempts=attempts,
        ),
    }
    if settings.review.auto_approve:
        rules = policy.load(settings.review.policy)
        found["review"] = ReviewPolicyController(services.review, rules)
    release = settings.release
    found |= {
        "release": ReleaseController(services.releases, size=release.size, at_most=release.max),
        "train": TrainController(runner, database, services.registry, clock, settings),
        "evaluate": EvaluateController(runner, database, services.registry, clock, settings),
        "promote": PromoteController(
            database, services.registry, clock, enabled=release.auto_promote
        ),
    }
    return found


def up(settings: Settings, sources: tuple[SettingSource, ...] = ()) -> None:
    """Run the service until it is told to stop."""

    async def main() -> None:
        async with Almanac.open(settings, sources) as almanac:
            await almanac.serve()

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        log.info("stopped", signal=signal.SIGINT.name)
