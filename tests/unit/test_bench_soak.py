"""What the soak counts and measures with: slots, the witness, memory, the line, and the year."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from pathlib import Path

import pytest

from daemon.bench.soak_record import Sample, bytes_by_table, bytes_in_use, growth, settled, swelling
from daemon.bench.soak_slots import Witness, planned
from daemon.bench.soak_year import START, Size, build
from daemon.operating import ScheduleSettings
from daemon.timetable import Cron
from daemon.upkeep.schedule import TIMED

DAY = dt.timedelta(days=1)


def samples(bytes_of, mb_of, number: int = 100) -> list[Sample]:
    return [
        Sample(
            at=START + n * DAY,
            service_mb=mb_of(n),
            gateway_mb=0.0,
            bytes=bytes_of(n),
            changes=4 * n,
        )
        for n in range(number)
    ]


@pytest.mark.parametrize("line", [line for line in TIMED if getattr(ScheduleSettings(), line)])
def test_two_readings_of_an_expression_name_the_same_slots(line: str) -> None:
    expression = getattr(ScheduleSettings(), line)
    slots = list(planned(expression, START, START + 15 * DAY))
    assert slots == Cron(expression).upcoming(START, len(slots)) and slots
    assert Cron(expression).after(slots[-1]) > START + 15 * DAY  # type: ignore[operator]


def test_the_witness_counts_each_slot_and_what_failed(tmp_path: Path) -> None:
    log, slot = tmp_path / "service.log", START.isoformat()
    ran = {"event": "schedule.ran", "line": "audit", "slot": slot, "outcome": "nothing was missed"}
    told = [ran, {"event": "service.ready"}, ran | {"line": "sweep", "outcome": "failed: no"}]
    log.write_text("\n".join(json.dumps(line) for line in told) + "\nnot whole", "utf-8")
    witness = Witness(log)
    witness.read()
    assert witness.ran == {"audit": {START: 1}, "sweep": {START: 1}}
    assert witness.failed == ["sweep: failed: no"]
    with log.open("a") as more:
        more.write(f"\n{json.dumps(ran)}\n")
    witness.read()
    assert witness.ran["audit"] == {START: 2}


def test_memory_that_grows_is_seen_and_a_spike_is_not() -> None:
    flat = [200.0 + (40.0 if n == 50 else 0.0) for n in range(100)]
    creeping = [200.0 + 0.5 * n for n in range(100)]
    assert swelling(flat) == 0.0
    assert swelling(creeping) == pytest.approx(23.5, abs=1.0)
    assert swelling(flat[:2]) is None


def test_growth_that_is_no_line_is_seen() -> None:
    straight = growth(samples(lambda n: 10_000 + 4 * 750 * n, lambda n: 1.0))
    bent = growth(samples(lambda n: 10_000 + 30 * n * n, lambda n: 1.0))
    assert straight is not None and bent is not None
    assert straight.bytes_per_change == pytest.approx(750)
    assert straight.greatest_deviation < 1e-6 and straight.r_squared == pytest.approx(1.0)
    assert bent.greatest_deviation > 0.1
    assert growth([]) is None


def test_the_first_tenth_is_left_out() -> None:
    kept = settled(samples(lambda n: n, lambda n: 1.0), START, START + 100 * DAY)
    assert [kept[0].at, len(kept)] == [START + 10 * DAY, 90]


def test_pages_that_were_given_back_are_not_in_use(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE kept (text)")
        connection.execute("CREATE TABLE thrown (text)")
        for table in ("kept", "thrown"):
            connection.executemany(f"INSERT INTO {table} VALUES (?)", [("x" * 900,)] * 200)
    full = bytes_in_use(path)
    assert dict(bytes_by_table(path))["kept"] >= 200 * 900
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM thrown")
    assert full - bytes_in_use(path) >= 150 * 900


def test_a_year_has_what_was_asked_and_is_the_same_again() -> None:
    size = Size(days=40, events=600, changes=30)
    first, second = build(size), build(size)
    assert [e.sha1 for e in first.edits] == [e.sha1 for e in second.edits]
    assert 600 <= len(first.edits) <= 601
    created = [e for e in first.edits if "wbsetclaim-create" in e.comment]
    assert len(created) == 30
    assert max(e.time for e in created) < first.end - 4 * DAY
