"""The gateway as a process: that it answers until it is told to stop, and how long it then takes.

Composition of source and engine is in `__main__`.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import structlog
import uvicorn

from daemon.serving.announcement import announced
from daemon.serving.gateway import Gateway, create_app
from daemon.stopping import Server, catch_signals
from daemon.upkeep import sdnotify

log = structlog.get_logger()


_NOT_STARTED = 3
DRAIN_S = 6.0
"""So long may requests that are being answered go on after a SIGTERM. With the end of the engine
behind it a stop is over within the 8 s that a service gives its gateway, and within the 15 s of one
that is a service of its own."""


def serve(gateway: Gateway, listening: socket.socket, home: Path) -> None:
    """Answer until SIGTERM or SIGINT; running requests are finished first, for `DRAIN_S`. A second
    signal ends the process at once."""
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    config = uvicorn.Config(
        create_app(gateway),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=round(DRAIN_S),
    )
    with (
        announced(home, url),
        asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
    ):
        log.info("gateway.listening", url=url, alias=gateway.alias)
        sdnotify.notify(READY="1", STATUS=f"gateway: {url}")  # where it is a service of its own
        if not runner.run(_until_told(Server(config), listening)):
            raise SystemExit(_NOT_STARTED)  # why is logged; not 0, so that it is started again


async def _until_told(server: Server, listening: socket.socket) -> bool:
    """Whether it has served at all."""
    stop = asyncio.Event()
    catch_signals(stop)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    told = asyncio.create_task(stop.wait())
    feeding = asyncio.create_task(_feed_watchdog())
    await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    if told.done():
        log.info("gateway.draining")
        sdnotify.notify(STOPPING="1", STATUS="draining")
    told.cancel()
    server.should_exit = True
    await serving
    feeding.cancel()
    return server.started


async def _feed_watchdog() -> None:
    """Tell systemd that the loop which answers comes round."""
    every_s = sdnotify.watchdog_s()
    while every_s is not None:
        sdnotify.notify(WATCHDOG="1")
        await asyncio.sleep(every_s)
