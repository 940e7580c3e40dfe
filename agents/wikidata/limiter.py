"""How often we may ask Wikimedia, and until when we may not ask at all.

Owns the request rate, the number of requests at once, and the cool-down that a server imposed. The
cool-down goes through a port, so that a restart does not forget it; what several processes may do
together goes through another (`quota`). Loopback hosts are unlimited.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import fcntl
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from aiolimiter import AsyncLimiter

from agents.wikidata.errors import Throttled
from agents.wikidata.quota import NoQuota, Quota, allowance_of

_BURST = 10


class CoolDown(Protocol):
    """Until when a host must be left alone; survives restarts."""

    async def until(self, host: str) -> dt.datetime | None: ...

    async def set(self, host: str, until: dt.datetime) -> None: ...


class MemoryCoolDown:
    """A cool-down for one process."""

    def __init__(self) -> None:
        self._until: dict[str, dt.datetime] = {}

    async def until(self, host: str) -> dt.datetime | None:
        return self._until.get(host)

    async def set(self, host: str, until: dt.datetime) -> None:
        self._until[host] = max(until, self._until.get(host, until))


class FileCoolDown:
    """A cool-down in a small file, shared by the processes of one machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def until(self, host: str) -> dt.datetime | None:
        text = self._read().get(host)
        return dt.datetime.fromisoformat(text) if text else None

    async def set(self, host: str, until: dt.datetime) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be told of a pause just now
            known = self._read()
            known[host] = max(until.isoformat(), known.get(host, ""))
            part = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            part.write_text(json.dumps(known), encoding="utf-8")
            os.replace(part, self._path)

    def _read(self) -> dict[str, str]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


class Limiter:
    """At most `per_minute` requests in any minute and `at_once` in flight; `per_minute=None` is
    without limit. `quota` holds the same for all processes. Raises Throttled, instead of waiting,
    if the cool-down is longer than `patience_s`."""

    def __init__(
        self,
        *,
        per_minute: int | None = 200,
        at_once: int = 3,
        cool_down: CoolDown | None = None,
        quota: Quota | None = None,
        patience_s: float = 60.0,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._gate = asyncio.Semaphore(at_once)
        self._bucket = _bucket(per_minute)
        self._cool_down = cool_down or MemoryCoolDown()
        self._quota = quota or NoQuota()
        self._patience_s = patience_s
        self._clock = clock

    @asynccontextmanager
    async def slot(self, host: str, *, patience_s: float | None = None) -> AsyncIterator[None]:
        """Wait for the turn of one request to the host. `patience_s` is how long a cool-down this
        request waits out at most, if that is less than the limiter's own."""
        async with self._gate:
            own = self._patience_s
            await self._wait_out(host, own if patience_s is None else min(own, patience_s))
            if self._bucket is not None:
                await self._bucket.acquire()
            async with self._quota.turn(allowance_of(host)):
                yield

    async def cool(self, host: str, seconds: float) -> None:
        """The server asked for a pause: remember it."""
        await self._cool_down.set(host, self._clock() + dt.timedelta(seconds=seconds))

    async def _wait_out(self, host: str, patience_s: float) -> None:
        until = await self._cool_down.until(host)
        if until is None:
            return
        left = (until - self._clock()).total_seconds()
        if left > max(0.0, patience_s):
            raise Throttled(
                f"{host} asked for a pause until {until:%Y-%m-%d %H:%M:%S} UTC; nothing is asked "
                "before then",
                retry_after_s=left,
            )
        if left > 0:
            await asyncio.sleep(left)


def _bucket(per_minute: int | None) -> AsyncLimiter | None:
    """A leaky bucket whose burst and refill together stay within the minute's allowance."""
    if per_minute is None:
        return None
    burst = max(1, min(_BURST, per_minute // 2))
    return AsyncLimiter(burst, 60.0 * burst / max(1, per_minute - burst))
