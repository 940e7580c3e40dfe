"""Recipes are typed; a wrong one says where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trainer.errors import BadRecipe
from trainer.recipe import load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_is_valid_and_has_its_stages(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    if recipe.method == "code":
        assert recipe.sft and recipe.distil


def test_a_recipe_that_extends_another_differs_in_what_it_names() -> None:
    ground, reverse = load_recipe("embedded"), load_recipe("code-reverse-kl")
    assert ground.distil and reverse.distil
    assert reverse.distil.divergence == "reverse"
    same = reverse.distil.model_copy(update={"divergence": "forward"})
    assert (same, reverse.sft, reverse.engine) == (ground.distil, ground.sft, ground.engine)


def test_the_reference_settings_are_the_references() -> None:
    recipe = load_recipe("reference-2026")
    assert recipe.sft and recipe.distil
    assert recipe.sampling.samples * recipe.sampling.replicas == 1200
    assert [recipe.distil.total_steps(n) for n in (1, 4, 90)] == [20, 35, 465]
    assert recipe.lora.dropout == 0.05 and not recipe.distil.dropout
    assert recipe.sampling.score == "answer"


def test_the_digest_is_of_what_is_trained_not_of_the_machine() -> None:
    recipe = load_recipe("embedded")
    other = recipe.engine.model_copy(update={"threads": 7})
    assert recipe.model_copy(update={"engine": other}).digest == recipe.digest
    longer = recipe.lora.model_copy(update={"rank": 4})
    assert recipe.model_copy(update={"lora": longer}).digest != recipe.digest


def test_a_setting_that_came_later_leaves_the_digests_of_recipes_without_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mine.toml"
    section = "steps = 1\noptim = { learning_rate = 1e-3 }\n"
    path.write_text(f'method = "code"\n[sft]\n{section}[distil]\n{section}')
    before = load_recipe(path).digest
    assert before == "be920999855a02aa71a9ceb8bc0107465b3a97f745606de4b8596734def7b7a4"
    path.write_text(path.read_text() + "dropout = false\n")
    assert load_recipe(path).digest != before


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('method = "code"', r"needs a section \[sft\]"),
        ('method = "rome"', "method"),
        ('method = "none"\nrank = 3', "rank"),
        ('method = "none"\n[lora]\nrank = 0', "lora.rank"),
        ("method = ", "not TOML"),
        ('extends = "mini"\nmethod = "code-reverse-kl"', "needs distil.divergence"),
        ('extends = "nobody"\nmethod = "code"', "no other shipped recipe"),
    ],
)
def test_a_wrong_recipe_is_told(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BadRecipe, match=complaint):
        load_recipe(path)


def test_an_unknown_recipe_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"embedded.*mini"):
        load_recipe("embeded")
    with pytest.raises(BadRecipe, match="cannot be read"):
        load_recipe(tmp_path / "no.toml")


def test_planning_a_job_needs_no_torch() -> None:
    code = "import sys, trainer.job, trainer.recipe; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
