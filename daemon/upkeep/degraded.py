"""Degraded modes: what does not work at the moment, what goes on all the same, what to do.

Owns the modes, their words, and since when each holds, as one process sees it. Stages report; the
status, the metrics and the messages to people read. Decides about intake alone: a full disk stops
it.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    OFFLINE = "offline"
    DATABASE = "database"
    DISK = "disk"
    ENDPOINT = "endpoint"
    BUDGET = "budget"
    ACCELERATOR = "accelerator"
    GATEWAY = "gateway"
    SERVING = "serving"
    PAUSED = "paused"
    WATCHER = "watcher"
    INTEGRITY = "integrity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What goes on in a mode, and the cure."""

    goes_on: str
    cure: str


MEANINGS: Mapping[Mode, Meaning] = {
    Mode.OFFLINE: Meaning(
        goes_on="reviewing, training, evaluating and serving go on; nothing new is found",
        cure="mend the way to Wikidata; it catches up by itself from where it stopped",
    ),
    Mode.DATABASE: Meaning(
        goes_on="serving goes on with the version that is loaded; nothing else moves",
        cure="start the database again; the service goes on by itself",
    ),
    Mode.DISK: Meaning(
        goes_on="serving and reviewing go on; nothing is taken in, drafted or trained",
        cure="make room, or move home; the service goes on by itself",
    ),
    Mode.ENDPOINT: Meaning(
        goes_on="everything goes on; drafts come from the template, without a second verdict",
        cure="mend drafter.endpoint",
    ),
    Mode.BUDGET: Meaning(
        goes_on="everything that asks no paid model goes on until tomorrow (UTC)",
        cure="wait, or raise curate.calls_per_day or curate.usd_per_day",
    ),
    Mode.ACCELERATOR: Meaning(
        goes_on="watching, drafting, reviewing and serving go on; the job waits for the device",
        cure="wait for the job, or for the window, that the status names",
    ),
    Mode.GATEWAY: Meaning(
        goes_on="everything but serving goes on; the gateway is started again by itself",
        cure="read the gateway's last lines in the log",
    ),
    Mode.SERVING: Meaning(
        goes_on="everything goes on; the gateway answers with the version that it has loaded",
        cure="mend what the reason names, or promote another version, or roll back",
    ),
    Mode.PAUSED: Meaning(
        goes_on="reviewing and serving go on",
        cure="`almanac schedule resume`",
    ),
    Mode.WATCHER: Meaning(
        goes_on="everything goes on but finding changes",
        cure="`almanac watch lag` says how far behind it is; see the runbook",
    ),
    Mode.INTEGRITY: Meaning(
        goes_on="everything goes on, with the version that is loaded",
        cure="`almanac doctor` names the files; restore them from a backup, or roll back",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A mode that holds, why, and since when."""

    mode: Mode
    reason: str
    since: dt.datetime

    def data(self) -> dict[str, str]:
        meaning = MEANINGS[self.mode]
        return {
            "mode": self.mode.value,
            "since": self.since.isoformat(timespec="seconds"),
            "reason": self.reason,
            "goes_on": meaning.goes_on,
            "cure": meaning.cure,
        }


class Degraded:
    """The modes that hold in this process. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holding: dict[Mode, Trouble] = {}

    def report(self, mode: Mode, reason: str | None) -> bool:
        """The mode holds for `reason`, or, with None, no longer; whether that is news."""
        with self._lock:
            known = self._holding.get(mode)
            if reason is None:
                return self._holding.pop(mode, None) is not None
            since = known.since if known else dt.datetime.now(dt.UTC)
            self._holding[mode] = Trouble(mode=mode, reason=reason, since=since)
            return known is None

    def holds(self, mode: Mode) -> bool:
        with self._lock:
            return mode in self._holding

    @property
    def takes_in(self) -> bool:
        """Whether new work may be begun."""
        return not self.holds(Mode.DISK) and not self.holds(Mode.DATABASE)

    def list(self) -> list[Trouble]:
        """What holds, oldest first."""
        with self._lock:
            return sorted(self._holding.values(), key=lambda trouble: trouble.since)
