"""The event stream: which watched items were edited a moment ago, with a cursor that survives.

Owns the connection (reconnect, rewind, gap check, heartbeat, recycling), the choice of events and
their batches. A gap is filled while no connection is held, once for each connect, and the cursor is
moved behind it when that is done. Marks and cursor go to the ledger in one transaction. What the
stream may lose, the sweep finds; so nothing here decides whether a fact changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, SSEError, aconnect_sse

from agents.errors import Retryable
from agents.ledger import Cursor, DirtyMark, WatchLedger
from agents.wikidata.api import check_user_agent
from agents.wikidata.errors import Refused, StreamCut, Throttled, Unreachable, retry_after_s

STREAM = "mediawiki.page_change.v1"
OLDEST_CURSOR = dt.timedelta(days=6)
"""Streams are kept for about a week; an older cursor is answered with `now`, without a word."""

Gap = Callable[[dt.datetime, dt.datetime], Awaitable[None]]
"""Called with the bounds of a time of which the stream said nothing; may take its time, and has
marked what it found when it returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """Times in seconds, unless the name says otherwise."""

    wiki: str = "wikidatawiki"
    namespace: int = 0
    batch: int = 500
    """Marks are written when so many events were read, or when `batch_ms` have passed."""
    batch_ms: float = 200.0
    read_timeout_s: float = 60.0
    """The firehose is never silent so long: the connection is dead."""
    recycle_s: float = 840.0
    """A connection is given up before the servers cut it (about every 15 minutes)."""
    rewind_s: float = 300.0
    """How far before the cursor a start resumes: replays are not in order."""
    gap_s: float = 300.0
    """A first event later than the cursor by more than this is a hole."""
    wait_initial_s: float = 0.5
    wait_max_s: float = 60.0


@dataclass(slots=True)
class StreamHealth:
    """What a page about the watch shows of the stream."""

    events: int = 0
    marked: int = 0
    canaries: int = 0
    unreadable: int = 0
    connects: int = 0
    written: int = 0
    """Batches of events that reached the ledger."""
    last_event: dt.datetime | None = None
    last_heartbeat: dt.datetime | None = None
    filling: bool = False
    """A gap is being filled; no connection is held meanwhile, so nothing is written."""
    trouble: str = ""
    """Why the last connection ended before its time."""


@dataclass(frozen=True, slots=True)
class PageChange:
    """What of an event matters to the watch."""

    item: str
    revision: int
    time: dt.datetime


class Message(StrEnum):
    """What an event is that is no change of an item of ours."""

    CANARY = "canary"
    OTHER = "other"
    """Of another wiki or namespace."""
    UNREADABLE = "unreadable"


