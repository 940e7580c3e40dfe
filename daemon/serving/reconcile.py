"""The gateway follows the alias: level-triggered, so that no missed signal matters.

Owns the loop verify -> load -> smoke -> flip -> drain, and what is known of the last failure. Does
not decide which version should serve: the registry's alias does.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog

from daemon.serving.errors import VersionRefused
from daemon.serving.residents import Residents
from daemon.serving.versions import Target, VersionSource

POLL_S = 0.1
RETRY_S = 5.0
DRAIN_TIMEOUT_S = 120.0

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
        self._draining: set[asyncio.Task[None]] = set()
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
            return False
        if self._refused_before(target):
            return False
        return await self._move(target)

    def _refused_before(self, target: Target) -> bool:
        refusal = self.refusal
        if refusal is None or refusal.target != target:
            return False
        return time.monotonic() < refusal.again_at_s

    async def _move(self, target: Target) -> bool:
        version, started = target.version, time.monotonic()
        try:
            material = await self._residents.load(version)
            await self._residents.smoke(version, material)
        except VersionRefused as error:
            await self._refuse(target, str(error))
            return False
        before = self._residents.current
        self._residents.flip(version)
        self.generation, self.refusal = target.generation, None
        took_s = time.monotonic() - started
        log.info("gateway.serving", version=version.label, digest=version.digest, took_s=took_s)
        await self._tell("gateway.serving", target, f"serving after {took_s:.2f} s")
        if before is not None:
            task = asyncio.create_task(self._retire())
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)
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
        await self._tell("gateway.refused", target, reason)
        await self._residents.unload(target.version)

    async def _tell(self, kind: str, target: Target, detail: str) -> None:
        """The event is a courtesy: serving goes on when the database cannot take it."""
        try:
            await asyncio.to_thread(self._source.report, kind, target.version, detail)
        except Exception as error:
            log.warning("gateway.event_lost", event_kind=kind, reason=str(error))

    async def _retire(self) -> None:
        """Unload what is neither served nor previous, each once its last request is answered."""
        kept = (self._residents.current, self._residents.previous)
        for version in self._residents.loaded:
            if version not in kept and await self._residents.drain(version, DRAIN_TIMEOUT_S):
                await self._residents.unload(version)
