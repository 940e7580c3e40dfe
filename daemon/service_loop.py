"""The life of the service: timers, intake, gateway, web, and a drain at the end.

Owns which stage runs where and when (each by itself, never twice at once, woken when another one
has made work; some only where this process leads, some only at times of the timetable), and the
order of stopping, within `STOP_S`. Does no work of its own.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog
import uvicorn
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from daemon.accounts import Role as Right
from daemon.accounts.service import LINK_H
from daemon.controllers.failures import of_the_machine
from daemon.controllers.stage import JobController
from daemon.gateway_child import LOOK_S as GATEWAY_LOOK_S
from daemon.gateway_child import GatewayChild
from daemon.intake import Intake
from daemon.listening import listen
from daemon.operating import Role
from daemon.stopping import Server, catch_signals
from daemon.stream_life import StreamLife
from daemon.timed_work import TimedWork
from daemon.timers import mind_the_clock
from daemon.upkeep import sdnotify
from daemon.upkeep.degraded import Degraded, Mode
from daemon.upkeep.disk import free_share, is_full
from daemon.upkeep.leader import Leadership
from daemon.upkeep.schedule import TIMED
from daemon.upkeep.signs import Signs
from daemon.web import health
from daemon.web.security import check_binding

if TYPE_CHECKING:
    from daemon.app import Almanac

STOP_S = 12.0
"""Within this an orderly stop is over, whatever was at work."""
_DRAIN_S = 6.0
_GATEWAY_GRACE_S = 8.0
_LEADER_LOOK_S = 2.0
_READY_S = 60.0

LEADERS = frozenset({"watch", "review", "release", "promote"})
"""Stages of the leader alone. The others are shared by leases."""
LINES = {"watch": "poll"}
"""Names of stages on the timetable, where they differ."""
_NEEDS_ROOM = frozenset({"watch", "curate", "release", "train", "evaluate"})

log = structlog.get_logger()


class ServiceLoop:
    """Runs an opened `Almanac` until a signal, then lets every step finish."""

    def __init__(self, almanac: Almanac, role: Role = Role.ALL) -> None:
        self._almanac = almanac
        self._settings = almanac.settings
        self._role = role
        self._stop = asyncio.Event()
        self._scheduler = AsyncIOScheduler(
            timezone=dt.UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._ticks: set[asyncio.Task[object]] = set()
        self._degraded: Degraded = almanac.degraded
        services = almanac.services
        self._schedule = services.schedule
        self._leadership = Leadership(services.database, self._settings.home, almanac.owner)
        intake = Intake(
            almanac.agents.api,
            services.ledger,
            services.clock,
            self._settings,
        )
        self._stream = StreamLife(self._settings, services, intake, self._degraded)
        self._timed = TimedWork(almanac, intake)
        self._signs = Signs(almanac, role, self._leadership)
        self._gateway: GatewayChild | None = None
        if role is Role.ALL and self._settings.gateway.enabled:
            self._gateway = GatewayChild(self._settings, self._degraded)
        self._paused: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Raises ConfigError for a busy port, or one that must not be open to others without
        accounts; before anything is started."""
        accounts = self._almanac.services.accounts
        check_binding(self._settings, accounts=accounts.any())
        listening = listen(self._settings.web.host, self._settings.web.port, "web.port")
        if self._gateway is not None:
            _require_free(self._settings.gateway.host, self._settings.gateway.port)
        catch_signals(self._stop)
        pages = self._signs.application(web=self._role is Role.ALL, sources=self._almanac.sources)
        web = Server(_uvicorn(pages))
        tasks = [asyncio.create_task(web.serve(sockets=[listening]))]
        tasks += health.serve_apart(self._settings.health, self._signs)
        if self._gateway is not None:
            tasks.append(asyncio.create_task(self._gateway.keep(self._stop)))
        await self._start_timers()
        host, port = listening.getsockname()[:2]
        url = f"http://{host}:{port}"
        log.info("service.started", role=self._role.value, web=url, home=str(self._settings.home))
        if self._role is Role.ALL and not accounts.any():
            link = f"{url}/enter/{accounts.link(role=Right.ADMIN)}"
            log.info("service.first_account", link=link, valid_h=LINK_H)
        works = (self._say_ready(), self._watchdog(), mind_the_clock(self._scheduler))
        beside = [asyncio.create_task(work) for work in works]
        await self._stop.wait()
        began = time.monotonic()
        log.info("service.draining")
        sdnotify.notify(STOPPING="1", STATUS="draining")
        for task in beside:
            task.cancel()
        await self._drain([web], tasks, began)
        log.info("service.stopped", took_s=round(time.monotonic() - began, 2))

    async def _start_timers(self) -> None:
        try:
            await self._lead()
        except Exception as error:  # the next look is soon
            self._failed("leader", error)
        self._every(_LEADER_LOOK_S, "leader", self._lead)
        self._every(_LEADER_LOOK_S, "disk", self._look_at_disk)
        self._every(10.0, "signs", self._sign)
        if self._gateway is not None:
            self._every(GATEWAY_LOOK_S, "gateway", self._gateway.look)
        for name in self._almanac.controllers:
            self._every(
                self._settings.schedule.tick_s, name, lambda name=name: self._reconcile(name)
            )
        for name in TIMED:
            self._every(self._settings.schedule.tick_s, f"at:{name}", self._at(name))
        self._every(5.0, "messages", self._tell)
        self._scheduler.start()

    def _every(self, seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
        async def tick() -> None:
            task = asyncio.current_task()
            assert task is not None
            self._ticks.add(task)
            self._signs.ticked()
            try:
                await work()
            except Exception as error:
                self._failed(name, error)
            finally:
                self._ticks.discard(task)

        self._scheduler.add_job(
            tick, "interval", seconds=seconds, id=name, next_run_time=dt.datetime.now(dt.UTC)
        )

    def _failed(self, name: str, error: Exception) -> None:
        if is_full(error):
            self._degraded.report(Mode.DISK, f"the disk is full: {error}".splitlines()[0])
        elif of_the_machine(error):
            self._degraded.report(Mode.DATABASE, str(error).splitlines()[0])
        else:
            log.exception("service.step_failed", step=name, exc_info=error)
            return
        log.warning("service.step_waits", step=name, reason=str(error).splitlines()[0])

    # -- stages -----------------------------------------------------------------------------------

    async def _reconcile(self, name: str) -> None:
        if not self._may(name):
            return
        line = LINES.get(name, name)
        controller, slot = self._almanac.controllers[name], None
        step = controller.reconcile
        if self._schedule.has_times(line) and line != "release":
            if self._leadership.leads:
                fence = self._leadership.check
                slot = await asyncio.to_thread(self._schedule.begin, line, fence)
            if slot is None:
                if not isinstance(controller, JobController):
                    return
                step = controller.follow  # what was begun ends at any time
        taken = 0
        while self._may(name):
            steps = await step()
            if not steps:
                break
            taken += steps
        if slot is not None:
            text = f"{taken} steps"
            await asyncio.to_thread(self._schedule.end, line, slot, text, self._leadership.check)
        if taken:
            self._signs.count(name, taken)
            log.info("service.steps", controller=name, steps=taken)
            self._wake(but=name)

    def _may(self, name: str) -> bool:
        """Whether this process runs the stage now."""
        if self._stop.is_set() or LINES.get(name, name) in self._paused:
            return False
        if name in LEADERS and not self._leadership.leads:
            return False
        return name not in _NEEDS_ROOM or self._degraded.takes_in

    def _at(self, name: str) -> Callable[[], Awaitable[None]]:
        """The work of a line that has times only, when one of them has come."""

        async def look() -> None:
            if self._stop.is_set() or not self._leadership.leads or name in self._paused:
                return
            fence = self._leadership.check
            slot = await asyncio.to_thread(self._schedule.begin, name, fence)
            if slot is None:
                return
            try:
                outcome = await self._timed.do(name)
            except Exception as error:
                if of_the_machine(error):
                    raise  # the slot stays begun and is done when the machine is well
                log.exception("schedule.failed", line=name)
                outcome = f"failed: {error}"
            await asyncio.to_thread(self._schedule.end, name, slot, outcome, fence)
            self._signs.ran(name, outcome)
            log.info("schedule.ran", line=name, slot=slot.isoformat(), outcome=outcome)
            self._wake(but="")

        return look

    def _wake(self, *, but: str) -> None:
        """Let the other controllers look now: one has made work."""
        for name in self._almanac.controllers:
            job = self._scheduler.get_job(name) if name != but else None
            if job is not None and not self._stop.is_set():
                job.modify(next_run_time=dt.datetime.now(dt.UTC))

    # -- what stands beside the stages ------------------------------------------------------------

    async def _lead(self) -> None:
        leads = not self._stop.is_set() and await asyncio.to_thread(self._leadership.stand)
        self._paused = await asyncio.to_thread(self._schedule.paused)
        self._degraded.report(Mode.PAUSED, ", ".join(sorted(self._paused)) or None)
        takes_in = leads and self._degraded.takes_in and "poll" not in self._paused
        if takes_in and not self._stop.is_set():
            self._stream.begin()
        elif self._stream.runs:
            await self._stream.end()

    async def _look_at_disk(self) -> None:
        share = await asyncio.to_thread(free_share, self._settings.home)
        least = self._settings.disk.least_free_share
        low = f"{share:.1%} of the disk is free, less than {least:.0%}" if share < least else None
        self._degraded.report(Mode.DISK, low)
        self._degraded.report(Mode.ACCELERATOR, self._almanac.admission.waiting)
        spent = await asyncio.to_thread(self._almanac.services.spending.exhausted)
        self._degraded.report(Mode.BUDGET, spent)

    async def _sign(self) -> None:
        self._stream.look()
        await asyncio.to_thread(self._signs.write)
        self._degraded.report(Mode.DATABASE, None)

    async def _tell(self) -> None:
        if self._leadership.leads:
            await self._almanac.messages.round(self._degraded.list())

    async def _say_ready(self) -> None:
        if self._gateway is not None and not await self._gateway.wait_ready(_READY_S):
            log.warning("service.ready_without_gateway")
        self._signs.ready = True
        sdnotify.notify(READY="1", STATUS=f"{self._role.value}: running")
        log.info("service.ready")

    async def _watchdog(self) -> None:
        every_s = sdnotify.watchdog_s()
        if every_s is None:
            return
        while True:
            if self._signs.stuck() is None:
                sdnotify.notify(WATCHDOG="1", STATUS=self._signs.line())
            await asyncio.sleep(every_s)

    # -- the end ----------------------------------------------------------------------------------

    async def _drain(
        self, servers: list[uvicorn.Server], tasks: list[asyncio.Task[None]], began: float
    ) -> None:
        self._scheduler.pause()  # a shutdown would cancel the steps that are at work
        self._almanac.agents.curator.drain()
        ends = [
            self._stream.end(_DRAIN_S),
            self._finish_ticks(),
            asyncio.to_thread(self._almanac.jobs.stop_all, _DRAIN_S),
        ]
        if self._gateway is not None:
            ends.append(self._gateway.end(_GATEWAY_GRACE_S))
        for result in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(result, BaseException):
                log.warning("service.drain", reason=str(result))
        self._scheduler.shutdown(wait=False)
        await asyncio.to_thread(self._almanac.jobs.stop_all, 1.0)  # what a last step still began
        await asyncio.to_thread(self._leadership.give_up)
        await asyncio.to_thread(self._signs.leave)
        for server in servers:
            server.should_exit = True
        left_s = max(0.5, STOP_S - (time.monotonic() - began))
        _, late = await asyncio.wait(tasks, timeout=left_s)
        for task in late:
            task.cancel()

    async def _finish_ticks(self) -> None:
        """Steps may end what they are at; what takes too long is cut, and begun again later."""
        running = {task for task in self._ticks if not task.done()}
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=_DRAIN_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=2.0)


def _uvicorn(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        timeout_graceful_shutdown=2,  # live pages listen until they are told to go
    )


def _require_free(host: str, port: int) -> None:
    listen(host, port, "gateway.port").close()
