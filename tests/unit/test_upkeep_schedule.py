"""The timetable in the database: slots run once, crashes run them again, people pause them."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from pathlib import Path

import pytest
from sqlmodel import Session

from daemon.errors import LeaseLost, NotFound
from daemon.operating import ScheduleSettings
from daemon.store import leases
from daemon.store.engine import Database
from daemon.upkeep.leader import RESOURCE, Leadership
from daemon.upkeep.schedule import Schedule
from tests.daemon_support import NOW, StillClock
from tests.databases import PostgresServer, url_for


def eventually(holds, timeout_s: float = 10.0) -> bool:
    until = time.monotonic() + timeout_s
    while not (held := holds()) and time.monotonic() < until:
        time.sleep(0.02)
    return held


def free(_: Session) -> None:
    """Whoever asks leads."""


@pytest.fixture
def database(database_url: str):
    opened = Database.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def schedule(database: Database, clock: StillClock) -> Schedule:
    return Schedule(database, clock, ScheduleSettings(backup="15 2 * * *"))


def test_a_slot_is_run_once_and_a_crash_runs_it_again(
    schedule: Schedule, clock: StillClock
) -> None:
    assert schedule.begin("backup", free) is None, "nothing was due before the first start"
    clock.advance(days=3)
    slot = schedule.begin("backup", free)
    assert slot == dt.datetime(2026, 3, 4, 2, 15, tzinfo=dt.UTC)
    assert schedule.begin("backup", free) == slot, "it was begun and never ended"
    schedule.end("backup", slot, "done", free)
    assert schedule.begin("backup", free) is None
    (line,) = [one for one in schedule.lines() if one.name == "backup"]
    assert (line.runs, line.outcome) == (1, "done")
    assert line.next == (dt.datetime(2026, 3, 5, 2, 15, tzinfo=dt.UTC),)


def test_every_slot_of_a_month_is_run(schedule: Schedule, clock: StillClock) -> None:
    schedule.begin("backup", free)
    runs = 0
    for _ in range(30 * 24):
        clock.advance(hours=1)
        if slot := schedule.begin("backup", free):
            schedule.end("backup", slot, "done", free)
            runs += 1
    assert runs == 30


def test_the_first_start_sweeps_at_once(schedule: Schedule) -> None:
    slot = schedule.begin("sweep", free)
    assert slot == NOW
    schedule.end("sweep", slot, "3 items", free)
    assert schedule.begin("sweep", free) is None


def test_a_clock_set_far_back_counts_anew(schedule: Schedule, clock: StillClock) -> None:
    schedule.begin("backup", free)
    clock.advance(days=400)
    slot = schedule.begin("backup", free)
    assert slot is not None
    schedule.end("backup", slot, "done", free)
    clock.advance(days=-400)
    assert schedule.begin("backup", free) is None
    clock.advance(days=1)
    assert schedule.begin("backup", free) is not None


def test_pausing_skips_what_passes_meanwhile(schedule: Schedule, clock: StillClock) -> None:
    schedule.begin("backup", free)
    schedule.pause(["backup"], actor="ann", reason="the disk is moved")
    assert schedule.paused() == {"backup"}
    (line,) = [one for one in schedule.lines() if one.name == "backup"]
    assert line.paused and line.next == () and line.paused_reason == "the disk is moved"
    clock.advance(days=2)
    schedule.resume(["backup"], actor="ann")
    assert schedule.begin("backup", free) is None
    schedule.pause([], actor="ann", reason="")
    assert {"all", "poll", "curate", "train", "sweep"} <= schedule.paused()
    schedule.resume([], actor="ann")
    assert schedule.paused() == frozenset()
    with pytest.raises(NotFound, match="no line"):
        schedule.pause(["tea"], actor="ann", reason="")


def test_a_line_can_be_asked_for(schedule: Schedule) -> None:
    schedule.begin("backup", free)
    schedule.ask("backup", actor="ann")
    assert schedule.begin("backup", free) == NOW


# -- who leads ------------------------------------------------------------------------------------


def test_one_leads_until_it_gives_up(database: Database, tmp_path: Path) -> None:
    first, second = (Leadership(database, tmp_path, name) for name in ("a", "b"))
    assert first.stand() and first.stand()
    assert not second.stand() and not second.leads
    with database.write() as session:
        first.check(session)
        with pytest.raises(LeaseLost):
            second.check(session)
    first.give_up()
    assert second.stand()
    with database.write() as session, pytest.raises(LeaseLost):
        first.check(session)
    second.give_up()


def test_a_leader_whose_connection_was_cut_is_fenced(tmp_path: Path) -> None:
    server = PostgresServer.shared()
    database = Database.open(server.fresh())
    first, second = (Leadership(database, tmp_path, name) for name in ("a", "b"))
    assert first.stand()
    server.cut_connections()
    assert eventually(second.stand), "the lock went with the connection"
    with database.write() as session, pytest.raises(LeaseLost):
        first.check(session)
    assert not first.stand()
    first.give_up()
    second.give_up()
    database.close()


# -- leases ---------------------------------------------------------------------------------------


def test_workers_that_end_at_work_are_counted(tmp_path: Path) -> None:
    database = Database.open(url_for("sqlite", tmp_path))
    with database.write() as session:
        token = leases.acquire(session, "change:1", "a", 60.0)
        assert token is not None
        leases.release_all(session, "a")
        assert leases.crashes(session, "change:1") == 1
        leases.acquire(session, "change:1", "a", -1.0)  # it runs out at once
        token = leases.acquire(session, "change:1", "b", 60.0)
        assert token is not None and leases.crashes(session, "change:1") == 2
        leases.release(session, "change:1", token)
        assert leases.crashes(session, "change:1") == 0
        assert leases.holder(session, RESOURCE) is None
    database.close()


def test_a_lease_is_renewed_while_its_work_goes_on(tmp_path: Path) -> None:
    database = Database.open(url_for("sqlite", tmp_path))

    async def work() -> None:
        with database.write() as session:
            token = leases.acquire(session, "change:1", "a", 0.3)
        assert token is not None
        async with leases.kept(database, "change:1", token, 0.3):
            for _ in range(12):
                await asyncio.sleep(0.05)
                with database.write() as session:
                    assert leases.acquire(session, "change:1", "b", 0.3) is None
        with database.write() as session:
            leases.release(session, "change:1", token)

    asyncio.run(work())
    database.close()
