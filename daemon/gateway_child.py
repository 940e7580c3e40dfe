"""The gateway as a child of the service: started, started again when it ends, ended in time.

Owns its life and the look at its health; what it serves is `daemon.serving`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import httpx
import structlog

from daemon import config
from daemon.config import Settings
from daemon.serving.announcement import ANNOUNCEMENT, announced_url
from daemon.upkeep import sdnotify
from daemon.upkeep.degraded import Degraded, Mode

_RESTART_S = 5.0
_CONFIG_EXIT = 2
_LOOK_S = 0.1

log = structlog.get_logger()


class GatewayChild:
    """One gateway process of this service."""

    def __init__(self, settings: Settings, degraded: Degraded) -> None:
        self._settings = settings
        self._degraded = degraded
        self._child: asyncio.subprocess.Process | None = None
        self.given_up = False
        """It ended for a reason that a person has to mend."""

    async def keep(self, stop: asyncio.Event) -> None:
        """Run it until `stop`; the caller then calls `end`."""
        (self._settings.home / ANNOUNCEMENT).unlink(missing_ok=True)
        while not stop.is_set():
            try:
                self._child = await self._start()
            except OSError as error:  # no memory for a process, or no room for one more
                self._degraded.report(Mode.GATEWAY, f"the gateway cannot be started: {error}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _RESTART_S)
                continue
            ended = asyncio.create_task(self._child.wait())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if stop.is_set():
                await ended
                return
            status = self._child.returncode
            log.error("gateway.ended", status=status)
            self._degraded.report(Mode.GATEWAY, f"the gateway ended with status {status}")
            if status == _CONFIG_EXIT:
                self.given_up = True
                return  # it said why; a person has to mend it, the rest goes on
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RESTART_S)

    async def end(self, grace_s: float) -> None:
        """Let running requests finish for `grace_s` seconds, then end it."""
        child = self._child
        if child is None or child.returncode is not None:
            return
        child.terminate()
        try:
            await asyncio.wait_for(child.wait(), grace_s)
        except TimeoutError:
            log.warning("gateway.killed", after_s=grace_s)
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    async def wait_ready(self, timeout_s: float) -> bool:
        """Until it answers, gave up, or the time is over; whether it answers."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while loop.time() < until and not self.given_up:
            if await self.answers():
                return True
            await asyncio.sleep(_LOOK_S)
        return False

    async def answers(self) -> bool:
        """Whether its health is good now."""
        url = announced_url(self._settings.home)
        if url is None:
            return False
        try:
            async with httpx.AsyncClient(timeout=2.0) as client:
                good = (await client.get(f"{url}/healthz")).status_code == 200
        except httpx.HTTPError:
            return False
        if good:
            self._degraded.report(Mode.GATEWAY, None)
        return good

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "daemon.jobs.child",
            str(os.getpid()),
            sys.executable,
            "-m",
            "daemon.serving",
            env={**sdnotify.environment(), **config.to_environment(self._settings)},
            start_new_session=True,
        )
