"""`/v2/stream/...`: the event log as server-sent events or as lines of JSON.

Owns where a connection starts, what it sends, and when it is cut. A cut is abrupt, as the real
ones are: the body ends without its last chunk.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from daemon.demo.wikidata.action_api import parse_time
from daemon.demo.wikidata.clock import Clock
from daemon.demo.wikidata.events import STREAM, EventLog, canary, cursor_of, event_id
from daemon.demo.wikidata.faults import Faults

_BATCH = 200
_WAIT_S = 5.0
_AT_ONCE = 20
"""Messages that are written before other work has its turn."""


class ConnectionCut(Exception):
    """Ends a connection in mid-stream on purpose."""


class EventStreams:
    """Serves one event log. `retention` is how far back a cursor may reach."""

    def __init__(
        self, log: EventLog, clock: Clock, faults: Faults, retention: dt.timedelta
    ) -> None:
        self._log, self._clock, self._faults = log, clock, faults
        self._retention = retention

    async def respond(self, request: Request) -> Response:
        streams = request.path_params["streams"].split(",")
        if STREAM not in streams:
            text = f"Stream(s) {', '.join(streams)} not found"
            return JSONResponse({"title": "Not Found", "detail": text, "status": 404}, 404)
        try:
            first = self._start(request)
        except ValueError as error:
            return JSONResponse({"title": "Bad Request", "detail": str(error), "status": 400}, 400)
        as_lines = "application/json" in request.headers.get("accept", "")
        media = "application/json" if as_lines else "text/event-stream; charset=utf-8"
        headers = {"Cache-Control": "no-cache, no-store", "X-Accel-Buffering": "no"}
        silent = self._faults.taken("silent")
        events = self._silence() if silent else self._events(first, as_lines)
        return StreamingResponse(events, media_type=media, headers=headers)

    async def _silence(self) -> AsyncIterator[bytes]:
        """An open connection that nothing comes from; ends when the client goes."""
        yield b":ok\n\n"
        await asyncio.Event().wait()

    def _start(self, request: Request) -> int:
        """The place in the log to begin at; a cursor out of reach silently means now."""
        now = self._clock.now
        wanted: int | None = None
        if last := request.headers.get("last-event-id"):
            wanted = cursor_of(last)
        elif since := request.query_params.get("since"):
            time = _since(since, now)
            if time is None:
                raise ValueError(f"since={since} is neither a timestamp nor milliseconds")
            wanted = time
        end = self._log.end(now)
        if self._faults.taken("jump"):
            return end
        oldest = int((now - self._retention).timestamp() * 1000)
        if wanted is None or wanted < oldest:
            return end
        return min(self._log.place(wanted), end)

    async def _events(self, place: int, as_lines: bool) -> AsyncIterator[bytes]:
        if not as_lines:
            yield b":ok\n\n"
        entries = self._log.entries
        sent = 0
        dt_start = entries[place].time if place < len(entries) else self._clock.now
        at = min(dt_start, self._clock.now)
        stamp = entries[place - 1].timestamp_ms if place else entries[0].timestamp_ms - 2
        yield _message(orjson.dumps(canary(at)), stamp, as_lines)
        while True:
            end = self._log.end(self._clock.now)
            if place >= end:
                await self._clock.moved(_WAIT_S)
                continue
            part = entries[place : min(end, place + _BATCH)]
            place += len(part)
            for entry in part[::-1] if self._faults.taken("reorder") else part:
                message = _message(self._log.event(entry), entry.timestamp_ms, as_lines)
                yield message * 2 if self._faults.taken("duplicate") else message
                sent += 1
                if sent % _AT_ONCE == 0:
                    await asyncio.sleep(0)  # a client that has gone is noticed here
                if self._faults.cut_stream_after and sent >= self._faults.cut_stream_after:
                    raise ConnectionCut(f"cut after {sent} events, as asked")


def _message(event: bytes, timestamp_ms: int, as_lines: bool) -> bytes:
    if as_lines:
        return event + b"\n"
    return b"event: message\nid: %s\ndata: %s\n\n" % (event_id(timestamp_ms).encode(), event)


def _since(text: str, now: dt.datetime) -> int | None:
    """Milliseconds of the epoch from `since`, which has them already or is a timestamp."""
    if text.isdigit() and len(text) != 14:
        return int(text)
    time = parse_time(text.replace(" ", "+"), now)
    return int(time.timestamp() * 1000) if time else None
