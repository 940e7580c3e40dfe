"""Which slots of the timetable were due in a time, and which the service says it has run.

Owns a reading of the expressions of its own, minute by minute, because `daemon.timetable` is what
is measured; and the service's log as the witness. Judges nothing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

_MINUTE = dt.timedelta(minutes=1)


def planned(expression: str, start: dt.datetime, end: dt.datetime) -> Iterator[dt.datetime]:
    """Slots in (start, end], in UTC. Fields are `*`, `*/n`, numbers, or lists of these."""
    minute, hour, day, month, weekday = expression.split()
    at = start.replace(second=0, microsecond=0) + _MINUTE
    while at <= end:
        fields = (
            (minute, at.minute),
            (hour, at.hour),
            (day, at.day),
            (month, at.month),
            (weekday, at.isoweekday() % 7),  # cron's: 0 is Sunday
        )
        if all(_fits(field, value) for field, value in fields):
            yield at
        at += _MINUTE


def _fits(field: str, value: int) -> bool:
    for part in field.split(","):
        if part == "*" or (part.startswith("*/") and value % int(part[2:]) == 0):
            return True
        if part.isdigit() and int(part) == value:
            return True
    return False


class Witness:
    """What the service's log tells of the timetable, read as it is written."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._place = 0
        self.ran: dict[str, Counter[dt.datetime]] = {}
        """How often each slot was run, by line."""
        self.failed: list[str] = []
        """Runs that failed, and steps of stages that raised."""

    def read(self) -> None:
        """Take in what was written since the last time."""
        with self._log.open("rb") as handle:
            handle.seek(self._place)
            text = handle.read()
        whole = text.rfind(b"\n") + 1
        self._place += whole
        for line in text[:whole].splitlines():
            if b'"schedule.' in line or b'"service.step_' in line:
                self._take(json.loads(line))

    def _take(self, told: Mapping[str, str]) -> None:
        event = told["event"]
        if event == "schedule.ran":
            slots = self.ran.setdefault(told["line"], Counter())
            slots[dt.datetime.fromisoformat(told["slot"])] += 1
            if told["outcome"].startswith("failed"):
                self.failed.append(f"{told['line']}: {told['outcome']}")
        elif event in ("service.step_failed", "service.step_waits"):
            self.failed.append(f"{told['step']} raised")
