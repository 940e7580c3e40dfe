"""The processes of the fault runs: a watch that works until it is killed, and its Wikidata.

Owns nothing new: the worker runs the product's stream, sweep and graph over the product's store, as
the service does, and writes a note when it has come to rest at a clock.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import socket
from pathlib import Path

import uvicorn
from stamina import instrumentation

from agents.errors import Retryable
from agents.watch import Watcher, WatchSettings
from agents.wikidata.api import ActionApi
from agents.wikidata.limiter import FileCoolDown, Limiter
from agents.wikidata.stream import STREAM, PageChangeStream, StreamSettings
from agents.wikidata.sweep import backfill, sweep
from daemon.bench.watch_stage import AGENT
from daemon.clock import FileClock
from daemon.demo.wikidata.__main__ import quiet_cuts
from daemon.demo.wikidata.scenario import Scenario
from daemon.demo.wikidata.server import LocalWikidata
from daemon.store.engine import Database
from daemon.store.ledger import SqlWatchLedger

_NOTE = "rested"
_POLL_S = 0.01


def rested(home: Path) -> str:
    """The clock at which the worker last came to rest; empty before the first time."""
    try:
        return (home / _NOTE).read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def work(home: Path, url: str, clock_file: Path) -> None:
    """Watch until killed."""
    instrumentation.set_on_retry_hooks([])  # retries are what is asked for here
    asyncio.run(_work(home, url, clock_file))


async def _work(home: Path, url: str, clock_file: Path) -> None:
    clock = FileClock(clock_file)
    database = Database(f"sqlite:///{home}/watch.db")
    ledger = SqlWatchLedger(database, clock)
    limiter = Limiter(
        per_minute=None, at_once=3, cool_down=FileCoolDown(home / "cool.json"), patience_s=1.0
    )
    api = ActionApi(f"{url}/w/api.php", user_agent=AGENT, limiter=limiter, budget_s=3.0, attempts=2)

    async def gap(since: dt.datetime, until: dt.datetime) -> None:
        # So small a list would always be swept; what is to be shaken is the reading of gaps.
        await backfill(api, ledger, since, until, clock=clock.now, rows_a_day=0)

    stream = PageChangeStream(
        f"{url}/v2/stream/{STREAM}",
        ledger,
        user_agent=AGENT,
        gap=gap,
        clock=clock.now,
        settings=StreamSettings(
            batch_ms=20, read_timeout_s=2.0, wait_initial_s=0.02, wait_max_s=0.2
        ),
    )
    watcher = Watcher(api, ledger, clock.now, WatchSettings())
    following = asyncio.create_task(stream.run(asyncio.Event()))
    swept: dt.datetime | None = None
    while True:
        now = clock.now()
        try:
            looked = await watcher.reconcile()
            if swept != now and not looked:  # the next sweep of a service that looks once a day
                await sweep(api, ledger)
                swept = now
                continue
        except Retryable:
            await asyncio.sleep(_POLL_S)
            continue
        if looked:
            continue
        if clock.now() == now and swept == now:
            _note(home, now)
        if following.done():
            following.result()
        await asyncio.sleep(_POLL_S)


def _note(home: Path, now: dt.datetime) -> None:
    part = home / f"{_NOTE}.part"
    part.write_text(now.isoformat(), encoding="ascii")
    os.replace(part, home / _NOTE)


def serve(
    scenario: Scenario, listening: socket.socket, clock_file: Path, retention: dt.timedelta
) -> None:
    """The local Wikidata on a bound socket, without its SPARQL engine."""
    quiet_cuts()
    asyncio.run(_serve(scenario, listening, clock_file, retention))


async def _serve(
    scenario: Scenario, listening: socket.socket, clock_file: Path, retention: dt.timedelta
) -> None:
    wikidata = LocalWikidata(scenario, clock_file, retention=retention)
    config = uvicorn.Config(
        wikidata.app(), log_level="critical", access_log=False, lifespan="off", loop="asyncio"
    )
    following = asyncio.create_task(wikidata.clock.run())
    await uvicorn.Server(config).serve(sockets=[listening])
    following.cancel()
