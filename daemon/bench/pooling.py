"""Many outcomes made one: metrics over cases and seeds, intervals clustered by edit.

Owns how cells are merged (a cluster's seeds are averaged, never counted as clusters) and how two
methods are compared edit by edit. Metrics and intervals are the evaluator's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daemon.bench.case_runs import Outcome
from evaluator.intervals import BOOTSTRAP_DRAWS, Cell, interval, rate
from evaluator.metrics import Estimate, Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """All outcomes of one method."""

    method: str
    recipe: str
    seeds: int
    cases: int
    edits: int
    metrics: dict[Metric, Estimate]
    base: dict[Metric, Estimate]
    """The same of the base, before any edit."""
    skills: tuple[int, int, int] | None
    """Items, those that got worse and those that got better than under the base; None: not run."""
    train_s: float
    """Mean over cases and seeds."""
    sampled_tokens: float


def pool(outcomes: Sequence[Outcome]) -> Pooled:
    """The outcomes of one recipe over cases and seeds."""
    seeds = len({o.seed for o in outcomes})
    first = {o.case: o for o in outcomes}
    edits = {c for o in first.values() for c, _, _ in o.evaluation.metrics[Metric.H_ACC].cells}
    return Pooled(
        method=outcomes[0].method,
        recipe=outcomes[0].recipe,
        seeds=seeds,
        cases=len(first),
        edits=len(edits),
        metrics=merge([o.evaluation.metrics for o in outcomes], seeds),
        base=merge([o.before.metrics for o in first.values()], 1),
        skills=_skills(outcomes),
        train_s=float(np.mean([o.train_s for o in outcomes])),
        sampled_tokens=float(np.mean([o.sampled_tokens for o in outcomes])),
    )


def merge(runs: Sequence[dict[Metric, Estimate]], seeds: int) -> dict[Metric, Estimate]:
    """One estimate a metric out of those of several runs, `seeds` runs a case."""
    return {metric: _merged([run[metric] for run in runs], seeds) for metric in Metric}


def _merged(estimates: Sequence[Estimate], seeds: int) -> Estimate:
    sums: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for estimate in estimates:
        for cluster, num, den in estimate.cells:
            known = sums[cluster]
            sums[cluster] = (known[0] + num, known[1] + den)
    cells = tuple((c, num / seeds, den / seeds) for c, (num, den) in sums.items())
    low, high, method = interval(cells)
    return Estimate(
        value=rate(cells),
        low=low,
        high=high,
        method=method,
        n=len(cells),
        outputs=sum(e.outputs for e in estimates),
        cells=cells,
    )


def _skills(outcomes: Sequence[Outcome]) -> tuple[int, int, int] | None:
    """Paired over all outcomes; an item examined with several adapters counts as often."""
    items = worse = better = 0
    for outcome in outcomes:
        after, before = outcome.evaluation.capability, outcome.before.capability
        if after is None or before is None:
            return None
        for key, right in after.items.items():
            items += 1
            worse += before.items[key] and not right
            better += right and not before.items[key]
    return items, worse, better


def difference(first: Estimate, second: Estimate) -> tuple[float, float, float] | None:
    """`first` minus `second` with a 95 % interval, by a bootstrap over the clusters that both
    have; None without any."""
    one, two = _by_cluster(first.cells), _by_cluster(second.cells)
    shared = sorted(one.keys() & two.keys())
    if not shared:
        return None
    a = np.array([one[c] for c in shared])
    b = np.array([two[c] for c in shared])
    drawn = np.random.default_rng(0).integers(0, len(shared), (BOOTSTRAP_DRAWS, len(shared)))
    draws = _rate(a[drawn]) - _rate(b[drawn])
    low, high = (float(q) for q in np.nanquantile(draws, [0.025, 0.975]))
    return float(_rate(a) - _rate(b)), low, high


def _by_cluster(cells: Sequence[Cell]) -> dict[str, tuple[float, float]]:
    return {cluster: (num, den) for cluster, num, den in cells}


def _rate(pairs: np.ndarray) -> np.ndarray:
    sums = pairs.sum(axis=-2)
    return sums[..., 0] / sums[..., 1]
