"""Enough approved edits become a frozen release. Owns the threshold; freezing is the registry's."""

from __future__ import annotations

import asyncio

from daemon.errors import Conflict
from daemon.registry.releases import Releases

ACTOR = "release"


class ReleaseController:
    """Freezes when `size` approved edits wait and no release stands before production."""

    def __init__(self, releases: Releases, *, size: int, at_most: int) -> None:
        self._releases = releases
        self._size = size
        self._at_most = at_most

    async def reconcile(self) -> int:
        return await asyncio.to_thread(self._freeze)

    def _freeze(self) -> int:
        if self._releases.standing() is not None or self._releases.ready() < self._size:
            return 0
        try:
            release = self._releases.create(
                actor=ACTOR,
                reason=f"{self._size} approved edits wait",
                at_least=self._size,
                at_most=self._at_most,
            )
        except Conflict:
            return 0  # somebody froze one meanwhile
        return int(release is not None)
