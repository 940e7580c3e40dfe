"""The gateway follows the alias: level-triggered, so that no missed signal matters.

Owns the loop verify -> load -> smoke -> flip -> drain, and what is known of the last failure. Does
not decide which version should serve: the registry's alias does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass

import structlog

from daemon.serving.errors import VersionRefused
from daemon.serving.residents import Residents
from daemon.serving.versions import Target, VersionSource

POLL_S = 0.1
RETRY_S = 5.0
DRAIN_TIMEOUT_S = 120.0
LOOK_S = 10.0
"""How often what is resident is compared with what the registry still has."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A target that could not be served, why, and when to look at it again (monotonic seconds)."""

    target: Target
    reason: str
    again_at_s: float


class Reconciler:
    """Moves what is served to what the alias says, and keeps it there."""

    def __init__(self, residents: Residents, source: VersionSource) -> None:
        self._residents = residents
        self._source = source
        self._tasks: set[asyncio.Task[None]] = set()
        self._look_again_at_s = 0.0
        self.generation: int | None = None
        self.refusal: Refusal | None = None
        self.unreachable: str | None = None
        """Why the registry could not be read at the last look; what is loaded goes on serving."""

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            await self.step()
            await asyncio.sleep(POLL_S)

    async def step(self) -> bool:
        """Look once, act once. True when the served version changed."""
        try:
            target = await asyncio.to_thread(self._source.target)
        except Exception as error:
            if self.unreachable is None:
                log.warning("gateway.registry_unreachable", reason=str(error))
            self.unreachable = str(error)
            return False
        self.unreachable = None
        if target.version == self._residents.current:
            self.generation, self.refusal = target.generation, None
            await self._keep_ready(target)
            return False
        if self._refused_before(target):
            return False
        return await self._move(target)

    def _refused_before(self, target: Target) -> bool:
        refusal = self.refusal
        if refusal is None or refusal.target != target:
            return False
        return time.monotonic() < refusal.again_at_s

    async def _keep_ready(self, target: Target) -> None:
        """Hold what a rollback would go to, and let go of what was collected."""
        fallback = target.previous
        if fallback != self._residents.fallback:
            self._residents.fallback = fallback
            if fallback is not None and fallback not in self._residents.loaded:
                try:
                    await self._residents.load(fallback)
                except VersionRefused as error:
                    log.error("gateway.no_way_back", version=fallback.label, reason=str(error))
        if time.monotonic() >= self._look_again_at_s:
            self._look_again_at_s = time.monotonic() + LOOK_S
            self._in_background(self._retire())

    async def _move(self, target: Target) -> bool:
        version, started = target.version, time.monotonic()
        first = self._residents.current is None
        self._residents.candidate = version
        try:
            material = await self._residents.load(version)
            await self._residents.smoke(version, material)
        except VersionRefused as error:
            self._residents.candidate = None
            await self._refuse(target, str(error))
            return False
        self._residents.flip(version)
        self._residents.candidate = None
        self.generation, self.refusal = target.generation, None
        took_s = time.monotonic() - started
        log.info("gateway.serving", version=version.label, digest=version.digest, took_s=took_s)
        self._tell("gateway.serving", target, f"serving after {took_s:.2f} s")
        self._in_background(self._tidy() if first else self._retire())
        return True

    async def _refuse(self, target: Target, reason: str) -> None:
        known = self.refusal
        again = time.monotonic() + RETRY_S
        self.refusal = Refusal(target=target, reason=reason, again_at_s=again)
        if self._residents.current is None:
            self._residents.waiting_for = reason
        if known is not None and known.target == target and known.reason == reason:
            return
        log.error("gateway.refused", version=target.version.label, reason=reason)
        self._tell("gateway.refused", target, reason)
        await self._residents.unload(target.version)

    def _tell(self, kind: str, target: Target, detail: str) -> None:
        """The event is a courtesy: serving goes on when the database cannot take it."""

        async def tell() -> None:
            try:
                await asyncio.to_thread(self._source.report, kind, target.version, detail)
            except Exception as error:
                log.warning("gateway.event_lost", event_kind=kind, reason=str(error))

        self._in_background(tell())

    async def _tidy(self) -> None:
        """Once, after the start: what an earlier gateway left in the upstream goes."""
        try:
            for name in await self._residents.tidy():
                log.info("gateway.left_over_unloaded", adapter=name)
        except Exception as error:
            log.warning("gateway.not_tidied", reason=str(error))

    async def _retire(self) -> None:
        """Unload what is not kept and was not asked for lately, and what was collected, each once
        its last request is answered."""
        try:
            known = set(await asyncio.to_thread(self._source.versions))
        except Exception:
            return  # the next look is soon enough
        for version in self._residents.surplus(known):
            if await self._residents.drain(version, DRAIN_TIMEOUT_S):
                await self._residents.unload(version)

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
