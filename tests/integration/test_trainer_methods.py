"""Every method behind the one interface, on a tiny real model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.integration.test_trainer_job import _Crash, _crash_at, _job, _recipe, _right
from tests.trainer_models import make_anchors, make_units
from trainer.errors import BadJob
from trainer.job import run_job
from trainer.recipe import Method, Recipe, load_recipe

ASKED = [q for u in make_units() for q in u.questions]
PLAIN = [q for u in make_units() for q in u.questions[:3]]


def _as(method: Method, recipe: Recipe | None = None) -> Recipe:
    return (recipe or _recipe()).model_copy(update={"method": method})


@pytest.mark.parametrize(
    ("method", "distil"),
    [
        (Method.CODE_REVERSE_KL, {"divergence": "reverse"}),
        (Method.CODE_NONCAUSAL, {}),
        (Method.CODE_TEACHER_SFT, {}),
    ],
)
def test_variants_of_both_stages_teach_the_edits(
    tmp_path: Path, method: Method, distil: dict[str, object]
) -> None:
    job = _job(tmp_path / "job", _as(method, _recipe(distil=distil)))
    adapter = run_job(job)
    assert _right(adapter, PLAIN) >= 0.8
    assert _right(adapter, list(make_anchors())) == 1.0
    assert json.loads((adapter / "manifest.json").read_text())["method"] == method


def test_a_frozen_teacher_is_the_same_after_a_crash(tmp_path: Path) -> None:
    recipe = _as(Method.CODE_TEACHER_SFT).model_copy(update={"checkpoint_every": 1})
    whole = run_job(_job(tmp_path / "whole", recipe))
    folder = _job(tmp_path / "broken", recipe)
    with pytest.raises(_Crash):
        run_job(folder, _crash_at("distil", 2))
    again = run_job(folder)
    name = "adapter_model.safetensors"
    assert (again / name).read_bytes() == (whole / name).read_bytes()


def test_without_narratives_only_the_methods_that_need_none_train(tmp_path: Path) -> None:
    bare = tuple(dataclasses.replace(u, narrative=None) for u in make_units())
    with pytest.raises(BadJob, match=r"unit unit-0 has no narrative.*code-noncausal"):
        _job(tmp_path / "causal", units=bare)
    adapter = run_job(_job(tmp_path / "job", _as(Method.CODE_NONCAUSAL), units=bare))
    assert _right(adapter, PLAIN) >= 0.8


def test_cake_trains_on_questions_that_use_the_fact(tmp_path: Path) -> None:
    recipe = load_recipe("cake")
    assert recipe.sft
    short = recipe.sft.model_copy(update={"batch_rows": 8, "steps": 40})
    adapter = run_job(_job(tmp_path / "job", recipe.model_copy(update={"sft": short})))
    assert _right(adapter, PLAIN) >= 0.8


def test_trls_own_trainer_learns_the_same_units(tmp_path: Path) -> None:
    recipe = load_recipe("sdft")
    assert recipe.distil
    settings = {"steps": 24, "prompts": 8, "max_new_tokens": 48, "steps_per_extra_edit": 0}
    recipe = recipe.model_copy(
        update={
            "distil": recipe.distil.model_copy(update=settings),
            "engine": load_recipe("mini").engine,
        }
    )
    job = _job(tmp_path / "job", recipe)
    adapter = run_job(job)
    assert _right(None, PLAIN) < 0.3
    assert _right(adapter, PLAIN) >= 0.5
    lines = [json.loads(x) for x in (job / "progress.jsonl").read_text().splitlines()]
    assert sum(line["stage"] == "sdft" for line in lines) == 24
    with pytest.raises(BadJob, match="fewer than the 100 of a batch"):
        wide = recipe.distil.model_copy(update={"prompts": 100}) if recipe.distil else None
        run_job(_job(tmp_path / "wide", recipe.model_copy(update={"distil": wide}), anchors=()))
