"""One allowance for all that ask Wikimedia: the API, the evidence fetcher and the SPARQL client."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from agents.evidence.fetch import FetchFailed, GuardedFetcher
from agents.wikidata.api import ActionApi
from agents.wikidata.errors import Throttled
from agents.wikidata.limiter import FileCoolDown, Limiter
from agents.wikidata.quota import FileQuota, allowance_of
from agents.wikidata.sparql import SparqlEndpoint
from daemon import wiring
from tests.daemon_support import settings_at
from tests.databases import url_for

AGENT = "almanac-tests/0 (mailto:tests@example.org)"
API, WIKI = "https://www.wikidata.org/w/api.php", "https://en.wikipedia.org/w/api.php"


async def public(host: str, port: int) -> list[str]:
    return ["93.184.216.34"]


class Turns:
    """A quota that notes who asked for a turn."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        self.names.append(host)
        yield


def test_all_of_wikimedia_is_one_host_to_its_guests() -> None:
    for host in ("www.wikidata.org", "query.wikidata.org:443", "en.wikipedia.org", "wikidata.org"):
        assert allowance_of(host) == "wikimedia"
    for host in ("notwikidata.org", "wikidata.org.example.com", "127.0.0.1:8080"):
        assert allowance_of(host) == host


def test_three_clients_with_limiters_of_their_own_share_what_a_folder_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    per_window, window_s, at_once = 6, 0.5, 2
    times: list[float] = []
    lock, now, most = threading.Lock(), 0, 0

    def come() -> None:
        nonlocal now, most
        with lock:
            times.append(time.monotonic())
            now += 1
            most = max(most, now)

    def go() -> None:
        nonlocal now
        with lock:
            now -= 1

    async def answer(request: httpx.Request) -> httpx.Response:
        come()
        await asyncio.sleep(0.01)
        go()
        return httpx.Response(200, json={"entities": {"Q1": {"id": "Q1"}}})

    def ask(self: SparqlEndpoint, query: str) -> list[str]:
        come()
        time.sleep(0.01)
        go()
        return []

    monkeypatch.setattr(SparqlEndpoint, "_ask", ask)

    def limiter() -> Limiter:  # as each process has
        quota = FileQuota(tmp_path, per_window=per_window, window_s=window_s, at_once=at_once)
        return Limiter(per_minute=None, at_once=8, quota=quota)

    async def run() -> None:
        transport = httpx.MockTransport(answer)
        client = httpx.AsyncClient(transport=transport)
        api = ActionApi(API, user_agent=AGENT, limiter=limiter(), client=client)
        fetcher = GuardedFetcher(AGENT, resolver=public, transport=transport, limiter=limiter())
        sparql = SparqlEndpoint(
            "https://query.wikidata.org/sparql", user_agent=AGENT, limiter=limiter()
        )
        await asyncio.gather(
            *(api.entities(["Q1"]) for _ in range(5)),
            *(fetcher.get_json(WIKI, {"page": str(n)}) for n in range(5)),
            *(sparql.items("SELECT ?item {}") for _ in range(4)),
        )
        await api.aclose()
        await fetcher.aclose()

    asyncio.run(run())
    times.sort()
    assert len(times) == 14 and most <= at_once
    later = zip(times, times[per_window:], strict=False)
    assert all(last - first >= window_s - 0.02 for first, last in later)


def test_the_fetcher_takes_turns_for_wikimedia_and_the_configured_hosts_alone() -> None:
    turns = Turns()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers["Host"] == "go.example.org":
            return httpx.Response(302, headers={"location": WIKI})
        return httpx.Response(200, text="{}", headers={"content-type": "application/json"})

    async def run() -> None:
        async with GuardedFetcher(
            AGENT,
            resolver=public,
            transport=httpx.MockTransport(answer),
            limiter=Limiter(per_minute=None, quota=turns),
            limited=frozenset({"wiki.example.org"}),
        ) as fetcher:
            await fetcher.get("https://news.example.org/a")
            await fetcher.get("https://wiki.example.org/w/api.php")
            await fetcher.get("https://go.example.org/")  # a redirect leads there: a turn as well

    asyncio.run(run())
    assert turns.names == ["wiki.example.org", "wikimedia"]


