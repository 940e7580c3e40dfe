"""Live updates: server-sent events that say "something changed", and nothing more.

Owns the pulse. What changed is read by the page that asks again, so that a page shows the same
whether it was told or opened.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from daemon.jobs.readings import METRICS
from daemon.jobs.supervisor import PROGRESS
from daemon.services import Services
from daemon.web.identity import Viewer, services_of

router = APIRouter()
_BEAT_S = 1.0
_KEEP_ALIVE_S = 15.0
_LONGEST_S = 600.0
"""A browser comes back by itself; so a login that ended does not listen on for ever."""


class Pulse:
    """What the pages depend on, as one text; read once a beat, however many listen."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = asyncio.Lock()
        self._read_at = 0.0
        self._value = ""

    async def value(self) -> str:
        async with self._lock:
            if time.monotonic() - self._read_at >= _BEAT_S:
                self._value = await asyncio.to_thread(self._read)
                self._read_at = time.monotonic()
            return self._value

    def _read(self) -> str:
        jobs = self._services.settings.job_folder
        written = [_written(f / n) for f in jobs.glob("*-*") for n in (PROGRESS, METRICS)]
        return f"{self._services.audit.head()}-{max(written, default=0)}"


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@router.get("/live")
async def live(request: Request, who: Viewer) -> StreamingResponse:
    """`change` events; the first one says that the line is open."""
    services_of(request)
    return StreamingResponse(
        _beats(request, request.app.state.pulse),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


async def _beats(request: Request, pulse: Pulse) -> AsyncIterator[str]:
    started = last_sent = time.monotonic()
    known = await pulse.value()
    yield f"retry: 3000\nevent: open\ndata: {known}\n\n"
    while time.monotonic() - started < _LONGEST_S and not await request.is_disconnected():
        await asyncio.sleep(_BEAT_S)
        value = await pulse.value()
        if value != known:
            known, last_sent = value, time.monotonic()
            yield f"event: change\ndata: {value}\n\n"
        elif time.monotonic() - last_sent > _KEEP_ALIVE_S:
            last_sent = time.monotonic()
            yield ": still here\n\n"
