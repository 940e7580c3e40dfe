"""The small versions of bench-watch: they hold, and what is not at hand is skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.bench import watch
from daemon.bench.rows import ROOT
from daemon.bench.watch_limits import most_in_window

RECORDED = ROOT.parent / "shared" / "data" / "wikidata"
needs_data = pytest.mark.skipif(not RECORDED.is_dir(), reason="no recorded Wikidata at hand")


@needs_data
@pytest.mark.parametrize("part", ["labelled", "fuzz", "limits", "offices"])
def test_a_part_holds(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PART", part)
    rows = watch.measure(quick=True)
    assert rows and all(row.holds for row in rows), rows


@pytest.mark.slow
def test_faults_and_kills_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PART", "faults")
    monkeypatch.setenv("SCHEDULES", "1")
    rows = watch.measure(quick=True)
    assert rows[0].value == 1 and rows[1].holds and rows[2].holds, rows


@pytest.mark.slow
@needs_data
def test_snapshots_are_found_in_every_way_of_editing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PART", "snapshots")
    rows = watch.measure(quick=True)
    assert all(row.holds for row in rows), rows


def test_what_is_not_at_hand_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", str(tmp_path))
    for part in ("labelled", "snapshots", "offices"):
        monkeypatch.setenv("PART", part)
        rows = watch.measure(quick=True)
        assert [row.value for row in rows] == [None]


def test_windows_are_half_open() -> None:
    assert most_in_window([0.0, 0.5, 1.0, 1.1], 1.0) == 3
    assert most_in_window([0.0, 1.0, 2.0], 1.0) == 1
