"""The cost of CODE here against the settings of its first public implementation.

Owns the rows of `make bench-reference`: one batch of twelve edits of the `report` split, three
seeds, the recipe `reference-2026` and `embedded` in turn on the same machine. Outcomes are kept, so
a run that was cut goes on.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch

from daemon.bench.case_runs import CaseRuns, Outcome
from daemon.bench.edit_sets import world_cases
from daemon.bench.pooling import Pooled, gains, pool, significant
from daemon.bench.rows import FOLDER, Op, Row
from daemon.bench.weights import bench_base
from evaluator.metrics import Metric
from knowledge.world import Split
from trainer.recipe import Recipe, load_recipe

_TOKENS, _TIME = 10.0, 8.0
_MARGIN = 0.05
"""Twelve edits show no narrower one."""
_QUALITY = (
    Metric.H_ACC,
    Metric.PARAPHRASE,
    Metric.M_ACC,
    Metric.BEFORE,
    Metric.RATIONALE,
    Metric.SRR,
    Metric.LOCALITY_NEIGHBOUR,
    Metric.LOCALITY_UNRELATED,
)


def measure(quick: bool) -> list[Row]:
    """Both recipes over the seeds; `quick`: two edits, one seed, a fiftieth of the reference's
    samples (the ratios then say nothing, and do not count)."""
    torch.set_num_threads(1)
    runs = CaseRuns(bench_base(), FOLDER / "reference", capability=False)
    split, batch, seeds = (Split.TUNE, 2, (0,)) if quick else (Split.REPORT, 12, (0, 1, 2))
    case = world_cases(split, batch, most=1)[0]
    theirs = load_recipe("reference-2026")
    ours = load_recipe("mini" if quick else "embedded")
    if quick:
        theirs = _smaller(theirs)
    found = {
        recipe.name: [runs.outcome(recipe, case, seed) for seed in seeds]
        for recipe in (ours, theirs)
    }
    return _rows(found[ours.name], found[theirs.name])


def _smaller(recipe: Recipe) -> Recipe:
    assert recipe.sft and recipe.distil
    sampling = recipe.sampling.model_copy(update={"samples": 6, "replicas": 4})
    sft = recipe.sft.model_copy(update={"epochs": 2, "batch_rows": 4})
    distil = recipe.distil.model_copy(update={"steps": 2, "rollouts": 3})
    return recipe.model_copy(update={"sampling": sampling, "sft": sft, "distil": distil})


def _rows(ours: list[Outcome], theirs: list[Outcome]) -> list[Row]:
    return [
        _ratio("sampled tokens", ours, theirs, lambda o: float(o.sampled_tokens), "", _TOKENS),
        _ratio("training time", ours, theirs, lambda o: o.train_s, " s", _TIME),
        *quality_rows(pool(ours), pool(theirs)),
    ]


def quality_rows(ours: Pooled, theirs: Pooled) -> list[Row]:
    """Equal or better quality: shown in every metric to be not worse by more than a margin (all
    must hold, so each has its whole alpha), and in none significantly worse."""
    bounded = gains(ours, theirs, _QUALITY, confidence=0.9)
    short = [
        f"{metric.value} {100 * value:+.1f}, bound {100 * low:+.1f}"
        for metric, (value, low, _) in bounded.items()
        if low < -_MARGIN
    ]
    better, worse = significant(gains(ours, theirs, _QUALITY, 1 - 0.05 / len(_QUALITY)))
    missing = len(_QUALITY) - len(bounded)
    if missing:
        short.append(f"{missing} metrics that were not measured")
    told = f"95 % together over {len(_QUALITY)} metrics (Bonferroni)"
    margin = f"{100 * _MARGIN:.0f} points"
    return [
        Row(
            what=f"metrics not shown to be within {margin} of the reference's settings",
            value=len(short),
            unit="",
            bar=0,
            op=Op.EQUAL,
            detail=f"one-sided 95 % each, by edit; not shown: {'; '.join(short) or 'none'}",
        ),
        Row(
            what="metrics in which the reference's settings are significantly better",
            value=len(worse),
            unit="",
            bar=0,
            op=Op.EQUAL,
            detail=f"{told}; worse: {'; '.join(worse) or 'none'}. "
            f"Better: {'; '.join(better) or 'none'}",
        ),
    ]


def _ratio(
    what: str,
    ours: list[Outcome],
    theirs: list[Outcome],
    of: Callable[[Outcome], float],
    unit: str,
    bar: float,
) -> Row:
    mine, their = statistics.median(map(of, ours)), statistics.median(map(of, theirs))
    return Row(
        what=f"{what}: times less than reference-2026",
        value=round(their / mine, 1) if mine else None,
        unit="x",
        bar=bar,
        op=Op.AT_LEAST,
        detail=f"{mine:,.0f}{unit} against {their:,.0f}{unit}, medians of {len(ours)} seeds",
    )
