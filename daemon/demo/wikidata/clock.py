"""The demo's clock as the server reads it: an ISO timestamp in a file that the demo rewrites.

Owns polling the file and telling waiters that time has moved. Does not decide what time it is.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

from daemon.demo.wikidata.errors import ClockError

POLL_S = 0.02


def read_clock(path: Path) -> dt.datetime:
    """The time in the file. Raises ClockError when it holds no ISO timestamp, OSError as `open`."""
    text = path.read_text(encoding="ascii").strip()
    try:
        now = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise ClockError(
            f"{path} holds {text[:40]!r}, not an ISO timestamp; write one by renaming a new file "
            "over it"
        ) from error
    return now if now.tzinfo else now.replace(tzinfo=dt.UTC)


class Clock:
    """The current time of the scenario.

    Without a file it stands at `end`; with one, it stands at `start` until the file appears.
    """

    def __init__(self, path: Path | None, start: dt.datetime, end: dt.datetime) -> None:
        self._path = path
        self.now = start if path else end
        self.error: str | None = None
        self._moved = asyncio.Event()
        if path and path.exists():
            self.now = read_clock(path)

    async def run(self) -> None:
        """Follow the file until cancelled. An unreadable file is reported and time stands still."""
        while self._path:
            try:
                now = read_clock(self._path)
                self.error = None
            except FileNotFoundError:
                now = self.now
            except (ClockError, OSError) as error:
                now, self.error = self.now, str(error)
            if now != self.now:
                self.now = now
                self._moved.set()
                self._moved = asyncio.Event()
            await asyncio.sleep(POLL_S)

    async def moved(self, timeout_s: float) -> None:
        """Return when time has moved, or after the timeout."""
        try:
            await asyncio.wait_for(self._moved.wait(), timeout_s)
        except TimeoutError:
            return
