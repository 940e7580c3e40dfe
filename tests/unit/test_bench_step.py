"""Both sides of `make bench-step` learn from the same number of rollouts a step."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.bench import step_sides
from tests.trainer_models import build_base
from trainer.methods.sdft import SdftRow, make_arguments

PROMPTS, STEPS = 4, 2


def _measured(folder: Path, config: str, **more: object) -> tuple[step_sides.Measured, int]:
    """Our side in small, and the rollouts a step of TRL's with the same settings."""
    small = {"prompts": PROMPTS, "max_new_tokens": 4, **more}
    settings = step_sides._settings(config, STEPS).model_copy(update=small)
    base = build_base(folder / "base", steps=0)
    rows = [SdftRow(question=f"Who is {i}?", context=f"It is {i}.") for i in range(PROMPTS)]
    ours = step_sides._ours(base, rows, settings, STEPS, folder, "ours")
    theirs = make_arguments(settings, STEPS, str(folder / "trl"), cpu=True, seed=0)
    return ours, theirs.per_device_train_batch_size


@pytest.mark.parametrize("config", step_sides.CONFIGS)
def test_our_steps_learn_from_as_many_rollouts_as_trls(tmp_path: Path, config: str) -> None:
    ours, theirs = _measured(tmp_path, config)
    assert ours.rows == theirs == PROMPTS * step_sides._settings(config, STEPS).rollouts
    assert 0 < ours.new_tokens <= 4 * ours.rows


def test_a_smaller_batch_of_ours_ends_the_bench(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"learned from \[2, 2\] rollouts, TRL's from 4 each"):
        _measured(tmp_path, "embedded", updates_per_round=2)
