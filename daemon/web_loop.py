"""The life of a process that only answers: pages, API and health over a database, no stages.

Loads neither torch nor langgraph. Owns its start and its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

import structlog
import uvicorn

from daemon.accounts import Role as Right
from daemon.accounts.service import LINK_H
from daemon.config import Settings, SettingSource
from daemon.listening import listen
from daemon.operating import Role
from daemon.services import Services
from daemon.stopping import Server, catch_signals
from daemon.store.engine import SERVER_PATIENCE_S
from daemon.upkeep import sdnotify
from daemon.upkeep.degraded import Degraded, Mode
from daemon.upkeep.signs import WebSigns
from daemon.web import health
from daemon.web.security import check_binding

_SIGN_S = 10.0

log = structlog.get_logger()


def run(settings: Settings, sources: tuple[SettingSource, ...] = ()) -> None:
    """The role `web`, until it is told to stop. Raises ConfigError."""
    asyncio.run(WebLoop(settings, sources).run())


class WebLoop:
    """The role `web`."""

    def __init__(self, settings: Settings, sources: tuple[SettingSource, ...] = ()) -> None:
        self._settings = settings
        self._sources = sources
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Answer until SIGTERM or SIGINT. Raises ConfigError, also for a busy port."""
        settings = self._settings
        with Services.open(settings, patience_s=SERVER_PATIENCE_S) as services:
            check_binding(settings, accounts=services.accounts.any())
            listening = listen(settings.web.host, settings.web.port, "web.port")
            degraded = Degraded()
            name = f"{settings.worker.name or socket.gethostname()}:web"
            signs = WebSigns(services, degraded, name, Role.WEB)
            server = Server(
                uvicorn.Config(
                    signs.application(web=True, sources=self._sources),
                    log_config=None,
                    access_log=False,
                    lifespan="off",
                    proxy_headers=False,
                    timeout_graceful_shutdown=3,
                )
            )
            catch_signals(self._stop)
            tasks = [asyncio.create_task(server.serve(sockets=[listening]))]
            tasks += health.serve_apart(settings.health, signs)
            host, port = listening.getsockname()[:2]
            signs.ready = True
            sdnotify.notify(READY="1", STATUS="web: running")
            url = f"http://{host}:{port}"
            log.info("service.started", role="web", web=url)
            if not services.accounts.any():
                link = f"{url}/enter/{services.accounts.link(role=Right.ADMIN)}"
                log.info("service.first_account", link=link, valid_h=LINK_H)
            log.info("service.ready")
            while not self._stop.is_set():
                await self._sign(signs, degraded)
            sdnotify.notify(STOPPING="1")
            server.should_exit = True
            _, late = await asyncio.wait(tasks, timeout=8.0)
            for task in late:
                task.cancel()
            with contextlib.suppress(Exception):  # the database may be what went away
                await asyncio.to_thread(signs.leave)
        log.info("service.stopped")

    async def _sign(self, signs: WebSigns, degraded: Degraded) -> None:
        """A sign of life, then a pause in which the watchdog is fed."""
        try:
            await asyncio.to_thread(signs.write)
            degraded.report(Mode.DATABASE, None)
        except Exception as error:
            degraded.report(Mode.DATABASE, str(error).splitlines()[0])
        pause_s = min(_SIGN_S, sdnotify.watchdog_s() or _SIGN_S)
        sdnotify.notify(WATCHDOG="1")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), pause_s)
