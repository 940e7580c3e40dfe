"""The time that Almanac lives in: the system's, or one read from a file.

Owns `Clock`, its two implementations, and which one the settings name. Leases and timeouts do not
use it: they are about processes, and use the machine's own time.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Protocol

from daemon.config import Settings
from daemon.errors import ConfigError
from daemon.sections import ClockKind


class Clock(Protocol):
    """Says what time it is, always aware and in UTC."""

    def now(self) -> dt.datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)


class FileClock:
    """A clock that stands still at the ISO time in `path` until somebody rewrites the file.

    Several processes can share it: the writer replaces the file, so a reader never sees half of it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> dt.datetime:
        try:
            value = dt.datetime.fromisoformat(self._path.read_text(encoding="ascii").strip())
        except FileNotFoundError:
            raise ConfigError(
                f"the clock file {self._path} does not exist; write an ISO time with offset "
                'into it, or set clock.kind to "system"'
            ) from None
        except ValueError as error:
            raise ConfigError(f"the clock file {self._path} holds no ISO time: {error}") from None
        if value.tzinfo is None:
            raise ConfigError(f"the time in {self._path} has no offset; write it with +00:00")
        return value.astimezone(dt.UTC)

    def set(self, value: dt.datetime) -> None:
        """Move the clock. Atomic for readers."""
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        temporary.write_text(value.astimezone(dt.UTC).isoformat(), encoding="ascii")
        os.replace(temporary, self._path)


def clock_of(settings: Settings) -> Clock:
    """The clock that the settings name. Raises ConfigError for a file clock without a file."""
    if settings.clock.kind is ClockKind.SYSTEM:
        return SystemClock()
    if settings.clock.path is None:
        raise ConfigError('clock.kind is "file", but clock.path names no file')
    return FileClock(settings.clock.path)
