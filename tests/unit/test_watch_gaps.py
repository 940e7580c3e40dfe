"""A gap in the stream: filled outside of the connection, once for each connect, by whatever costs
fewer requests, and the cursor stands behind it when that is done."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Iterable

import httpx
import pytest

from agents.ledger import Base, Cursor
from agents.wikidata.api import PageInfo, RecentChange
from agents.wikidata.errors import Unreachable
from agents.wikidata.stream import STREAM, Gap, PageChangeStream, StreamSettings
from agents.wikidata.sweep import backfill
from tests.fakes_ledger import MemoryLedger

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def event_id(when: dt.datetime) -> str:
    stamp = int(when.timestamp() * 1000)
    return json.dumps([{"topic": "x", "partition": 0, "timestamp": stamp}])


def event(when: dt.datetime, revision: int) -> str:
    data = {
        "wiki_id": "wikidatawiki",
        "dt": when.isoformat(),
        "page_change_kind": "edit",
        "page": {"page_title": "Q1", "namespace_id": 0},
        "revision": {"rev_id": revision},
    }
    return f"id: {event_id(when)}\ndata: {json.dumps(data)}\n\n"


CANARY = 'id: []\ndata: {"meta": {"domain": "canary"}}\n\n'


class Server:
    """Each connection gets the next script and is then cut; the one after the last is the end."""

    def __init__(self, *scripts: str) -> None:
        self.scripts = list(scripts)
        self.asked_from: list[dt.datetime | None] = []
        self.stop = asyncio.Event()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        sent = request.headers.get("Last-Event-ID")
        stamp = json.loads(sent)[0]["timestamp"] / 1000 if sent else None
        self.asked_from.append(dt.datetime.fromtimestamp(stamp, dt.UTC) if stamp else None)
        if not self.scripts:
            self.stop.set()
        text = self.scripts.pop(0) if self.scripts else ""
        return httpx.Response(200, text=text, headers={"Content-Type": "text/event-stream"})


def follow(ledger: MemoryLedger, gap: Gap, *scripts: str) -> Server:
    async def run() -> Server:
        server = Server(*scripts)
        stream = PageChangeStream(
            "http://127.0.0.1/stream",
            ledger,
            user_agent="test",
            gap=gap,
            settings=StreamSettings(
                batch_ms=5, recycle_s=0.05, rewind_s=60, wait_initial_s=0.01, wait_max_s=0.01
            ),
            client=httpx.AsyncClient(transport=httpx.MockTransport(server)),
            clock=lambda: NOW,
        )
        await asyncio.wait_for(stream.run(server.stop), 20)
        await stream.aclose()
        return server

    return asyncio.run(run())


def left_at(when: dt.datetime) -> MemoryLedger:
    ledger = MemoryLedger(["Q1"])
    ledger.cursors[STREAM] = Cursor(stream=STREAM, event_id=event_id(when), event_time=when)
    return ledger


def test_a_gap_may_take_longer_to_fill_than_a_connection_lives() -> None:
    ledger, far = left_at(NOW - 4 * DAY), NOW - DAY
    filled: list[tuple[dt.datetime, dt.datetime]] = []

    async def gap(since: dt.datetime, until: dt.datetime) -> None:
        assert ledger.cursors[STREAM].event_time == since
        await asyncio.sleep(0.2)  # four connections long
        filled.append((since, until))

    script = CANARY + event(far, 7)
    server = follow(ledger, gap, script, script)
    assert filled == [(NOW - 4 * DAY, far)]
    assert ledger.cursors[STREAM].event_time == far
    minute = dt.timedelta(minutes=1)
    assert server.asked_from[:2] == [NOW - 4 * DAY - minute, far - minute]
    assert ledger.marks["Q1"] == 7  # read on the second connection


def test_a_gap_that_could_not_be_filled_is_found_again() -> None:
    ledger, far = left_at(NOW - 4 * DAY), NOW - DAY
    tries: list[dt.datetime] = []

    async def gap(since: dt.datetime, until: dt.datetime) -> None:
        tries.append(since)
        if len(tries) == 1:
            raise Unreachable("no answer")

    follow(ledger, gap, event(far, 7), event(far, 7), event(far, 7))
    assert tries == [NOW - 4 * DAY] * 2
    assert ledger.cursors[STREAM].event_time == far


def test_a_cursor_that_is_too_old_is_moved_to_now_when_its_gap_is_filled() -> None:
    ledger = left_at(NOW - 9 * DAY)
    filled: list[tuple[dt.datetime, dt.datetime]] = []

    async def gap(since: dt.datetime, until: dt.datetime) -> None:
        filled.append((since, until))

    server = follow(ledger, gap, event(NOW, 7))
    assert filled == [(NOW - 9 * DAY, NOW)]
    assert server.asked_from[0] == NOW - dt.timedelta(minutes=1)


class Changes:
    """A wiki of which `rows` recent changes are told before it falls silent."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.swept = 0

    async def lastrevids(self, items: Iterable[str]) -> dict[str, PageInfo]:
        self.swept += 1
        return {i: PageInfo(revision=5) for i in items}

    async def recentchanges(
        self, since: dt.datetime, until: dt.datetime, *, user: str | None = None
    ) -> AsyncIterator[RecentChange]:
        for n in range(self.rows):
            yield RecentChange(item=f"Q{n}", revision=9, time=since, user="u", comment="")
        raise Unreachable("no answer")


def known(*items: str) -> MemoryLedger:
    ledger = MemoryLedger(items)
    ledger.marks.clear()
    for item in items:
        ledger.base[item] = Base(item=item, revision=5, entity={})
    return ledger


def test_each_page_of_recent_changes_is_marked_as_it_comes() -> None:
    ledger, wiki = known("Q3", "Q700", "Q1100"), Changes(1200)

    async def run() -> None:
        await backfill(wiki, ledger, NOW - DAY, NOW, clock=lambda: NOW, rows_a_day=0)

    with pytest.raises(Unreachable):
        asyncio.run(run())
    assert set(ledger.marks) == {"Q3", "Q700"}


def test_a_gap_is_swept_where_that_takes_fewer_requests() -> None:
    def asks(items: int, gap: dt.timedelta) -> int:
        wiki = Changes(0)
        ledger = known(*(f"Q{n}" for n in range(items)))

        async def run() -> None:
            await backfill(wiki, ledger, NOW - gap, NOW, clock=lambda: NOW)

        try:
            asyncio.run(run())
        except Unreachable:
            assert not wiki.swept
        return wiki.swept

    hour = dt.timedelta(hours=1)
    assert asks(50, hour) == 1  # one request instead of some eighty
    assert asks(10_000, hour) == 0  # two hundred
    assert asks(10_000, DAY) > 0
