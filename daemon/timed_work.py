"""What each line of the timetable does when its time has come.

Owns the translation of names into calls; each returns its outcome in words, beginning with `failed`
when somebody has to look.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.errors import Conflict
from daemon.intake import Intake
from daemon.upkeep.audit import audit
from daemon.upkeep.degraded import Mode
from daemon.upkeep.retention import clean

if TYPE_CHECKING:
    from daemon.app import Almanac

_ACTOR = "schedule"


class TimedWork:
    """The timed work of one opened Almanac."""

    def __init__(self, almanac: Almanac, intake: Intake) -> None:
        self._almanac = almanac
        self._services = almanac.services
        self._intake = intake

    async def do(self, name: str) -> str:
        """Do the work of a line; its outcome. Raises KeyError for a line that is none."""
        if name == "sweep":
            return f"{await self._intake.sweep()} items had changed"
        if name == "discovery":
            return f"{await self._intake.discover()} items added"
        if name == "audit":
            found = await self._intake.audit()
            if found is None:
                return "not due: the last one is less than a week old"
            if found.missed:
                return f"failed: {len(found.missed)} changes were missed"
            return f"nothing was missed in {found.checked} items"
        work = {
            "release": self._release,
            "integrity": self._integrity,
            "retention": lambda: clean(self._services),
            "backup": self._backup,
        }[name]
        return await asyncio.to_thread(work)

    def _release(self) -> str:
        """Freeze whatever is approved, because it is the date."""
        try:
            release = self._services.releases.create(
                actor=_ACTOR,
                reason="the date of a release has come",
                at_most=self._almanac.settings.release.max,
            )
        except Conflict as error:
            return f"nothing was frozen: {error}"
        return f"release {release.id} is frozen" if release else "no approved edits wait"

    def _integrity(self) -> str:
        found = audit(self._services)
        self._almanac.degraded.report(Mode.INTEGRITY, "; ".join(found.wrong) or None)
        return found.text

    def _backup(self) -> str:
        made = self._services.backups.create()
        return f"{made.folder.name}: {made.rows} rows, {made.adapters} adapters"
