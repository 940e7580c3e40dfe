"""The watch at work: looks at dirty and due items until there are none, within a bound a step.

Owns the bound; fetching, judging and recording are `agents.watch`.
"""

from __future__ import annotations

from typing import Protocol

import structlog

from agents.errors import Permanent, Retryable
from daemon.upkeep.degraded import Degraded, Mode

log = structlog.get_logger()


class Looker(Protocol):
    """What the controller needs of `agents.watch.Watcher`."""

    async def reconcile(self, limit: int | None = None) -> int: ...


class WatchController:
    """One bounded batch of looks a step."""

    def __init__(self, watcher: Looker, *, batch: int, degraded: Degraded | None = None) -> None:
        self._watcher = watcher
        self._batch = batch
        self._degraded = degraded or Degraded()

    async def reconcile(self) -> int:
        """The number of items judged. Items stay dirty while Wikidata cannot be asked, or
        refuses every one."""
        try:
            looked = await self._watcher.reconcile(self._batch)
        except Retryable as error:
            if self._degraded.report(Mode.OFFLINE, str(error)):
                log.warning("watch.unreachable", reason=str(error))
            return 0
        except Permanent as error:  # of every item: a person has to mend what we ask, or as whom
            if self._degraded.report(Mode.OFFLINE, f"Wikidata refuses us: {error}"):
                log.error("watch.refused", reason=str(error))
            return 0
        if self._degraded.report(Mode.OFFLINE, None):
            log.info("watch.reachable_again")
        return looked
