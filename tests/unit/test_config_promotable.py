"""Settings under which no release could pass the gate are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config import Settings
from daemon.known_facts import REGRESSION
from daemon.promotable import edits_wanted, too_small
from daemon.sections import GateSettings, ReleaseSettings
from evaluator.metrics import Metric
from evaluator.policy import Limit, Policy, shipped


def settings(home: Path, size: int, largest: int) -> Settings:
    release = ReleaseSettings(size=size, max=largest)
    return Settings(home=home, release=release, gate=GateSettings(policy="default"))


def test_the_defaults_fit_together(tmp_path: Path) -> None:
    assert too_small(Settings(home=tmp_path), live=0) is None


@pytest.mark.parametrize(
    ("size", "largest", "named"), [(10, 12, "max is 12"), (5, 50, "size is 5")]
)
def test_too_small_a_release_is_told_with_what_to_set(
    tmp_path: Path, size: int, largest: int, named: str
) -> None:
    told = too_small(settings(tmp_path, size, largest), live=0)
    assert told is not None
    assert "wants 14 edits" in told and named in told


def test_the_pooled_metric_counts_live_edits_and_the_regression_suite() -> None:
    strict = Limit(metric=Metric.SRR_ANY_POOLED, at_most=0.02)  # 149 without a failure
    policy = Policy(name="p", about="p", limit=(strict,))
    assert edits_wanted(policy, live=0) == 149 - REGRESSION
    assert edits_wanted(policy, live=40) == 149 - REGRESSION - 40
    assert edits_wanted(shipped("demo"), live=0) == 12


def test_too_few_live_edits_for_retention_are_told(tmp_path: Path) -> None:
    told = too_small(Settings(home=tmp_path), live=15)
    assert told is not None and "wants 59 live edits" in told and "15 are live" in told
    assert too_small(Settings(home=tmp_path), live=59) is None
