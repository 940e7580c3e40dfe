"""Enough approved edits become a frozen release, or fewer that have waited too long.

Owns the two thresholds; freezing is the registry's, and dates are the timetable's.
"""

from __future__ import annotations

import asyncio
import datetime as dt

from daemon.clock import Clock
from daemon.errors import Conflict
from daemon.registry.releases import Releases

ACTOR = "release"


class ReleaseController:
    """Freezes when `size` approved edits wait, or the oldest has waited `oldest_h` hours, and no
    release stands before production."""

    def __init__(
        self,
        releases: Releases,
        clock: Clock,
        *,
        size: int,
        at_most: int,
        oldest_h: float | None = None,
    ) -> None:
        self._releases = releases
        self._clock = clock
        self._size = size
        self._at_most = at_most
        self._oldest_h = oldest_h

    async def reconcile(self) -> int:
        return await asyncio.to_thread(self._freeze)

    def _freeze(self) -> int:
        if self._releases.standing() is not None:
            return 0
        ready, oldest = self._releases.waiting()
        if ready >= self._size:
            reason, least = f"{self._size} approved edits wait", self._size
        elif self._overdue(oldest):
            reason, least = f"the oldest approved edit waits since {oldest:%Y-%m-%d %H:%M} UTC", 1
        else:
            return 0
        try:
            release = self._releases.create(
                actor=ACTOR, reason=reason, at_least=least, at_most=self._at_most
            )
        except Conflict:
            return 0  # somebody froze one meanwhile
        return int(release is not None)

    def _overdue(self, oldest: dt.datetime | None) -> bool:
        if oldest is None or self._oldest_h is None:
            return False
        return self._clock.now() - oldest >= dt.timedelta(hours=self._oldest_h)
