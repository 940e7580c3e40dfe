"""Which versions the engine holds, which one the alias serves, and who is using which.

Owns residency: load, smoke, flip, drain, unload, and the lease that pins a request to one version.
Lives on one asyncio loop; the engine is only touched through the batcher.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from daemon.serving.batching import Batcher
from daemon.serving.errors import NotServing, VersionRefused
from daemon.serving.versions import Material, Version, VersionSource
from knowledge.model import Sampling
from knowledge.rendering import closed_book

SMOKE_TOKENS = 32


class Residents:
    """The versions in the engine. `capacity` counts adapters, the base model is always there."""

    def __init__(self, batcher: Batcher, source: VersionSource, *, capacity: int = 4) -> None:
        if capacity < 3:
            raise ValueError("the engine must hold three adapters: current, previous, candidate")
        self._batcher = batcher
        self._source = source
        self._capacity = capacity
        self._loaded: OrderedDict[Version, Material] = OrderedDict()
        self._in_flight: Counter[Version] = Counter()
        self._idle = asyncio.Condition()
        self._changing = asyncio.Lock()
        self.current: Version | None = None
        self.previous: Version | None = None
        self.waiting_for = "the first version is being loaded"

    @property
    def loaded(self) -> list[Version]:
        return list(self._loaded)

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
                name, folder = version.adapter, material.folder
                if name is not None and folder is not None:
                    await self._batcher.call(
                        lambda: self._batcher.engine.load_adapter(name, folder)
                    )
            except Exception as error:
                raise VersionRefused(f"{version.model} was not loaded: {error}") from error
            self._loaded[version] = material
            return material

    async def smoke(self, version: Version, material: Material) -> None:
        """Ask a few of the release's own questions; every answer must have words in it."""
        chats = [closed_book(probe) for probe in material.probes]
        if not chats:
            return
        sampling = Sampling(max_new_tokens=SMOKE_TOKENS)
        try:
            answers = await self._batcher.call(
                lambda: self._batcher.engine.generate(version.adapter, chats, sampling)
            )
        except Exception as error:
            raise VersionRefused(f"{version.model} failed its smoke test: {error}") from error
        for probe, answer in zip(material.probes, answers, strict=True):
            if not any(character.isalnum() for character in answer[0].text):
                raise VersionRefused(
                    f"{version.model} failed its smoke test: no answer to {probe!r}"
                )

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
        """Forget a version. One in use, the served one and the previous one stay."""
        async with self._changing:
            await self._unload(version)

    async def _make_room(self) -> None:
        """Unload what was used longest ago until one more adapter fits."""
        for version in list(self._loaded):
            if sum(1 for v in self._loaded if v.adapter) < self._capacity:
                return
            await self._unload(version)

    async def _unload(self, version: Version) -> None:
        kept = version in (self.current, self.previous) or self._in_flight[version] > 0
        if kept or version not in self._loaded:
            return
        del self._loaded[version]
        name = version.adapter
        if name is not None:
            await self._batcher.call(lambda: self._batcher.engine.unload_adapter(name))
