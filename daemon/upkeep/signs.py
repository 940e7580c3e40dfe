"""What one process of the service tells of itself: ready or not, status, metrics, its row.

Owns the answers behind `/healthz`, `/readyz`, `/status` and `/metrics`; their addresses are
`daemon.web.health`'s. Reads everything, moves nothing.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, generate_latest
from starlette.types import ASGIApp

from daemon.config import SettingSource
from daemon.jobs.supervisor import progress_of
from daemon.operating import Role
from daemon.upkeep.degraded import Degraded, Mode
from daemon.upkeep.leader import Leadership
from daemon.upkeep.metrics import ServiceCollector
from daemon.web import health

if TYPE_CHECKING:
    from daemon.app import Almanac
    from daemon.services import Services


STUCK_S = 60.0
"""The timers have not come round for so long: something hangs, and the watchdog may bite."""


class WebSigns:
    """The signs of a process that only answers: no stages, no jobs."""

    def __init__(self, services: Services, degraded: Degraded, name: str, role: Role) -> None:
        self._services = services
        self._degraded = degraded
        self._name = name
        self._role = role
        self.ready = False
        self.registry = CollectorRegistry()
        self.registry.register(ServiceCollector(services, degraded))

    def application(self, *, web: bool, sources: tuple[SettingSource, ...] = ()) -> ASGIApp:
        """The health endpoints, with the pages below them where this process has them."""
        if not web:
            return health.application(self, None)
        from daemon.web.app import create_app  # a worker does not wait for pages that it has not

        pages = create_app(self._services, self.status, sources=sources)
        return health.application(self, pages)

    # -- what the endpoints ask -------------------------------------------------------------------

    async def alive(self) -> str | None:
        """None when the event loop and its threads answer; they do, if this is heard."""
        await asyncio.to_thread(lambda: None)
        return None

    async def unready(self) -> list[str]:
        """Why this process should not get work or requests; empty when it should."""
        reasons = [] if self.ready else ["it has not finished starting"]
        blocking = (Mode.DATABASE, Mode.DISK, Mode.GATEWAY)
        reasons += [t.reason for t in self._degraded.list() if t.mode in blocking]
        try:
            await asyncio.to_thread(self._services.database.ping)
        except Exception as error:
            reasons.append(f"the database does not answer: {str(error).splitlines()[0]}")
        return reasons

    async def status(self) -> dict[str, Any]:
        """Where everything stands, over all processes. Raises when the database is away."""
        data = await asyncio.to_thread(self._services.status)
        data["process"] = self.own_state() | {
            "name": self._name,
            "role": self._role.value,
            "ready": self.ready,
        }
        return data

    def metrics(self) -> bytes:
        return generate_latest(self.registry)

    def own_state(self) -> dict[str, Any]:
        return {"degraded": [trouble.data() for trouble in self._degraded.list()]}

    # -- the row ----------------------------------------------------------------------------------

    def write(self) -> None:
        self._services.workers.sign(self._name, self._role, leads=False, state=self.own_state())

    def leave(self) -> None:
        self._services.workers.leave(self._name)


class Signs(WebSigns):
    """The signs of a worker."""

    def __init__(self, almanac: Almanac, role: Role, leadership: Leadership) -> None:
        super().__init__(almanac.services, almanac.degraded, almanac.name, role)
        self._almanac = almanac
        self._leadership = leadership
        self._ticked_at_s = time.monotonic()
        self._steps = Counter(
            "almanac_steps", "Steps taken, by stage", ["stage"], registry=self.registry
        )
        self._runs = Counter(
            "almanac_schedule_runs",
            "Runs of the timetable, by line and outcome",
            ["line", "outcome"],
            registry=self.registry,
        )

    def ticked(self) -> None:
        """A timer has come round."""
        self._ticked_at_s = time.monotonic()

    def stuck(self) -> str | None:
        """None when timers come round."""
        still_s = time.monotonic() - self._ticked_at_s
        return f"no timer has come round for {still_s:.0f} s" if still_s > STUCK_S else None

    async def alive(self) -> str | None:
        return self.stuck() or await super().alive()

    def count(self, stage: str, steps: int) -> None:
        self._steps.labels(stage=stage).inc(steps)

    def ran(self, line: str, outcome: str) -> None:
        self._runs.labels(
            line=line, outcome="failed" if outcome.startswith("failed") else "done"
        ).inc()

    def line(self) -> str:
        """One line for `systemctl status`."""
        modes = ", ".join(trouble.mode.value for trouble in self._degraded.list())
        jobs = ", ".join(folder.name for folder in self._almanac.jobs.running())
        parts = ["leads" if self._leadership.leads else "follows", jobs, modes and f"but: {modes}"]
        return f"{self._role.value}: " + "; ".join(part for part in parts if part)

    def own_state(self) -> dict[str, Any]:
        running = self._almanac.jobs.running()
        return super().own_state() | {
            "leads": self._leadership.leads,
            "jobs": [{"job": f.name, "progress": progress_of(f)} for f in running],
            "served_meanwhile": self._almanac.admission.served_meanwhile(bool(running)),
        }

    def write(self) -> None:
        leads = self._leadership.leads
        self._services.workers.sign(self._name, self._role, leads=leads, state=self.own_state())
