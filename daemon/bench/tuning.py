"""`almanac bench tune`: the same number of trials for every method, on the `tune` split alone.

Owns the trials (four a method that trains: two learning rates times two shares of anchors around
its recipe's own), the score that ranks them, and their table. Outcomes are kept as those of the
comparison are. It changes no recipe: what it finds is written into one by hand, with its figure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

import torch
from rich.console import Console
from rich.table import Table

from daemon.bench.arms import ARMS, Arm, arm_of
from daemon.bench.case_runs import CaseRuns
from daemon.bench.edit_sets import world_cases
from daemon.bench.pooling import Pooled, pool
from daemon.bench.rows import FOLDER
from daemon.bench.weights import bench_base
from evaluator.errors import EvaluatorError
from evaluator.metrics import LOWER_IS_BETTER, Metric
from knowledge.world import Split
from trainer.errors import TrainerError
from trainer.recipe import Method, Recipe

TRIALS = 4
SCORED = (
    Metric.H_ACC,
    Metric.PARAPHRASE,
    Metric.M_ACC,
    Metric.BEFORE,
    Metric.RATIONALE,
    Metric.SRR,
    Metric.LOCALITY_NEIGHBOUR,
    Metric.LOCALITY_UNRELATED,
)
"""Their mean, refutation as what is left of it, ranks the trials of a method."""

_RATES = (1.0, 0.5)
_ANCHORS = (0.0, 0.1)


def main(arguments: Sequence[str]) -> int:
    """Run the command; the exit code: 0 done, 1 refused, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="almanac bench tune", description=__doc__)
    names = ", ".join(arm.method for arm in _tunable())
    parser.add_argument("--method", help=f"one of {names} (default: each of them)")
    parser.add_argument("--cases", type=int, default=1, help="batches of twelve edits, of four")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        chosen = [arm_of(options.method)] if options.method else _tunable()
        for arm in chosen:
            Console().print(_table(arm, list(_measured(arm, options.cases))))
    except (TrainerError, EvaluatorError, ValueError) as error:
        print(f"almanac: {error}", file=sys.stderr)
        return 1
    return 0


def _tunable() -> list[Arm]:
    return [arm for arm in ARMS if arm.method is not Method.IN_CONTEXT]


def trials(recipe: Recipe) -> list[Recipe]:
    """The recipe with other learning rates and shares of anchors, in either stage; its own first.
    Raises ValueError for a method that trains nothing."""
    if recipe.sft is None and recipe.distil is None:
        raise ValueError(f"method {recipe.method} trains nothing: there is nothing to tune")
    found: list[Recipe] = []
    for rate in _RATES:
        for more in _ANCHORS:
            changed: dict[str, object] = {}
            for name in ("sft", "distil"):
                stage = getattr(recipe, name)
                if stage is None:
                    continue
                optim = stage.optim.model_copy(
                    update={"learning_rate": stage.optim.learning_rate * rate}
                )
                share = min(0.9, stage.mix.anchor_share + more)
                mix = stage.mix.model_copy(update={"anchor_share": share})
                changed[name] = stage.model_copy(update={"optim": optim, "mix": mix})
            label = f"{recipe.name}, rate x {rate:g}, anchors + {more:g}"
            found.append(recipe.model_copy(update={**changed, "name": label}))
    return found


def score(found: Pooled) -> float:
    """Mean of the scored metrics, each as a share that is better when higher."""
    values = [
        1 - value if metric in LOWER_IS_BETTER else value
        for metric in SCORED
        if (value := found.metrics[metric].value) is not None
    ]
    return sum(values) / len(values) if values else 0.0


def _measured(arm: Arm, most: int) -> Iterator[Pooled]:
    runs = CaseRuns(bench_base(), FOLDER / "tuning", capability=False)
    cases = world_cases(Split.TUNE, 12, most, with_cake=arm.with_cake)
    for recipe in trials(arm.load()):
        yield pool([runs.outcome(recipe, case, 0) for case in cases])


def _table(arm: Arm, found: Sequence[Pooled]) -> Table:
    table = Table("trial", "score", *(m.value for m in SCORED), title=f"{arm.method}, tune split")
    for one in sorted(found, key=score, reverse=True):
        values = (one.metrics[m].value for m in SCORED)
        shown = ("-" if v is None else f"{100 * v:.1f}" for v in values)
        table.add_row(one.recipe, f"{100 * score(one):.1f}", *shown)
    return table
