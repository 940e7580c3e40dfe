"""The watch against the local Wikidata, over HTTP: all successions kept, all noise dismissed.

The server shows its clock through a file; the truth labels are read from the scenario itself, which
no protocol serves."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from agents.watch import Watcher, WatchSettings
from agents.wikidata.api import ActionApi
from agents.wikidata.sparql import SparqlEndpoint
from agents.wikidata.stream import PageChangeStream
from agents.wikidata.sweep import sweep
from daemon.demo.wikidata.edits import EditKind, Kind
from daemon.demo.wikidata.scenario import Scenario, build_scenario
from knowledge.properties import WATCHED
from knowledge.world import World
from tests.fakes_ledger import MemoryLedger

SEED, SUCCESSIONS, NOISE = "watch-test", 4, 120
AGENT = "almanac-tests/0 (mailto:tests@example.org)"


class Served:
    """The server process and its clock."""

    def __init__(self, folder: Path, *extra: str) -> None:
        self.file = folder / "clock"
        command = [sys.executable, "-m", "daemon.demo.wikidata", "--clock-file", str(self.file)]
        sizes = ["--seed", SEED, "--successions", str(SUCCESSIONS), "--noise", str(NOISE)]
        self.process = subprocess.Popen(
            [*command, *sizes, *extra], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line
        self.url = found.group()
        self.now = dt.datetime.now(dt.UTC)
        self._wait_until_listening()

    def _wait_until_listening(self) -> None:
        for _ in range(200):
            try:
                httpx.get(f"{self.url}/_control/status", timeout=5)
                return
            except httpx.ConnectError:
                time.sleep(0.1)
        raise AssertionError("the local Wikidata does not listen")

    async def set(self, now: dt.datetime) -> None:
        self.now = now
        part = self.file.with_suffix(".part")
        part.write_text(now.isoformat(), encoding="ascii")
        os.replace(part, self.file)
        await asyncio.sleep(0.06)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build_scenario(World.load(), SEED, SUCCESSIONS, NOISE)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("clock"), "--cut-after", "40")
    yield made
    made.stop()


async def _follow(served: Served, scenario: Scenario, ledger: MemoryLedger) -> int:
    """Run the scenario's forty days with stream and looks; what the final sweep still finds."""
    await served.set(scenario.start)
    settings = WatchSettings(debounce_min=0, properties=tuple(p for p in WATCHED if p != "P39"))
    stop = asyncio.Event()
    async with ActionApi(f"{served.url}/w/api.php", user_agent=AGENT) as api:
        watcher = Watcher(api, ledger, lambda: served.now, settings)
        while await watcher.reconcile():
            pass
        stream = PageChangeStream(
            f"{served.url}/v2/stream/mediawiki.page_change.v1",
            ledger,
            user_agent=AGENT,
            clock=lambda: served.now,
        )
        reading = asyncio.create_task(stream.run(stop))
        await asyncio.sleep(0.3)
        for half_days in range(3, 84, 3):
            await served.set(scenario.start + dt.timedelta(days=half_days / 2))
            await asyncio.sleep(0.25)  # the stream's batch time
            while await watcher.reconcile():
                pass
        stop.set()
        await reading
        await stream.aclose()
        return await sweep(api, ledger)


def test_scenario_over_http(served: Served, scenario: Scenario) -> None:
    ledger = MemoryLedger(sorted({f.subject.id for f in scenario.world.facts}))
    left = asyncio.run(_follow(served, scenario, ledger))
    settled = {
        c.change.slot: (c.change.old.id, c.change.new.id)
        for c in ledger.settled()
        if c.change.old and c.change.new
    }
    assert left == 0, "the stream lost an edit that the sweep had to find"
    assert settled == scenario.expected
    judged = [e for e in scenario.edits if e.item in ledger.base and e.kind is not EditKind.DELETE]
    assert judged
    for edit in judged:
        verdict = ledger.verdicts[edit.item, edit.revision]
        assert edit.truth is not None and verdict.reason
        if edit.truth.is_noise:
            assert not verdict.kept, (edit.truth, verdict)
        elif edit.truth.kind is Kind.SUCCESSION and verdict.kind != "reference":
            assert verdict.kept, (edit.truth, verdict)


def test_discovery_by_sparql(served: Served, scenario: Scenario) -> None:
    endpoint = SparqlEndpoint(f"{served.url}/sparql", user_agent=AGENT)
    found = asyncio.run(endpoint.subjects("P6"))
    wanted = {f.subject.id for f in scenario.world.facts if f.property == "P6"}
    assert wanted <= set(found)
