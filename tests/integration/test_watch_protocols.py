"""The API client and the stream against real HTTP on loopback that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from agents.ledger import Cursor
from agents.wikidata.api import ActionApi
from agents.wikidata.errors import (
    BrokenAnswer,
    Lagging,
    NoContact,
    Throttled,
    retry_after_s,
)
from agents.wikidata.limiter import FileCoolDown, Limiter
from agents.wikidata.sparql import grow, read_items
from agents.wikidata.stream import STREAM, PageChangeStream, StreamSettings, rewound
from tests.fakes_ledger import MemoryLedger

AGENT = "almanac-tests/0 (mailto:tests@example.org)"
GOOD = {"query": {"pages": [{"title": "Q1", "lastrevid": 7}, {"title": "Q2", "missing": True}]}}


def _api(server: HTTPServer, **how) -> ActionApi:
    return ActionApi(server.url_for("/w/api.php"), user_agent=AGENT, **how)


def _answers(server: HTTPServer, *answers: Response) -> list[Request]:
    todo, seen = list(answers), []

    def handler(request: Request) -> Response:
        seen.append(request)
        return todo.pop(0) if len(todo) > 1 else todo[0]

    server.expect_request("/w/api.php").respond_with_handler(handler)
    return seen


def _json(value: object, status: int = 200, **headers: str) -> Response:
    return Response(json.dumps(value), status, {"Content-Type": "application/json", **headers})


def test_delays_are_waited_out_and_broken_answers_asked_again(httpserver: HTTPServer) -> None:
    lag = {"error": {"code": "maxlag", "info": "Waiting for all: 6 seconds lagged."}}
    requests = _answers(
        httpserver,
        _json({}, 429, **{"Retry-After": "0.05"}),
        _json(lag, **{"Retry-After": "0"}),
        Response(json.dumps(GOOD)[:30], 200),
        _json({}, 503),
        _json(GOOD),
    )

    async def run() -> dict:
        async with _api(httpserver) as api:
            return await api.lastrevids(["Q1", "Q2"])

    found = asyncio.run(run())
    assert found["Q1"].revision == 7 and found["Q2"].missing
    assert len(requests) == 5
    assert requests[0].headers["User-Agent"] == AGENT
    assert requests[0].args["maxlag"] == "5"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response('{"query": {"pages"', 200), BrokenAnswer),
        (_json({"batchcomplete": True}), BrokenAnswer),
        (_json({"error": {"code": "maxlag", "info": "lag"}}), Lagging),
        (_json({}, 429), Throttled),
    ],
)
def test_a_spent_budget_is_an_error_and_never_no_change(
    httpserver: HTTPServer, answer: Response, error: type[Exception]
) -> None:
    _answers(httpserver, answer)

    async def run() -> None:
        async with _api(httpserver, attempts=2) as api:
            await api.lastrevids(["Q1"])

    with pytest.raises(error):
        asyncio.run(run())


def test_contact_is_mandatory_for_hosts_of_others() -> None:
    for agent in ("", "  ", "python-httpx/0.28"):
        with pytest.raises(NoContact):
            ActionApi("https://www.wikidata.org/w/api.php", user_agent=agent)
    with pytest.raises(NoContact):
        ActionApi("http://127.0.0.1:1/w/api.php", user_agent="")


def test_retry_after_in_all_its_spellings() -> None:
    now = dt.datetime(2025, 9, 1, tzinfo=dt.UTC)
    assert retry_after_s("5") == 5.0
    assert retry_after_s("1.5") == 1.5
    assert retry_after_s("Mon, 01 Sep 2025 00:01:00 GMT", now=now) == 60.0
    assert retry_after_s("soon") is None
    assert retry_after_s(None) is None


def test_a_long_cool_down_outlives_the_process(tmp_path: Path) -> None:
    async def first() -> None:
        await Limiter(cool_down=FileCoolDown(tmp_path / "cool.json")).cool("w.example", 3600)

    async def second() -> None:
        async with Limiter(cool_down=FileCoolDown(tmp_path / "cool.json")).slot("w.example"):
            pass

    asyncio.run(first())
    with pytest.raises(Throttled):
        asyncio.run(second())


def test_a_cut_or_shrunken_discovery_never_shrinks_the_list() -> None:
    with pytest.raises(BrokenAnswer):
        read_items(b'{"results": {"bindings": [The query timed out')
    known = [f"Q{n}" for n in range(1, 11)]
    assert grow(known, known[:3]).items == tuple(known)
    assert grow(known, known[:3]).shrunk
    assert grow(known, [*known[:9], "Q99"]).new == ("Q99",)


# -- the stream ------------------------------------------------------------------------------------

EPOCH_MS = 1_756_700_000_000


def _event(n: int, item: str, *, wiki: str = "wikidatawiki", minutes: float = 0.0) -> bytes:
    stamp = EPOCH_MS + n * 1000 + int(minutes * 60_000)
    number = [{"topic": "eqiad.x", "partition": 0, "timestamp": stamp}]
    data = {
        "wiki_id": wiki,
        "dt": dt.datetime.fromtimestamp(stamp / 1000, dt.UTC).isoformat(),
        "page_change_kind": "edit",
        "page": {"page_title": item, "namespace_id": 0},
        "revision": {"rev_id": 100 + n},
        "meta": {"domain": "www.wikidata.org"},
    }
    return f"event: message\nid: {json.dumps(number)}\ndata: {json.dumps(data)}\n\n".encode()


CANARY = b'event: message\nid: []\ndata: {"meta": {"domain": "canary"}}\n\n'


class CuttingStream:
    """An SSE server: each connection gets the next script and is then cut without a last chunk."""

    def __init__(self, *scripts: list[bytes]) -> None:
        self.scripts = list(scripts)
        self.last_event_ids: list[str | None] = []
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        sent = [h for h in head.split("\r\n") if h.lower().startswith("last-event-id:")]
        self.last_event_ids.append(sent[0].split(":", 1)[1].strip() if sent else None)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for part in self.scripts.pop(0) if self.scripts else []:
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        try:
            await writer.drain()
            await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        finally:
            writer.close()
            self.open -= 1


async def _read_all(server: CuttingStream, ledger: MemoryLedger, **how) -> PageChangeStream:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    stream = PageChangeStream(
        f"http://127.0.0.1:{port}/v2/stream/{STREAM}",
        ledger,
        user_agent=AGENT,
        settings=StreamSettings(batch_ms=10, wait_initial_s=0.01, rewind_s=60),
        clock=lambda: dt.datetime.fromtimestamp(EPOCH_MS / 1000 + 60, dt.UTC),
        **how,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(stream.run(stop))
    for _ in range(300):
        await asyncio.sleep(0.01)
        if not server.scripts:
            break
    await asyncio.sleep(0.15)
    stop.set()
    await running
    await stream.aclose()
    listening.close()
    while server.open:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    return stream


def test_stream_survives_cuts_duplicates_and_strangers() -> None:
    ledger = MemoryLedger(["Q1", "Q2", "Q3"])
    ledger.marks.clear()
    server = CuttingStream(
        [CANARY, _event(1, "Q1"), _event(2, "Q9"), _event(3, "Q2", wiki="enwiki")],
        [_event(1, "Q1"), _event(5, "Q1"), _event(4, "Q1"), b"data: {broken\n\n"],
        [_event(6, "Q3")],
    )
    stream = asyncio.run(_read_all(server, ledger))
    assert ledger.marks == {"Q1": 105, "Q3": 106}
    assert ledger.cursors[STREAM].event_time.timestamp() * 1000 == EPOCH_MS + 6000
    assert server.last_event_ids[0] is None
    sent = json.loads(server.last_event_ids[1] or "")
    assert sent[0]["timestamp"] == EPOCH_MS + 3000 - 60_000
    assert stream.health.canaries == 1 and stream.health.unreadable == 1


def test_a_silent_jump_to_now_is_noticed() -> None:
    ledger = MemoryLedger(["Q1"])
    left = dt.datetime.fromtimestamp(EPOCH_MS / 1000, dt.UTC)
    ledger.cursors[STREAM] = Cursor(stream=STREAM, event_id="[]", event_time=left)
    gaps: list[tuple[dt.datetime, dt.datetime]] = []

    async def gap(since: dt.datetime, until: dt.datetime) -> None:
        gaps.append((since, until))

    asyncio.run(_read_all(CuttingStream([_event(0, "Q1", minutes=30)]), ledger, gap=gap))
    assert gaps == [(left, left + dt.timedelta(minutes=30))]


def test_rewinding_touches_nothing_but_the_time() -> None:
    there = '[{"topic":"a","partition":0,"timestamp":5000},{"topic":"b","offset":-1}]'
    assert json.loads(rewound(there, 2)) == [
        {"topic": "a", "partition": 0, "timestamp": 3000},
        {"topic": "b", "offset": -1},
    ]
    assert rewound(there, 0) == there
    assert rewound("no json", 5) == "no json"
