"""The load of the watch: events from socket to committed cursor, memory, and what a sweep costs.

Owns a server that sends page changes as fast as they are read, the client process that follows it
with the product's stream and store, and the counting of a sweep's requests.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import multiprocessing
import os
import random
import resource
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import orjson

from agents.wikidata.api import ActionApi
from agents.wikidata.stream import STREAM, PageChangeStream, StreamSettings
from agents.wikidata.sweep import sweep
from daemon.bench.rows import Op, Row
from daemon.bench.watch_stage import AGENT
from daemon.clock import SystemClock
from daemon.demo.wikidata.editors import Cast
from daemon.demo.wikidata.edits import Edit, EditKind
from daemon.demo.wikidata.events import event_id, page_change
from daemon.store.engine import Database
from daemon.store.ledger import SqlWatchLedger

WATCHED = 50_000
RATE, REQUESTS, MEMORY_MB = 5_000, 200, 300
_SWEPT = 10_000
_BURST, _FULL, _QUICK = 60_000, 5_000_000, 20_000
"""Events of a timed run, of the memory run, of the quick version."""
_HIT = 20
"""One event in so many is of a watched item (on Wikidata it is far fewer)."""
_BODIES = 4_000
_STARTED = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Drained:
    """What the client measured of itself."""

    events: int
    marked: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    """Most resident memory of the process, interpreter and libraries included."""


def load_rows(quick: bool) -> list[Row]:
    """Five timed runs and one long one (`QUICK`: one short one), and a sweep. `EVENTS` makes the
    long one shorter than 5,000,000 events, whose row is then skipped."""
    wanted = int(os.environ.get("EVENTS") or _FULL)
    runs = [_drain(_QUICK)] if quick else [_drain(_BURST) for _ in range(5)]
    best = max(runs, key=lambda r: r.events / r.wall_s)
    long = runs[0] if quick else _drain(wanted)
    rates = ", ".join(f"{r.events / r.wall_s:.0f}" for r in runs)
    return [
        Row(
            what="load: page_change events a second, socket to committed cursor",
            value=round(best.events / best.wall_s),
            unit="/s",
            bar=RATE,
            op=Op.AT_LEAST,
            detail=f"{WATCHED} items watched, 1 event in {_HIT} of them; runs {rates}; "
            f"{best.events / best.cpu_s:.0f} a second of the client's processor time",
        ),
        Row(
            what=f"load: memory over {_QUICK if quick else wanted:,} events",
            value=round(long.peak_mb),
            unit="MB",
            bar=MEMORY_MB,
            op=Op.AT_MOST,
            detail=f"peak of the whole process; {long.events / long.wall_s:.0f} events a second",
        ),
        *([] if quick or wanted >= _FULL else [_not_run(wanted)]),
        _sweep_row(),
    ]


def _not_run(wanted: int) -> Row:
    return Row(
        what=f"load: memory over {_FULL:,} events",
        value=None,
        unit="MB",
        bar=MEMORY_MB,
        op=Op.AT_MOST,
        detail=f"EVENTS={wanted}: the long run was cut short",
    )


# -- the stream ----------------------------------------------------------------------------------


def _drain(events: int) -> Drained:
    """Serve so many events and follow them in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with socket.socket() as listening, tempfile.TemporaryDirectory() as scratch:
        listening.bind(("127.0.0.1", 0))
        listening.listen(4)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v2/stream/{STREAM}"
        server = context.Process(target=_serve, args=(listening, events), daemon=True)
        client = context.Process(target=_client, args=(url, scratch, events, there), daemon=True)
        server.start()
        client.start()
        there.close()
        try:
            return here.recv()
        finally:
            client.join(10)
            server.kill()
            server.join(10)


def _serve(listening: socket.socket, events: int) -> None:
    """Answer each connection with the events after its `Last-Event-ID`."""
    bodies = list(_bodies())
    while True:
        connection, _ = listening.accept()
        with connection:
            request = connection.recv(65536).decode("latin-1")
            first = 0
            for line in request.split("\r\n"):
                if line.lower().startswith("last-event-id:"):
                    stamp = max(p.get("timestamp", 0) for p in orjson.loads(line.split(":", 1)[1]))
                    first = max(0, stamp - _stamp(0))
            _send(connection, bodies, first, events)


