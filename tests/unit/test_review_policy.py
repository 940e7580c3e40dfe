"""The auto-approve policy: every condition must hold, and the reasons say which did not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from daemon.errors import ConfigError
from daemon.review.policy import Policy, decide, load
from daemon.sections import ReviewSettings
from knowledge.edits import EditKind
from knowledge.facts import ChangeKind
from tests.daemon_support import change, unit_of

POLICY = load(ReviewSettings().policy)


def test_the_shipped_policy_approves_a_clean_corroborated_office() -> None:
    decision = decide(POLICY, unit_of(change()), clean=True, contested=False)
    assert decision.approve
    assert "all checks passed" in decision.text


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"property": "P102"}, "tier B"),
        ({"property": "P102"}, "private fact"),
        ({"kind": ChangeKind.CORRECTION}, "kind correction"),
        ({"corroborations": ()}, "0 corroborations"),
    ],
)
def test_it_leaves_other_facts_to_a_person(changed: dict, reason: str) -> None:
    unit = unit_of(dataclasses.replace(change(), **changed))
    decision = decide(POLICY, unit, clean=True, contested=False)
    assert not decision.approve
    assert reason in decision.text


def test_it_leaves_open_contested_and_retracting_proposals_to_a_person() -> None:
    unit = unit_of(change())
    assert decide(POLICY, unit, clean=False, contested=False).reasons == ("a check failed",)
    assert not decide(POLICY, unit, clean=True, contested=True).approve
    back = dataclasses.replace(unit, kind=EditKind.RETRACTION)
    assert decide(POLICY, back, clean=True, contested=False).reasons == ("a retraction",)


def test_every_shipped_policy_can_be_read() -> None:
    folder = ReviewSettings().policy.parent
    names = {load(path).name for path in folder.glob("*.toml")}
    assert {"default", "demo"} <= names


def test_a_wrong_policy_is_told_with_its_field(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('name = "p"\ntiers = ["Z"]\n')
    with pytest.raises(ConfigError, match="tiers"):
        load(path)
    path.write_text('name = "p"\nteirs = []\n')
    with pytest.raises(ConfigError, match="teirs"):
        load(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")
    assert Policy(name="a").digest != Policy(name="b").digest