def test_a_pause_that_the_fetcher_is_told_holds_all_clients_and_costs_no_fetch_its_time(
    tmp_path: Path,
) -> None:
    now = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    asked = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(429, headers={"retry-after": "90.5"})

    def limiter() -> Limiter:
        pause = FileCoolDown(tmp_path / "cool-down.json")
        return Limiter(per_minute=None, cool_down=pause, clock=lambda: now)

    async def run() -> None:
        transport = httpx.MockTransport(answer)
        async with GuardedFetcher(
            AGENT, resolver=public, transport=transport, limiter=limiter()
        ) as fetcher:
            with pytest.raises(FetchFailed) as told:
                await fetcher.get(WIKI)
            assert told.value.retry_after_s == 90.5
            with pytest.raises(FetchFailed, match="asked for a pause"):
                await fetcher.get(WIKI)
        with pytest.raises(Throttled):
            async with limiter().slot("en.wikipedia.org"):
                raise AssertionError("it was let through")

    asyncio.run(run())
    assert asked == 1


@pytest.fixture
def busy() -> Iterator[str]:
    class Busy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(429)
            self.send_header("Retry-After", "120")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Busy)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/sparql"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_busy_sparql_endpoint_is_left_alone_for_as_long_as_it_asks(
    busy: str, tmp_path: Path
) -> None:
    turns = Turns()
    pause = FileCoolDown(tmp_path / "cool-down.json")
    limiter = Limiter(per_minute=None, quota=turns, cool_down=pause)

    async def run() -> None:
        endpoint = SparqlEndpoint(busy, user_agent=AGENT, limiter=limiter)
        for _ in range(3):
            with pytest.raises(Throttled):
                await endpoint.items("SELECT ?item { ?item ?p ?o }")

    asyncio.run(run())
    assert len(turns.names) == 1


def test_the_service_gives_every_client_the_allowance_of_its_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, Limiter]] = []

    def note(name: str) -> object:
        def build(*args: object, limiter: Limiter, **more: object) -> None:
            made.append((name, limiter))

        return build

    for name in ("GuardedFetcher", "SparqlEndpoint", "ActionApi"):
        monkeypatch.setattr(wiring, name, note(name))
    settings = settings_at(tmp_path, url_for("sqlite", tmp_path))
    real = settings.wikidata.model_copy(
        update={
            "api_url": API,
            "wikipedia_url": WIKI,
            "sparql_url": "https://query.wikidata.org/sparql",
            "stream_url": "https://stream.wikimedia.org/v2/stream/mediawiki.page_change.v1",
        }
    )
    settings = settings.model_copy(update={"wikidata": real})
    wiring._fetcher(settings)
    wiring.sparql_endpoint(settings)
    wiring.wikidata_api(settings)

    async def all_take() -> None:
        for _, limiter in made:
            async with limiter.slot("www.wikidata.org"):
                pass

    asyncio.run(all_take())
    assert [name for name, _ in made] == ["GuardedFetcher", "SparqlEndpoint", "ActionApi"]
    times = (settings.home / wiring.QUOTA_FOLDER / "wikimedia" / "times.json").read_text()
    assert times.count(":") == 3


def test_tickets_of_a_clock_that_ran_ahead_hold_nobody(tmp_path: Path) -> None:
    now = 1_000_000.0
    quota = FileQuota(tmp_path, per_window=2, clock=lambda: now)

    async def take() -> None:
        async with quota.turn("wikimedia"):
            pass

    async def run() -> None:
        nonlocal now
        await take()
        await take()
        now -= 3600.0  # the clock is set back
        async with asyncio.timeout(5):
            await take()

    asyncio.run(run())


def test_a_clock_a_little_behind_forgets_no_request_in_flight(tmp_path: Path) -> None:
    ahead = FileQuota(tmp_path, per_window=1, clock=lambda: 1_000_000.5)
    behind = FileQuota(tmp_path, per_window=1, clock=lambda: 1_000_000.0)

    async def run() -> None:
        async with ahead.turn("wikimedia"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3), behind.turn("wikimedia"):
                    pass

    asyncio.run(run())
