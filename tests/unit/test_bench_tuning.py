"""Tuning: the same number of trials for each method, and a score that knows which way is better."""

from __future__ import annotations

import pytest

from daemon.bench.arms import ARMS, arm_of
from daemon.bench.tuning import TRIALS, main, trials
from trainer.recipe import Method


def test_every_method_that_trains_has_as_many_trials_its_own_recipe_first() -> None:
    for arm in ARMS:
        if arm.method is Method.IN_CONTEXT:
            continue
        recipe, found = arm.load(), trials(arm.load())
        assert len(found) == TRIALS
        assert len({r.digest for r in found}) == TRIALS
        assert (found[0].sft, found[0].distil) == (recipe.sft, recipe.distil)


def test_what_cannot_be_tuned_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--method", "rome"]) == 1
    assert "there is no method 'rome'" in capsys.readouterr().err
    with pytest.raises(ValueError, match="trains nothing"):
        trials(arm_of("in-context").load())
