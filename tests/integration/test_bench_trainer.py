"""The trainer's benches in small: what they run is real, and a small run does not count."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.bench import kill, reference, releases
from daemon.bench.rows import Row

pytestmark = pytest.mark.slow


def _by_name(rows: list[Row]) -> dict[str, Row]:
    return {row.what: row for row in rows}


def test_a_killed_job_ends_in_the_same_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILLS", "2")
    monkeypatch.setenv("SEED", "1")
    rows = _by_name(kill.measure(quick=True))
    assert rows["SIGKILLs at random moments"].value == 2
    assert not rows["SIGKILLs at random moments"].holds
    assert rows["of them with another adapter than the undisturbed"].holds
    assert rows["half-written adapters left behind"].holds


def test_two_releases_one_on_the_other_and_nothing_is_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "FOLDER", tmp_path)
    first = releases.measure(quick=True)
    names = _by_name(first)
    assert names["release-2: retention"].detail == "2 earlier edits"
    assert names["release-1: locality, against the base"].value is not None
    monkeypatch.setattr(releases, "evaluate", None)
    assert releases.measure(quick=True) == first


@pytest.mark.long
def test_the_references_settings_cost_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    rows = reference.measure(quick=True)
    assert [row.unit for row in rows] == ["x", "x", ""]
    assert rows[0].value and rows[0].value > 1
