"""The review service under load: server times of the pages, and a bulk approval.

Owns the rows of `make bench-review`. The same requests go to the same application over SQLite and
over PostgreSQL, in process, signed in as a reviewer: what is timed is the server, not a network.
Each figure is the best of five rounds, so that it tells of Almanac and not of what else ran.
"""

from __future__ import annotations

import datetime as dt
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from starlette.testclient import TestClient

from daemon.accounts import Role
from daemon.bench.proposals import Sample, fill, samples
from daemon.bench.rows import Op, Row
from daemon.config import Settings
from daemon.errors import AlmanacError
from daemon.review.query import Query
from daemon.sections import DatabaseSettings
from daemon.services import Services
from daemon.web.app import create_app

PAGE_LIMIT_MS = 100.0
BULK_LIMIT_S = 1.0
BULK = 200
FULL = (100_000, 5_000, 200)
"""Changes, of which proposals wait, and requests of each kind."""
QUICK = (2_000, 400, 20)
ROUNDS = 5
_UNMEASURED = 3
_SAMPLES = 120


def measure(quick: bool) -> list[Row]:
    """Fill a database of each kind, and ask."""
    changes, waiting, requests = QUICK if quick else FULL
    now = dt.datetime.now(dt.UTC)
    chosen = samples(_SAMPLES, now)
    rows: list[Row] = []
    for name, server in (("SQLite", nullcontext(None)), ("PostgreSQL", _postgres())):
        rows += _measured(name, server, chosen, changes, waiting, requests, now)
    return rows


def _measured(
    name: str,
    server: AbstractContextManager[str | None],
    chosen: list[Sample],
    changes: int,
    waiting: int,
    requests: int,
    now: dt.datetime,
) -> list[Row]:
    with tempfile.TemporaryDirectory() as scratch, server as url:
        settings = Settings(
            home=Path(scratch),
            database=DatabaseSettings(url=SecretStr(url) if url else None),
        )
        with Services.open(settings) as services:
            fill(services.database, chosen, waiting=waiting, changes=changes, now=now)
            _settle(services)
            client = _signed_in(services)
            detail = f"{changes:,} changes, {waiting:,} wait"
            rows = [
                _timed(f"{name}: {what}, p95", client, urls, requests // ROUNDS, detail)
                for what, urls in _requests(chosen, waiting).items()
            ]
            return [*rows, *_bulk(name, services, client, BULK if waiting > BULK * ROUNDS else 20)]


def _settle(services: Services) -> None:
    """What PostgreSQL does by itself within a minute of so many new rows, and SQLite never."""
    if not services.database.is_sqlite:
        with services.database.alone() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _requests(chosen: list[Sample], waiting: int) -> dict[str, Callable[[int], str]]:
    """What reviewers open. Each takes the number of the request, so that no two are the same."""
    words = [sample.unit.change.subject.label.split()[0] for sample in chosen]
    properties = sorted({sample.unit.change.property for sample in chosen})

    def word(n: int) -> str:
        return words[n % len(words)]

    def property(n: int) -> str:
        return properties[n % len(properties)]

    return {
        "inbox": lambda n: f"/review?after={(n * 37) % waiting}",
        "item": lambda n: f"/review/{1 + (n * 53) % waiting}",
        "filters": lambda n: f"/review?property={property(n)}&checks=clean&kind=country",
        "search the queue": lambda n: f"/review?q={word(n)}+{n % 7}",
        "all changes": lambda n: f"/changes?after={100 + n * 41}",
        "filter all changes": lambda n: f"/changes?state=rejected&property={property(n)}",
        "search all changes": lambda n: f"/changes?q={word(n)}+{n * 13}",
        "search that finds nothing": lambda n: f"/changes?q=nothing-{n}",
        "API: list": lambda n: f"/api/v1/changes?q={word(n)}&limit=50",
    }


def _timed(
    what: str, client: TestClient, url: Callable[[int], str], requests: int, detail: str
) -> Row:
    """The p95 of `requests` requests, in the best of the rounds."""
    for n in range(_UNMEASURED):
        _took_s(client, url(n))
    rounds = [
        [_took_s(client, url(_UNMEASURED + n * requests + k)) for k in range(requests)]
        for n in range(ROUNDS)
    ]
    p95s = [1000 * statistics.quantiles(times, n=20, method="inclusive")[-1] for times in rounds]
    median = 1000 * statistics.median(time for times in rounds for time in times)
    told = ", ".join(f"{one:.0f}" for one in p95s)
    return Row(
        what=what,
        value=round(min(p95s), 1),
        unit="ms",
        bar=PAGE_LIMIT_MS,
        op=Op.AT_MOST,
        detail=f"median {median:.1f} ms; rounds of {requests} requests: {told} ms; {detail}",
    )


def _took_s(client: TestClient, url: str) -> float:
    started = time.perf_counter()
    response = client.get(url)
    took_s = time.perf_counter() - started
    if response.status_code != 200:
        raise AlmanacError(f"{url} answered {response.status_code}, not 200")
    return took_s


def _bulk(name: str, services: Services, client: TestClient, size: int) -> list[Row]:
    """Rounds of clean proposals, each in one request; each proposal with an event of its own."""
    times_s: list[float] = []
    approved = first = 0
    before = services.audit.head()
    for _ in range(ROUNDS):
        page = services.queue.page(Query(), limit=size)
        body = {"items": [{"id": item.id, "digest": item.digest} for item in page.items]}
        started = time.perf_counter()
        response = client.post("/api/v1/changes/approve", json=body, headers=_SAME_ORIGIN)
        times_s.append(time.perf_counter() - started)
        done = response.json()
        approved += len(done["approved"])
        first += len(done["first_of_two"])
    events = services.audit.head() - before
    told = ", ".join(f"{one:.2f}" for one in times_s)
    return [
        Row(
            what=f"{name}: bulk approval of {size}",
            value=round(min(times_s), 3),
            unit="s",
            bar=BULK_LIMIT_S,
            op=Op.AT_MOST,
            detail=f"rounds: {told} s; {approved} approved, {first} first of two",
        ),
        Row(
            what=f"{name}: of {ROUNDS * size} in bulk, decided with an event each",
            value=approved + first if approved + first == events else 0,
            unit="",
            bar=ROUNDS * size,
            op=Op.EQUAL,
            detail=f"{events} events",
        ),
    ]


_SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


def _signed_in(services: Services) -> TestClient:
    services.accounts.add("bench", Role.REVIEWER, password="a long password", actor="bench")

    async def status() -> dict[str, Any]:
        return {}

    client = TestClient(create_app(services, status))
    form = {"name": "bench", "password": "a long password"}
    answer = client.post("/login", data=form, headers=_SAME_ORIGIN, follow_redirects=False)
    if answer.status_code != 303:
        raise AlmanacError("the bench could not sign in")
    return client


@contextmanager
def _postgres() -> Iterator[str]:
    """A PostgreSQL of its own, ended afterwards."""
    logging.getLogger("pgserver").setLevel(logging.ERROR)  # it tells every command that it runs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it remarks on the machine's runtime folder
        import pgserver

    with tempfile.TemporaryDirectory() as scratch:
        server = pgserver.get_server(scratch, cleanup_mode="stop")  # pyright: ignore[reportPrivateImportUsage]
        try:
            uri = server.get_uri()
            yield uri.replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            server.cleanup()
