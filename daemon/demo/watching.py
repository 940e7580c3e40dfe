"""The simulated weeks: the clock moves a step, and Almanac catches up before it moves again.

Owns the intake (stream and sweep) of the demo and the rule that makes it repeatable: a step is over
when the stream's cursor has reached the last edit that is visible and nothing due is left undone.
What is to be done is read from the database, so a killed demo goes on where it was.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from agents.wikidata.sparql import SparqlEndpoint
from agents.wikidata.stream import STREAM, PageChangeStream
from agents.wikidata.sweep import backfill, sweep
from daemon.app import Almanac
from daemon.clock import FileClock
from daemon.contact import user_agent
from daemon.demo.errors import DemoError
from daemon.demo.progress import Stage
from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.events import EventLog
from daemon.demo.wikidata.scenario import Scenario

CATCH_UP_TIMEOUT_S = 60.0
INTAKE = ("watch", "curate", "review")
"""The controllers that answer to the clock; releases are made beside them."""


@asynccontextmanager
async def listening(almanac: Almanac) -> AsyncIterator[None]:
    """Follow the local Wikidata's event stream while inside."""
    services, settings = almanac.services, almanac.settings
    now = services.clock.now

    async def fill(since: dt.datetime, until: dt.datetime) -> None:
        await backfill(almanac.agents.api, services.ledger, since, until, clock=now)

    stream = PageChangeStream(
        settings.wikidata.stream_url,
        services.ledger,
        user_agent=user_agent(settings),
        gap=fill,
        clock=now,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(stream.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait({task}, timeout=10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stream.aclose()


async def discover(almanac: Almanac, properties: Sequence[str]) -> int:
    """Watch every item that has a statement of these properties; the number newly watched."""
    settings = almanac.settings
    endpoint = SparqlEndpoint(settings.wikidata.sparql_url, user_agent=user_agent(settings))
    found: set[str] = set()
    for property_id in properties:
        found |= set(await endpoint.subjects(property_id))
    return await asyncio.to_thread(almanac.services.watch.add, sorted(found))


class Weeks:
    """The simulated time of one scenario, moved step by step."""

    def __init__(self, almanac: Almanac, scenario: Scenario, clock: FileClock, step_h: float):
        self._almanac = almanac
        self._clock = clock
        self._edit_times = [edit.time for edit in scenario.edits]
        self._log = EventLog(Archive(scenario))
        self.start = scenario.start
        self.end = scenario.end
        self._step = dt.timedelta(hours=step_h)

    @property
    def now(self) -> dt.datetime:
        return self._clock.now()

    @property
    def over(self) -> bool:
        return self.now >= self.end

    @property
    def steps_done(self) -> float:
        return (self.now - self.start) / self._step

    @property
    def steps(self) -> float:
        return (self.end - self.start) / self._step

    def advance(self) -> None:
        """Move the clock one step; never beyond the end."""
        self._clock.set(min(self.now + self._step, self.end))

    def edits_so_far(self) -> int:
        return bisect_right(self._edit_times, self.now)

    async def catch_up(self) -> None:
        """Until every visible edit is known and nothing due is left. Raises DemoError if stuck."""
        sent = self._log.end(self.now)
        if sent:
            await self._stream_reaches(self._log.entries[sent - 1].timestamp_ms)
        await self.work_off()

    async def work_off(self, stage: Stage | None = None) -> None:
        """Look, settle, draft and review until nothing of it is left to do at this time."""
        controllers = [
            self._almanac.controllers[name] for name in INTAKE if name in self._almanac.controllers
        ]
        done = 0
        while steps := [await controller.reconcile() for controller in controllers]:
            if not any(steps):
                break
            done += steps[0]
            if stage is not None:
                stage.update(done=done)
        left = await self._almanac.services.ledger.dirty(10, self.now)  # later ones may wait
        if left:
            raise DemoError(
                f"{', '.join(left)} could not be looked at; see logs/almanac.log and start again"
            )

    async def sweep(self) -> int:
        """Ask for the latest revision of every watched item: what no stream can lose."""
        return await sweep(self._almanac.agents.api, self._almanac.services.ledger)

    async def _stream_reaches(self, last_ms: int) -> None:
        deadline = time.monotonic() + CATCH_UP_TIMEOUT_S
        last = dt.datetime.fromtimestamp(last_ms / 1000, dt.UTC)
        while True:
            cursor = await self._almanac.services.ledger.cursor(STREAM)
            if cursor is not None and cursor.event_time >= last:
                return
            if time.monotonic() > deadline:
                at = cursor.event_time.isoformat() if cursor else "nothing"
                raise DemoError(
                    f"the event stream stands at {at} and does not reach {last.isoformat()}; "
                    "see logs/wikidata.log"
                )
            await asyncio.sleep(0.01)


async def watch_on(weeks: Weeks, stage: Stage) -> None:
    """One step of the simulated time."""
    weeks.advance()
    await weeks.catch_up()
    note = f"{weeks.now:%d %b %Y}, {weeks.edits_so_far()} edits"
    stage.update(done=weeks.steps_done, total=weeks.steps, note=note)
