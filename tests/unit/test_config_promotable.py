"""Settings under which no release could pass the gate are told."""

from __future__ import annotations

from pathlib import Path

from daemon.config import GateSettings, ReleaseSettings, Settings
from daemon.promotable import too_small


def settings(home: Path, largest: int) -> Settings:
    return Settings(
        home=home, release=ReleaseSettings(max=largest), gate=GateSettings(policy="default")
    )


def test_too_small_a_release_is_told_with_what_to_set(tmp_path: Path) -> None:
    told = too_small(settings(tmp_path, 50), live=0)
    assert told is not None
    assert "59 edits" in told and "release.max is 50" in told


def test_live_edits_count_for_the_pooled_metric(tmp_path: Path) -> None:
    assert too_small(settings(tmp_path, 50), live=9) is None
    assert too_small(settings(tmp_path, 59), live=0) is None
