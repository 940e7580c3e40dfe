"""The review service under load: server times of the pages, and a bulk approval.

Owns the rows of `make bench-review`. The same requests go to the same application over SQLite and
over PostgreSQL, in process, signed in as a reviewer: what is timed is the server, not a network.
"""

from __future__ import annotations

import datetime as dt
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from starlette.testclient import TestClient

from daemon.accounts import Role
from daemon.bench.proposals import Sample, fill, samples
from daemon.bench.rows import Op, Row
from daemon.config import DatabaseSettings, Settings
from daemon.errors import AlmanacError
from daemon.services import Services
from daemon.web.app import create_app

PAGE_LIMIT_MS = 100.0
BULK_LIMIT_S = 1.0
BULK = 200
FULL = (100_000, 5_000, 200)
"""Changes, of which proposals wait, and requests of each kind."""
QUICK = (2_000, 400, 20)
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
            client = _signed_in(services)
            detail = (
                f"{changes:,} changes, {waiting:,} wait; {requests} requests after 3 unmeasured"
            )
            rows = [
                _timed(f"{name}: {what}, p95", client, urls, requests, detail)
                for what, urls in _requests(chosen, waiting).items()
            ]
            return [*rows, *_bulk(name, services, client)]


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
    times: list[float] = []
    for n in itertools.islice(itertools.count(), requests + 3):
        started = time.perf_counter()
        response = client.get(url(n))
        took = time.perf_counter() - started
        if response.status_code != 200:
            raise AlmanacError(f"{url(n)} answered {response.status_code}, not 200")
        times += [took] if n >= 3 else []
    p95 = 1000 * statistics.quantiles(times, n=20)[-1]
    median = 1000 * statistics.median(times)
    return Row(
        what=what,
        value=round(p95, 1),
        unit="ms",
        bar=PAGE_LIMIT_MS,
        op=Op.AT_MOST,
        detail=f"median {median:.1f} ms; {detail}",
    )


def _bulk(name: str, services: Services, client: TestClient) -> list[Row]:
    """Two hundred clean proposals in one request; each with an event of its own."""
    page = services.queue.page(_queue(), limit=BULK)
    body = {"items": [{"id": item.id, "digest": item.digest} for item in page.items]}
    before = services.audit.head()
    started = time.perf_counter()
    response = client.post("/api/v1/changes/approve", json=body, headers=_SAME_ORIGIN)
    took_s = time.perf_counter() - started
    done = response.json()
    events = services.audit.head() - before
    approved = len(done["approved"]) + len(done["first_of_two"])
    return [
        Row(
            what=f"{name}: bulk approval of {BULK}",
            value=round(took_s, 3),
            unit="s",
            bar=BULK_LIMIT_S,
            op=Op.AT_MOST,
            detail=f"{len(done['approved'])} approved, {len(done['first_of_two'])} first of two",
        ),
        Row(
            what=f"{name}: of the {BULK}, decided with an event each",
            value=approved if approved == events else 0,
            unit="",
            bar=BULK,
            op=Op.EQUAL,
            detail=f"{events} events",
        ),
    ]


_SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


def _queue() -> Any:
    from daemon.review.queue import Query

    return Query()


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
    import pgserver

    with tempfile.TemporaryDirectory() as scratch:
        server = pgserver.get_server(scratch, cleanup_mode="stop")  # pyright: ignore[reportPrivateImportUsage]
        try:
            uri = server.get_uri()
            yield uri.replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            server.cleanup()
