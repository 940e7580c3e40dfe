"""The loop of the service: what is told when nothing comes, clocks that are set back, stages with
times."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from agents.wikidata.errors import Refused
from agents.wikidata.stream import StreamHealth
from daemon import stream_life
from daemon.controllers.evaluate import EvaluateController
from daemon.operating import Role, ScheduleSettings
from daemon.service_loop import ServiceLoop
from daemon.services import Services
from daemon.stream_life import StreamLife
from daemon.timers import bring_forward
from daemon.upkeep import signs
from daemon.upkeep.degraded import Degraded, Mode
from tests.daemon_support import NOW, settings_at
from tests.databases import url_for


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    times = ScheduleSettings(evaluate="0 3 * * *", curate="0 3 * * *")
    with Services.open(settings_at(tmp_path, url_for("sqlite", tmp_path), schedule=times)) as one:
        yield one


# -- the stream -----------------------------------------------------------------------------------


class Stream:
    """The stream as its life sees it, led by hand."""

    def __init__(self) -> None:
        self.health = StreamHealth()
        self.refused = False

    async def run(self, stop: asyncio.Event) -> None:
        if self.refused:
            raise Refused("say who you are")
        await stop.wait()

    async def aclose(self) -> None:
        return


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    made = Stream()
    monkeypatch.setattr(stream_life, "PageChangeStream", lambda *_, **__: made)
    return made


def life_of(services: Services, degraded: Degraded) -> StreamLife:
    return StreamLife(services.settings, services, SimpleNamespace(gap=None), degraded)  # type: ignore[arg-type]


def told(degraded: Degraded) -> str | None:
    return next((t.reason for t in degraded.list() if t.mode is Mode.WATCHER), None)


def test_a_silent_stream_is_told_and_the_next_event_clears_it(
    services: Services, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        degraded = Degraded()
        life = life_of(services, degraded)
        life.begin()
        await asyncio.sleep(0)
        life.look()
        assert told(degraded) is None, "it has only begun"
        monkeypatch.setattr(stream_life, "SILENCE_S", 0.0)
        stream.health.trouble = "the event stream allows no further connection"
        stream.health.filling = True
        life.look()
        assert told(degraded) is None, "it fills a gap"
        stream.health.filling = False
        life.look()
        assert "no further connection" in (told(degraded) or "")
        stream.health.written += 1
        life.look()
        assert told(degraded) is None
        life.look()
        assert told(degraded) is not None
        await life.end()
        assert told(degraded) is None, "whoever leads now tells of its own"

    asyncio.run(play())


def test_a_refused_stream_is_told_at_once_and_until_an_event_comes(
    services: Services, stream: Stream
) -> None:
    stream.refused = True

    async def play() -> None:
        degraded = Degraded()
        life = life_of(services, degraded)
        life.begin()
        await asyncio.sleep(0)
        life.look()
        assert "say who you are" in (told(degraded) or "")
        stream.health.written += 1
        life.look()
        assert told(degraded) is None
        await life.end()

    asyncio.run(play())


# -- clocks ---------------------------------------------------------------------------------------


def test_timers_go_on_when_the_clock_is_set_back() -> None:
    scheduler = AsyncIOScheduler(timezone=dt.UTC)
    soon = NOW + dt.timedelta(seconds=2)
    job = scheduler.add_job(lambda: None, "interval", seconds=2, next_run_time=soon)
    assert bring_forward(scheduler, NOW) == 0 and job.next_run_time == soon
    back = NOW - dt.timedelta(hours=1)
    assert bring_forward(scheduler, back) == 1 and job.next_run_time == back
    assert bring_forward(scheduler, back) == 0


# -- stages ---------------------------------------------------------------------------------------


class Runner:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.begins: list[bool] = []

    async def step(self, work: object, *, begins: bool = True) -> int:
        self.begins.append(begins)
        return 0


class Counting:
    """A stage without jobs."""

    asked = 0

    async def reconcile(self) -> int:
        self.asked += 1
        return 0


def loop_of(services: Services, **controllers: object) -> ServiceLoop:
    almanac: Any = SimpleNamespace(
        settings=services.settings,
        services=services,
        controllers=controllers,
        agents=SimpleNamespace(api=None),
        degraded=Degraded(),
        name="here",
        owner="here:1",
    )
    return ServiceLoop(almanac, Role.WORKER)


def test_between_its_times_a_stage_takes_over_results_and_begins_nothing(
    services: Services,
) -> None:
    runner, curate = Runner(), Counting()
    args: Any = (runner, services.database, services.registry, services.clock, services.settings)
    loop = loop_of(services, evaluate=EvaluateController(*args), curate=curate)

    async def play() -> None:
        await loop._reconcile("evaluate")
        assert runner.begins == [False], "also a follower ends what it began"
        assert loop._leadership.stand()
        for name in ("evaluate", "curate"):
            await loop._reconcile(name)
        assert runner.begins == [False, False] and curate.asked == 0
        for name in ("evaluate", "curate"):
            services.schedule.ask(name, actor="tester")
            await loop._reconcile(name)
        assert runner.begins == [False, False, True] and curate.asked == 1
        loop._leadership.give_up()

    asyncio.run(play())


def test_a_service_whose_timers_stand_still_is_not_alive(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = loop_of(services)
    assert asyncio.run(loop._signs.alive()) is None
    monkeypatch.setattr(signs, "STUCK_S", -1.0)
    assert "no timer has come round" in (asyncio.run(loop._signs.alive()) or "")
