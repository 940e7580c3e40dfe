"""The gateway as a child of the service: started, started again when it ends, ended in time.

Owns its life and the look at its health: one that no longer answers is told, then ended, so that it
is started again. What it serves is `daemon.serving`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import Any

import httpx
import structlog

from daemon import config
from daemon.config import Settings
from daemon.serving.announcement import ANNOUNCEMENT, announced_url
from daemon.upkeep import sdnotify
from daemon.upkeep.degraded import Degraded, Mode

_RESTART_S = 5.0
_CONFIG_EXIT = 2
_READY_LOOK_S = 0.1
_ANSWER_S = 5.0
LOOK_S = 10.0
"""How often the service has `look` called."""
SILENT_TOLD, SILENT_ENDED = 3, 12
"""So many looks in a row without an answer are told, and so many more end it."""
STARTING_TOLD = 30
"""So many looks at one that reads its model are told; it is not ended, a large one takes long."""

log = structlog.get_logger()


class GatewayChild:
    """One gateway process of this service."""

    def __init__(self, settings: Settings, degraded: Degraded) -> None:
        self._settings = settings
        self._degraded = degraded
        self._child: asyncio.subprocess.Process | None = None
        self._silent = 0
        self._starting = 0
        self.given_up = False
        """It ended for a reason that a person has to mend."""

    async def keep(self, stop: asyncio.Event) -> None:
        """Run it until `stop`; the caller then calls `end`."""
        while not stop.is_set():
            (self._settings.home / ANNOUNCEMENT).unlink(missing_ok=True)  # of one that was killed
            self._silent = self._starting = 0
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
            self._degraded.report(Mode.SERVING, None)
            self._degraded.report(Mode.GATEWAY, self._why_ended(status))
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
            health = await self._health()
            if health is not None and health["answers"]:
                self._heard(health)
                return True
            await asyncio.sleep(_READY_LOOK_S)
        return False

    async def look(self) -> None:
        """Tell how it is. One that does not answer look after look is ended; `keep` starts it
        again."""
        child = self._child
        if child is None or child.returncode is not None:
            return  # `keep` has told it
        announced = announced_url(self._settings.home) is not None
        health = await self._health()
        if child is not self._child or child.returncode is not None:
            return
        if health is not None:
            self._heard(health)
        elif not announced:
            self._still_starting("reading its model")
        else:
            self._silent += 1
            if self._silent >= SILENT_TOLD:
                self._degraded.report(Mode.GATEWAY, self._silence())
            if self._silent >= SILENT_ENDED:
                log.error("gateway.hangs", looks=self._silent)
                with contextlib.suppress(ProcessLookupError):
                    child.kill()  # a loop that hangs hears no other signal

    def _heard(self, health: dict[str, Any]) -> None:
        self._silent = 0
        why = "; ".join(health["problems"])
        if health["answers"]:
            self._starting = 0
            self._degraded.report(Mode.GATEWAY, None)
            self._degraded.report(Mode.SERVING, why or None)
        elif why:
            self._degraded.report(Mode.GATEWAY, f"the gateway refuses every request: {why}")
        else:
            self._still_starting("loading its first version")

    def _still_starting(self, doing: str) -> None:
        self._starting += 1
        if self._starting >= STARTING_TOLD:
            text = f"the gateway has been {doing} for {self._starting * LOOK_S / 60:.0f} minutes"
            self._degraded.report(Mode.GATEWAY, text)

    def _silence(self) -> str:
        return f"the gateway runs and has not answered {self._silent} looks in a row"

    def _why_ended(self, status: int | None) -> str:
        if self._silent >= SILENT_ENDED:
            return f"{self._silence()}; it was ended"
        return f"the gateway ended with status {status}"

    async def _health(self) -> dict[str, Any] | None:
        """What it says of itself; None when it says nothing."""
        url = announced_url(self._settings.home)
        if url is None:
            return None
        try:
            async with httpx.AsyncClient(timeout=_ANSWER_S, trust_env=False) as client:
                said = (await client.get(f"{url}/healthz")).json()
            return {"answers": bool(said["answers"]), "problems": [*map(str, said["problems"])]}
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
            return None

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
