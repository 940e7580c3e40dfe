"""Which versions the engine holds, which one the alias serves, and who is using which.

Owns residency: load, smoke, flip, drain, unload, and the lease that pins a request to one version.
Lives on one asyncio loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from daemon.serving.errors import NotServing, VersionRefused
from daemon.serving.upstream import Upstream
from daemon.serving.versions import Material, Version, VersionSource
from knowledge.answers import mentions

LEAST = 4
"""Adapters that the upstream must be able to hold."""


class Residents:
    """The versions in the engine. `capacity` counts adapters, the base model is always there."""

    def __init__(self, upstream: Upstream, source: VersionSource, *, capacity: int = 4) -> None:
        if capacity < LEAST:
            raise ValueError(
                f"the upstream must hold {LEAST} adapters: current, the one before it, where a "
                "rollback would go, candidate"
            )
        self._upstream = upstream
        self._source = source
        self._capacity = capacity
        self._loaded: OrderedDict[Version, Material] = OrderedDict()
        self._in_flight: Counter[Version] = Counter()
        self._idle = asyncio.Condition()
        self._changing = asyncio.Lock()
        self.current: Version | None = None
        self.previous: Version | None = None
        """What was served before."""
        self.fallback: Version | None = None
        """Where a rollback would go."""
        self.candidate: Version | None = None
        """What is being made ready to serve."""
        self._smoked: set[Version] = set()
        self.waiting_for = "the first version is being loaded"

    @property
    def loaded(self) -> list[Version]:
        return list(self._loaded)

    async def tidy(self) -> list[str]:
        """Unload what an earlier gateway left in the upstream and this one does not hold."""
        held = {name for version in self._loaded if (name := version.adapter)}
        return await self._upstream.keep_only(held)

    def surplus(self, known: Collection[Version]) -> list[Version]:
        """Loaded versions that are not kept: all of them give way but the one asked for last, which
        may stay while the registry has it and there is room for a candidate beside it."""
        idle = [v for v in self._loaded if v.adapter and v not in self._kept()]
        held = sum(1 for v in self._loaded if v.adapter)
        if idle and idle[-1] in known and held < self._capacity:
            return idle[:-1]
        return idle

    def _kept(self) -> tuple[Version | None, ...]:
        return (self.current, self.previous, self.fallback, self.candidate)

    def in_flight(self, version: Version) -> int:
        return self._in_flight[version]

    @asynccontextmanager
    async def lease(self, version: Version | None = None) -> AsyncIterator[Version]:
        """Pin a version (None: the served one) for one request; it is not unloaded meanwhile.

        Raises NotServing while there is none, VersionRefused when it does not load.
        """
        chosen = version or self.current
        if chosen is None:
            raise NotServing(self.waiting_for)
        self._in_flight[chosen] += 1
        try:
            if chosen not in self._loaded:
                await self.load(chosen)
            self._loaded.move_to_end(chosen)
            yield chosen
        finally:
            self._in_flight[chosen] -= 1
            async with self._idle:
                self._idle.notify_all()

    async def load(self, version: Version) -> Material:
        """Make a version resident: re-hash its files, then load it under its digest's name."""
        async with self._changing:
            if version in self._loaded:
                return self._loaded[version]
            try:
                material = await asyncio.to_thread(self._source.material, version)
                await self._make_room()
                if material.folder is not None:
                    await self._upstream.load(version, material.folder)
            except Exception as error:
                raise VersionRefused(f"{version.model} was not loaded: {error}") from error
            self._loaded[version] = material
            return material

    async def smoke(self, version: Version, material: Material) -> None:
        """Ask a few of the release's own questions, once after loading. Every answer must have
        words in it, and at least one must say what the release taught: else the adapter is not what
        answers."""
        if not material.probes or version in self._smoked:
            return
        try:
            answers = await self._upstream.probe(version, [p.question for p in material.probes])
        except Exception as error:
            raise VersionRefused(f"{version.model} failed its smoke test: {error}") from error
        right = 0
        for probe, answer in zip(material.probes, answers, strict=True):
            if not any(character.isalnum() for character in answer):
                raise VersionRefused(
                    f"{version.model} failed its smoke test: no answer to {probe.question!r}"
                )
            right += mentions(answer, probe.answers)
        if not right:
            raise VersionRefused(
                f"{version.model} failed its smoke test: none of {len(answers)} answers says what "
                f"it was taught, e.g. {material.probes[0].question!r}: {answers[0]!r}"
            )
        self._smoked.add(version)

    def flip(self, version: Version) -> None:
        """From here on, requests under the stable name get this version."""
        if version != self.current:
            self.previous, self.current = self.current, version

    async def drain(self, version: Version, timeout_s: float) -> bool:
        """Wait until no request uses the version; False when some still do after the time."""

        async def idle() -> None:
            async with self._idle:
                await self._idle.wait_for(lambda: self._in_flight[version] == 0)

        try:
            await asyncio.wait_for(idle(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def unload(self, version: Version) -> None:
        """Forget a version. One in use or kept stays."""
        async with self._changing:
            await self._unload(version)

    async def _make_room(self) -> None:
        """Unload what was used longest ago until one more adapter fits."""
        for version in list(self._loaded):
            if sum(1 for v in self._loaded if v.adapter) < self._capacity:
                return
            await self._unload(version)

    async def _unload(self, version: Version) -> None:
        if version in self._kept() or self._in_flight[version] or version not in self._loaded:
            return
        del self._loaded[version]
        self._smoked.discard(version)
        if version.adapter is not None:
            await self._upstream.unload(version)
