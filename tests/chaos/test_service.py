"""The service disturbed, shared by two, and days of it by a fast clock (`make long`).

Small versions of `make bench-service`, without releases; what each disturbed one leaves is what a
play leaves that nobody disturbed.
"""

from __future__ import annotations

import pytest

from daemon.bench.rows import Row
from daemon.bench.service_chaos import disturbed
from daemon.bench.service_disk import disk_rows
from daemon.bench.service_soak import soak_rows
from daemon.bench.service_workers import worker_rows

pytestmark = pytest.mark.long


def broken(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.value is not None and not row.holds]


def test_killed_again_and_again_it_comes_to_the_same_end() -> None:
    damage = disturbed("sqlite", "test", 4, 0, whole=False)
    assert damage.struck == 4
    assert damage.differences == 0 and damage.lost_approvals == 0
    assert damage.falls == []


def test_a_full_disk_is_told_and_survived() -> None:
    rows = disk_rows(quick=True)
    if all(row.value is None for row in rows):
        pytest.skip(rows[0].detail)
    assert broken(rows) == []


def test_two_workers_share_the_changes_and_do_none_twice() -> None:
    rows = worker_rows(quick=True)
    assert [row.value for row in rows if "twice" in row.what] == [0, 0]
    assert all(row.value is not None for row in rows if "throughput" in row.what)


def test_days_by_a_fast_clock_run_every_slot_once() -> None:
    rows = [row for row in soak_rows(quick=True) if "growth" not in row.what]
    assert [row.what for row in rows if not row.holds] == []
    schedules = next(row for row in rows if "schedules" in row.what)
    assert "discovery 96 of 96" in schedules.detail and "backup 4 of 4" in schedules.detail
