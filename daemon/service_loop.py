"""The life of the service: timers, intake, gateway, web, and a drain at the end.

Owns scheduling (each controller by itself, never twice at once, woken when another one has made
work) and the order of stopping. Does no work of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

import structlog
import uvicorn
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from agents.wikidata.errors import Refused
from agents.wikidata.stream import PageChangeStream
from daemon import config
from daemon.accounts import Role
from daemon.accounts.service import LINK_H
from daemon.contact import user_agent
from daemon.intake import Intake
from daemon.listening import listen
from daemon.web.app import create_app
from daemon.web.security import check_binding

if TYPE_CHECKING:
    from daemon.app import Almanac

TICK_S = 2.0
"""How often each controller looks by itself; a wake-up comes sooner."""
DRAIN_S = 60.0
_RESTART_S = 5.0
_WEB_GRACE_S = 3
"""Live pages listen until they are told to go."""
_CONFIG_EXIT = 2

log = structlog.get_logger()


class _Web(uvicorn.Server):
    """A server that leaves signals to the loop, which drains before it ends this."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ServiceLoop:
    """Runs an opened `Almanac` until a signal, then lets every step finish."""

    def __init__(self, almanac: Almanac) -> None:
        self._almanac = almanac
        self._settings = almanac.settings
        self._stop = asyncio.Event()
        self._scheduler = AsyncIOScheduler(
            timezone=dt.UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._ticks: set[asyncio.Task[object]] = set()
        self._intake = Intake(
            almanac.agents.api,
            almanac.services.ledger,
            almanac.services.clock,
            almanac.settings,
            user_agent(almanac.settings),
        )

    async def run(self) -> None:
        """Raises ConfigError for a busy port, or one that must not be open to others without
        accounts; before anything is started."""
        accounts = self._almanac.services.accounts
        check_binding(self._settings, accounts=accounts.any())
        listening = listen(self._settings.web.host, self._settings.web.port, "web.port")
        if self._settings.gateway.enabled:
            _require_free(self._settings.gateway.host, self._settings.gateway.port)
        self._catch_signals()
        web = self._web()
        tasks = [asyncio.create_task(web.serve(sockets=[listening]))]
        tasks.append(asyncio.create_task(self._follow_stream()))
        if self._settings.gateway.enabled:
            tasks.append(asyncio.create_task(self._keep_gateway()))
        self._schedule()
        host, port = listening.getsockname()[:2]
        url = f"http://{host}:{port}"
        log.info("service.started", web=url, home=str(self._settings.home))
        if not accounts.any():
            link = f"{url}/enter/{accounts.link(role=Role.ADMIN)}"
            log.info("service.first_account", link=link, valid_h=LINK_H)
        await self._stop.wait()
        log.info("service.draining")
        await self._drain(web, tasks)
        log.info("service.stopped")

    def _schedule(self) -> None:
        for name in self._almanac.controllers:
            self._every(TICK_S, name, lambda name=name: self._reconcile(name))
        for seconds, name, work in self._intake.jobs():
            self._every(seconds, name, work)
        self._scheduler.start()

    def _every(self, seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
        async def tick() -> None:
            task = asyncio.current_task()
            assert task is not None
            self._ticks.add(task)
            try:
                await work()
            except Exception:
                log.exception("service.step_failed", step=name)
            finally:
                self._ticks.discard(task)

        self._scheduler.add_job(
            tick, "interval", seconds=seconds, id=name, next_run_time=dt.datetime.now(dt.UTC)
        )

    async def _reconcile(self, name: str) -> None:
        taken = 0
        while not self._stop.is_set():
            steps = await self._almanac.controllers[name].reconcile()
            if not steps:
                break
            taken += steps
        if taken:
            log.info("service.steps", controller=name, steps=taken)
            self._wake(but=name)

    def _wake(self, *, but: str) -> None:
        """Let the other controllers look now: one has made work."""
        for name in self._almanac.controllers:
            job = self._scheduler.get_job(name) if name != but else None
            if job is not None and not self._stop.is_set():
                job.modify(next_run_time=dt.datetime.now(dt.UTC))

    async def _follow_stream(self) -> None:
        """Without the stream the sweep still finds every change, only later."""
        stream = PageChangeStream(
            self._settings.wikidata.stream_url,
            self._almanac.services.ledger,
            user_agent=user_agent(self._settings),
            gap=self._intake.gap,
        )
        while not self._stop.is_set():
            try:
                await stream.run(self._stop)
            except Refused as error:
                log.error("watch.stream_refused", reason=str(error))
                break
            except Exception:
                log.exception("watch.stream_failed")
                await self._pause(_RESTART_S)
        await stream.aclose()

    async def _keep_gateway(self) -> None:
        """The gateway as a child, started again when it ends by itself."""
        while not self._stop.is_set():
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "daemon.jobs.child",
                str(os.getpid()),
                sys.executable,
                "-m",
                "daemon.serving",
                env={**os.environ, **config.to_environment(self._settings)},
                start_new_session=True,
            )
            ended = asyncio.create_task(child.wait())
            stopping = asyncio.create_task(self._stop.wait())
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not ended.done():
                child.terminate()
                await ended
                return
            log.error("gateway.ended", status=child.returncode)
            if child.returncode == _CONFIG_EXIT:
                return  # it said why; a person has to mend it, the rest goes on
            await self._pause(_RESTART_S)

    def _web(self) -> uvicorn.Server:
        app = create_app(
            self._almanac.services, self._almanac.status, sources=self._almanac.sources
        )
        return _Web(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                proxy_headers=False,
                timeout_graceful_shutdown=_WEB_GRACE_S,
            )
        )

    async def _drain(self, web: uvicorn.Server, tasks: list[asyncio.Task[None]]) -> None:
        self._scheduler.shutdown(wait=False)
        self._almanac.agents.curator.drain()
        if self._ticks:
            await asyncio.wait(set(self._ticks), timeout=DRAIN_S)
        await asyncio.to_thread(self._almanac.jobs.stop_all)
        web.should_exit = True
        _, late = await asyncio.wait(tasks, timeout=DRAIN_S)
        for task in late:
            task.cancel()

    def _catch_signals(self) -> None:
        """The first signal drains, the second ends at once; both leave a state to go on from."""
        loop = asyncio.get_running_loop()

        def caught() -> None:
            if self._stop.is_set():
                os._exit(130)
            self._stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, caught)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)


def _require_free(host: str, port: int) -> None:
    listen(host, port, "gateway.port").close()