def _send(connection: socket.socket, bodies: list[bytes], first: int, events: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n:ok\n\n"
    try:
        connection.sendall(head)
        part: list[bytes] = []
        for number in range(first, events):
            ident = event_id(_stamp(number)).encode()
            part.append(b"event: message\nid: %s\ndata: %s\n\n" % (ident, bodies[number % _BODIES]))
            if len(part) == 100:
                connection.sendall(b"".join(part))
                part.clear()
        connection.sendall(b"".join(part))
        connection.recv(1)  # until the client goes
    except OSError:
        return


def _stamp(number: int) -> int:
    return int(_STARTED.timestamp() * 1000) + number


def _bodies() -> Iterator[bytes]:
    """Events of full size, as the local Wikidata writes them; of watched items now and then."""
    rng = random.Random(5)
    cast = Cast(random.Random(6), _STARTED)
    for number in range(_BODIES):
        watched = number % _HIT == 0
        item = f"Q{rng.randrange(1, WATCHED + 1) if watched else rng.randrange(10**6, 10**8)}"
        edit = Edit(
            time=_STARTED,
            item=item,
            page_id=number,
            revision=2_000_000_000 + number,
            parent_revision=1_999_000_000 + number,
            editor=cast.regular(),
            comment=f"/* wbsetclaim-create:2||1 */ [[Property:P6]]: [[Q{number}]]",
            tags=(),
            content=b"{}",
            sha1="ab12",
            kind=EditKind.EDIT,
            redirect=None,
            reverted_at=None,
            truth=None,
        )
        yield orjson.dumps(page_change(edit, edit, 2))


def _client(url: str, folder: str, events: int, pipe: Connection) -> None:
    pipe.send(asyncio.run(_follow(url, Path(folder), events)))


async def _follow(url: str, folder: Path, events: int) -> Drained:
    clock = SystemClock()
    database = Database.open(f"sqlite:///{folder}/watch.db")
    ledger = SqlWatchLedger(database, clock)
    await ledger.watch([f"Q{n}" for n in range(1, WATCHED + 1)])
    stop = asyncio.Event()
    stream = PageChangeStream(
        url,
        ledger,
        user_agent=AGENT,
        clock=lambda: _STARTED,
        settings=StreamSettings(recycle_s=3600.0),
    )
    last = event_id(_stamp(events - 1))
    wall, cpu = time.monotonic(), time.process_time()
    running = asyncio.create_task(stream.run(stop))
    while True:
        await asyncio.sleep(0.05)
        cursor = await ledger.cursor(STREAM)
        if cursor is not None and cursor.event_id == last:
            break
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    stop.set()
    await running
    await stream.aclose()
    database.close()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Drained(stream.health.events, stream.health.marked, wall, cpu, peak_mb)


# -- the sweep -----------------------------------------------------------------------------------


def _sweep_row() -> Row:
    """A sweep of 10,000 items, its requests counted by the server."""
    asked = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        titles = request.url.params["titles"].split("|")
        pages = [{"title": t, "lastrevid": 7 if t != "Q77" else 8} for t in titles]
        return httpx.Response(200, json={"batchcomplete": True, "query": {"pages": pages}})

    async def run() -> int:
        client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        with tempfile.TemporaryDirectory() as scratch:
            database = Database.open(f"sqlite:///{scratch}/watch.db")
            ledger = SqlWatchLedger(database, SystemClock())
            await ledger.watch([f"Q{n}" for n in range(1, _SWEPT + 1)])
            async with ActionApi(
                "http://127.0.0.1/w/api.php", user_agent=AGENT, client=client
            ) as api:
                await sweep(api, ledger)
            database.close()
        return asked

    return Row(
        what=f"load: requests of a sweep of {_SWEPT:,} items",
        value=asyncio.run(run()),
        unit="",
        bar=REQUESTS,
        op=Op.AT_MOST,
        detail="50 titles a request",
    )