class PageChangeStream:
    """Follows the stream until stopped. `gap` is told of every hole; `clock` is real time."""

    def __init__(
        self,
        url: str,
        ledger: WatchLedger,
        *,
        user_agent: str,
        gap: Gap | None = None,
        settings: StreamSettings | None = None,
        client: httpx.AsyncClient | None = None,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._agent = check_user_agent(user_agent, url)
        self._url = url
        self._ledger = ledger
        self._gap = gap
        self._settings = settings or StreamSettings()
        timeout = httpx.Timeout(30.0, read=self._settings.read_timeout_s)
        self._client = client or httpx.AsyncClient(timeout=timeout)
        self._clock = clock
        self._watched: frozenset[str] = frozenset()
        self.health = StreamHealth()

    async def run(self, stop: asyncio.Event) -> None:
        """Read, reconnect, read on. Returns when `stop` is set; raises only Refused."""
        failures = 0
        while not stop.is_set():
            before = self.health.events
            wait: float | None = None
            try:
                await self._connect_once(stop)
            except Retryable as error:
                wait = error.retry_after_s
                self.health.trouble = str(error)
            failures = 0 if self.health.events > before else failures + 1
            if failures or wait is not None:
                await _sleep(stop, self._pause_s(failures, wait))

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _connect_once(self, stop: asyncio.Event) -> None:
        """One connection, and what it turned out to have left out."""
        settings = self._settings
        self._watched = frozenset(await self._ledger.watched())
        cursor = await self._young(await self._ledger.cursor(STREAM))
        headers = {"User-Agent": self._agent, "Accept-Encoding": "identity"}
        if cursor is not None:
            headers["Last-Event-ID"] = rewound(cursor.event_id, settings.rewind_s)
        self.health.connects += 1
        try:
            async with aconnect_sse(self._client, "GET", self._url, headers=headers) as source:
                _check(source.response)
                beyond = await self._consume(source.aiter_sse(), cursor, stop)
        except (httpx.HTTPError, SSEError) as error:
            raise StreamCut(f"the event stream ended: {error!r}") from error
        if cursor is not None and beyond is not None:
            await self._fill(cursor, beyond)

    async def _consume(
        self, events: Any, cursor: Cursor | None, stop: asyncio.Event
    ) -> Cursor | None:
        """Read one connection to its end, its recycling, the stop, or the far side of a gap, which
        is returned."""
        writer = _Writer(self._ledger, self._settings, cursor, self.health)
        reading = asyncio.create_task(self._read(events, cursor, writer))
        flushing = asyncio.create_task(writer.flush_often())
        stopping = asyncio.create_task(stop.wait())
        tasks = (reading, flushing, stopping)
        try:
            done, _ = await asyncio.wait(
                tasks, timeout=self._settings.recycle_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            async with writer.still():
                for task in tasks:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await writer.flush()
        for task in done:
            task.result()
        return reading.result() if reading in done else None

    async def _read(
        self, events: AsyncIterator[ServerSentEvent], cursor: Cursor | None, writer: _Writer
    ) -> Cursor | None:
        """Take events as fast as they come; ends with the connection, or at once, with the place of
        its first event, if that is too far behind the cursor."""
        first = True
        async for event in events:
            if first and (when := event_time(event.id)) is not None:
                first = False
                if self._is_gap(cursor, when):
                    return Cursor(stream=STREAM, event_id=event.id, event_time=when)
            self._take(event, writer)
            if writer.full:
                await writer.flush()
        raise StreamCut("the server closed the event stream")

    def _take(self, event: ServerSentEvent, writer: _Writer) -> None:
        if not event.data:
            return
        self.health.events += 1
        found = read_message(event.data, self._settings)
        change = found if isinstance(found, PageChange) else None
        if found is Message.CANARY:
            self.health.canaries += 1
            self.health.last_heartbeat = self._clock()
        elif found is Message.UNREADABLE:
            self.health.unreadable += 1
        if change is not None and change.item not in self._watched:
            change = None
        when = event_time(event.id)
        if when is not None:
            self.health.last_event = when
        writer.add(event.id, when, change)

    async def _young(self, cursor: Cursor | None) -> Cursor | None:
        """The cursor, moved to now over a filled gap if it is too old to be answered honestly."""
        now = self._clock()
        if self._gap is None or cursor is None or now - cursor.event_time <= OLDEST_CURSOR:
            return cursor
        event_id = moved(cursor.event_id, now - cursor.event_time)
        return await self._fill(cursor, Cursor(stream=STREAM, event_id=event_id, event_time=now))

    def _is_gap(self, cursor: Cursor | None, first: dt.datetime) -> bool:
        if self._gap is None or cursor is None:
            return False
        return first - cursor.event_time > dt.timedelta(seconds=self._settings.gap_s)

    async def _fill(self, cursor: Cursor, beyond: Cursor) -> Cursor:
        """Have the gap between the two filled, and go on behind it. If that fails nothing has
        moved, and the next connect finds the gap again."""
        assert self._gap is not None
        self.health.filling = True
        try:
            await self._gap(cursor.event_time, beyond.event_time)
            await self._ledger.mark([], beyond)
        finally:
            self.health.filling = False
        return beyond

    def _pause_s(self, failures: int, wait: float | None) -> float:
        settings = self._settings
        grown = min(settings.wait_max_s, settings.wait_initial_s * 2 ** min(failures, 10))
        return max(wait or 0.0, grown * random.uniform(0.5, 1.0))


class _Writer:
    """Collects marks; writes them with the newest event id in one transaction.

    The cursor never goes back: a replay is out of order and repeats what was read."""

    def __init__(
        self,
        ledger: WatchLedger,
        settings: StreamSettings,
        cursor: Cursor | None,
        health: StreamHealth,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._cursor = cursor
        self._health = health
        self._marks: dict[str, int] = {}
        self._events = 0
        self._turn = asyncio.Lock()

    @property
    def full(self) -> bool:
        return self._events >= self._settings.batch

    def add(self, event_id: str, when: dt.datetime | None, change: PageChange | None) -> None:
        self._events += 1
        if change is not None:
            self._marks[change.item] = max(change.revision, self._marks.get(change.item, 0))
        if when is not None and (self._cursor is None or when >= self._cursor.event_time):
            self._cursor = Cursor(stream=STREAM, event_id=event_id, event_time=when)

    async def flush(self) -> None:
        """Write what was collected; without anything collected nothing is written."""
        async with self._turn:
            if not self._events:
                return
            marks, self._marks, self._events = self._marks, {}, 0
            try:
                self._health.marked += await self._ledger.mark(
                    [DirtyMark(item=i, revision=r, reason="stream") for i, r in marks.items()],
                    self._cursor,
                )
            except BaseException:  # nothing was written: a later cursor must not go past them
                for item, revision in marks.items():
                    self._marks[item] = max(revision, self._marks.get(item, 0))
                self._events += 1
                raise
            self._health.written += 1

    async def flush_often(self) -> None:
        """Flush every `batch_ms`, for as long as it runs."""
        while True:
            await asyncio.sleep(self._settings.batch_ms / 1000)
            await self.flush()

    def still(self) -> asyncio.Lock:
        """Held while no flush is under way: a task that is cancelled then loses no marks."""
        return self._turn


def read_message(text: str, settings: StreamSettings) -> PageChange | Message:
    """What the data of one event tell the watch. Never raises."""
    try:
        data = json.loads(text)
        if is_canary(data):
            return Message.CANARY
        return read_event(data, settings) or Message.OTHER
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return Message.UNREADABLE


def read_event(data: Mapping[str, Any], settings: StreamSettings) -> PageChange | None:
    """The change of an item that an event tells of; None for other wikis and namespaces.

    Raises KeyError, TypeError, AttributeError or ValueError on an event of another shape."""
    if data["wiki_id"] != settings.wiki:
        return None
    page = data["page"]
    if page["namespace_id"] != settings.namespace:
        return None
    revision = data.get("revision") or {}
    number = revision.get("rev_id", 0)
    time = dt.datetime.fromisoformat(str(data["dt"]).replace("Z", "+00:00"))
    # A deletion has no newer revision: it must be looked at all the same.
    seen = number + (data.get("page_change_kind") == "delete")
    return PageChange(str(page["page_title"]), int(seen), time)


def is_canary(data: Any) -> bool:
    meta = data.get("meta") if isinstance(data, Mapping) else None
    return isinstance(meta, Mapping) and meta.get("domain") == "canary"


def event_time(event_id: str) -> dt.datetime | None:
    """The time in an event id (milliseconds in its topic assignments); None if it has none."""
    try:
        parts = json.loads(event_id)
        stamps = [p["timestamp"] for p in parts if "timestamp" in p]
        return dt.datetime.fromtimestamp(max(stamps) / 1000, dt.UTC) if stamps else None
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return None


def rewound(event_id: str, seconds: float) -> str:
    """The event id so many seconds earlier; all else verbatim, as the server demands."""
    return moved(event_id, dt.timedelta(seconds=-seconds)) if seconds else event_id


def moved(event_id: str, by: dt.timedelta) -> str:
    """The event id with its times moved and nothing else; as it is, if it has none."""
    try:
        parts = json.loads(event_id)
        span = int(by.total_seconds() * 1000)
        shifted = [
            {**p, "timestamp": p["timestamp"] + span} if "timestamp" in p else p for p in parts
        ]
    except (ValueError, TypeError, KeyError):
        return event_id
    return json.dumps(shifted, separators=(",", ":"))


def _check(response: httpx.Response) -> None:
    wait = retry_after_s(response.headers.get("retry-after"))
    if response.status_code == 429:
        raise Throttled("the event stream allows no further connection", retry_after_s=wait)
    if response.status_code >= 500:
        raise Unreachable(f"the event stream answered {response.status_code}", retry_after_s=wait)
    if response.status_code >= 400:
        raise Refused(f"the event stream answered {response.status_code}: check url and contact")


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
