"""One allowance for all processes of a machine: so many requests in any minute, so many at once.

Owns the files that the processes share (one folder a host): a lock for each place in flight, which
the system gives back when a process dies, and the times of the requests of the last minute. A
request counts until a minute after its *answer*, so that it counts for as long as the server may
see it in its own minute. Does not know of cool-downs (`limiter`).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

ORPHAN_S = 10.0
"""A place whose owner died is used again after so long: the server may still be at its request."""
UNANSWERED_S = 60.0
"""A request of which no answer was ever noted counts as answered after so long."""
_CLOCK_STEP_S = 5.0
"""Steps back of the clock up to this leave every ticket in force."""
_POLL_S = 0.02
_SAFE = re.compile(r"[^A-Za-z0-9.-]")


_WIKIMEDIA = ("wikidata.org", "wikipedia.org", "wikimedia.org", "mediawiki.org")


def is_wikimedia(host: str) -> bool:
    """Whether the host (with or without a port) is one of Wikimedia's."""
    name = host.partition(":")[0].rstrip(".").lower()
    return any(name == zone or name.endswith(f".{zone}") for zone in _WIKIMEDIA)


def allowance_of(host: str) -> str:
    """The name under which requests to a host count: all of Wikimedia counts its guests as one."""
    return "wikimedia" if is_wikimedia(host) else host


class Quota(Protocol):
    """A share of what a host allows. `turn` is held for the whole of one request."""

    def turn(self, host: str) -> contextlib.AbstractAsyncContextManager[None]: ...


class NoQuota:
    """For hosts that allow everything, and for one process alone."""

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        yield


class FileQuota:
    """`Quota` over files in `folder`. Wall-clock times, because processes share them."""

    def __init__(
        self,
        folder: Path,
        *,
        per_window: int = 200,
        window_s: float = 60.0,
        at_once: int = 3,
        orphan_s: float = ORPHAN_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._per_window = per_window
        self._window_s = window_s
        self._at_once = at_once
        self._orphan_s = orphan_s
        self._clock = clock

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Wait for a place and for the rate, and hold both until the request is over."""
        folder = self._folder / _SAFE.sub("_", host)
        folder.mkdir(parents=True, exist_ok=True)
        async with self._place(folder):
            ticket = await self._ticket(folder)
            try:
                yield
            finally:
                self._answered(folder, ticket)

    @asynccontextmanager
    async def _place(self, folder: Path) -> AsyncIterator[None]:
        """One of the places in flight."""
        while True:
            for number in random.sample(range(self._at_once), self._at_once):
                handle = os.open(folder / f"place-{number}", os.O_RDWR | os.O_CREAT, 0o644)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(handle)
                    continue
                try:
                    await self._outlive(handle)
                    _write(handle, str(self._clock()))
                    try:
                        yield
                    finally:
                        _write(handle, "")
                finally:
                    os.close(handle)  # lets go of the lock
                return
            await asyncio.sleep(_POLL_S * random.uniform(0.5, 1.5))

    async def _outlive(self, handle: int) -> None:
        """Wait until the request of an owner that died can no longer be in flight."""
        text = os.pread(handle, 64, 0).decode("ascii", "replace")
        if not text:
            return
        try:
            left = float(text) + self._orphan_s - self._clock()
        except ValueError:
            left = self._orphan_s
        if left > 0:
            await asyncio.sleep(min(left, self._orphan_s))

    async def _ticket(self, folder: Path) -> str:
        """Enter the request into the window, as soon as there is room."""
        ticket = f"{os.getpid()}-{random.getrandbits(48):x}"
        while True:
            with _times(folder) as times:
                now = self._clock()  # under the lock: others' tickets are from before it
                # A ticket from further ahead was written before the clock was set back.
                oldest, newest = now - self._window_s, now + UNANSWERED_S + _CLOCK_STEP_S
                fresh = {t: at for t, at in times.items() if oldest < at <= newest}
                if len(fresh) < self._per_window:
                    fresh[ticket] = now + UNANSWERED_S
                    wait = None
                else:
                    wait = min(fresh.values()) + self._window_s - now
                times.clear()
                times.update(fresh)
            if wait is None:
                return ticket
            await asyncio.sleep(max(_POLL_S, min(wait, self._window_s)))

    def _answered(self, folder: Path, ticket: str) -> None:
        now = self._clock()
        with _times(folder) as times:
            if ticket in times:
                times[ticket] = now


@contextmanager
def _times(folder: Path) -> Iterator[dict[str, float]]:
    """The tickets of the last minute, each with the time from which its minute runs; written back.

    Held for well under a millisecond. The file is replaced whole, so a crash leaves no half one."""
    with (folder / "times.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = folder / "times.json"
        try:
            times: dict[str, float] = json.loads(path.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            times = {}
        yield times
        part = folder / "times.part"
        part.write_text(json.dumps(times), encoding="ascii")
        os.replace(part, path)


def _write(handle: int, text: str) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode("ascii"), 0)
