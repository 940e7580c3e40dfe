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
from daemon.errors import ConfigError, Retryable
from daemon.jobs.evaluation_job import gate_policy
from daemon.jobs.sharing import Admission
from daemon.jobs.supervisor import Supervisor, device_lock
from daemon.operating import Role
from daemon.review import policy
from daemon.service_loop import ServiceLoop
from daemon.services import Services
from daemon.stopping import leave
from daemon.store import leases
from daemon.store.engine import SERVER_PATIENCE_S
from daemon.upkeep.degraded import Degraded
from daemon.upkeep.messages import Messages

LOCK = "almanac.lock"
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
        self.name = worker_name(services.settings)
        self.owner = _owner(services.settings)
        self.degraded = Degraded()
        settings = services.settings
        self.admission = Admission(
            settings.accelerator, supervisor, settings.home, timezone=settings.schedule.timezone
        )
        self.messages = Messages(services.database, services.clock, settings.notify)
        self.controllers: dict[str, Controller] = _controllers(self)

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
            services = stack.enter_context(Services.open(settings, patience_s=SERVER_PATIENCE_S))
            stack.enter_context(only_worker(settings.home, settings.worker.name))
            owner = _owner(settings)
            with services.database.write() as session:
                leases.release_all(session, owner)  # the lock says that nobody holds them
            services.registry.tidy()
            gate_policy(settings.gate.policy)  # a bad one is told now, not after the training
            agents = await stack.enter_async_context(wiring.agents(services))
            supervisor = Supervisor(
                threads=settings.jobs.threads,
                heartbeat_timeout_s=settings.jobs.heartbeat_timeout_s,
                device_lock=device_lock(settings.accelerator.device, settings.accelerator.locks),
            )
            stack.callback(supervisor.stop_all)
            almanac = cls(services, agents, supervisor, sources)
            await almanac.wake_device()
            yield almanac

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

    async def serve(self, role: Role = Role.ALL) -> None:
        """Run with timers, intake, gateway and web until SIGTERM or SIGINT, then drain."""
        await ServiceLoop(self, role).run()

    async def wake_device(self) -> None:
        """Give back the device that a killed predecessor took from the model server."""
        try:
            await self.admission.after()
        except Retryable as error:
            log.warning("accelerator.not_woken", reason=str(error))

    async def status(self) -> dict[str, Any]:
        """Where everything stands, with the jobs of this process."""
        data = await asyncio.to_thread(self.services.status)
        data["jobs"] = [folder.name for folder in self.jobs.running()]
        return data


@contextmanager
def only_worker(home: Path, name: str = "") -> Iterator[None]:
    """Hold the home for this process; the system lets go when it ends, however that happens.

    Several workers may share a home when each has a name of its own and the database is a server's.
    """
    lock = f"{name}.{LOCK}" if name else LOCK
    with (home / lock).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another Almanac works on {home}; end it, or set home to another folder (or, with "
                "PostgreSQL, worker.name to a name of its own)"
            ) from None
        yield


def _owner(settings: Settings) -> str:
    return f"{socket.gethostname()}:{settings.home.resolve()}:{settings.worker.name}"


def worker_name(settings: Settings) -> str:
    """Of this process among those on one database."""
    return settings.worker.name or socket.gethostname()


def _controllers(almanac: Almanac) -> dict[str, Controller]:
    services, agents, supervisor = almanac.services, almanac.agents, almanac.jobs
    settings, database, clock = services.settings, services.database, services.clock
    owner, attempts = almanac.owner, settings.jobs.attempts
    runner = StageRunner(
        database,
        supervisor,
        clock,
        owner=owner,
        lease_s=settings.jobs.lease_s,
        attempts=attempts,
        admission=almanac.admission,
    )
    found: dict[str, Controller] = {
        "watch": WatchController(
            agents.watcher, batch=settings.wikidata.batch_items, degraded=almanac.degraded
        ),
        "curate": CurateController(
            database,
            agents.curator,
            clock,
            owner=owner,
            lease_s=settings.jobs.lease_s,
            attempts=attempts,
            batch=settings.worker.batch,
            crashes=settings.jobs.crashes,
        ),
    }
    if settings.review.auto_approve:
        rules = policy.load(settings.review.policy)
        found["review"] = ReviewPolicyController(services.review, services.unattended, rules)
    release = settings.release
    found |= {
        "release": ReleaseController(
            services.releases,
            clock,
            size=release.size,
            at_most=release.max,
            oldest_h=release.oldest_h,
        ),
        "train": TrainController(runner, database, services.registry, clock, settings),
        "evaluate": EvaluateController(runner, database, services.registry, clock, settings),
        "promote": PromoteController(
            database, services.registry, clock, enabled=release.auto_promote
        ),
    }
    return found


def up(settings: Settings, sources: tuple[SettingSource, ...] = (), role: Role = Role.ALL) -> None:
    """Run the service, or one role of it, until it is told to stop. Raises ConfigError."""

    async def main() -> None:
        async with Almanac.open(settings, sources) as almanac:
            if settings.worker.name and almanac.services.database.is_sqlite:
                raise ConfigError(
                    "worker.name is set, which is for several workers on one PostgreSQL; "
                    "a SQLite database has one worker"
                )
            await almanac.serve(role)
        leave()

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        log.info("stopped", signal=signal.SIGINT.name)
