"""Many outcomes made one: metrics over cases and seeds, intervals clustered by edit.

Owns how cells are merged (a cluster's seeds are averaged, never counted as clusters; nor are the
adapters that a skill's item was asked under) and how two methods are compared edit by edit. Metrics
and intervals are the evaluator's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from daemon.bench.case_runs import Outcome
from evaluator.intervals import Cell, interval, mean_difference, rate
from evaluator.metrics import LOWER_IS_BETTER, Estimate, Metric

DRAWS = 20_000
"""Of a bootstrap of differences: enough for the tails that several metrics together ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skills:
    """The skills suite under all adapters of a method: each distinct item's share of right answers,
    over cases and seeds, and the base's."""

    adapters: int
    before: dict[str, float]
    after: dict[str, float]

    @property
    def items(self) -> int:
        return len(self.after)

    @property
    def worse(self) -> int:
        """Items that are right less often than under the base."""
        return sum(self.after[key] < self.before[key] for key in self.after)

    @property
    def better(self) -> int:
        return sum(self.after[key] > self.before[key] for key in self.after)

    @property
    def right(self) -> float:
        return float(np.mean(list(self.after.values())))

    def change(self) -> tuple[float, float, float]:
        """(mean difference to the base, lower, upper): one-sided 95 % bounds over the items."""
        return mean_difference(np.array([self.after[k] - self.before[k] for k in self.after]))

    def below(self, other: Skills) -> tuple[float, float, float]:
        """The same of `other` minus this, over the items of both."""
        shared = [key for key in self.after if key in other.after]
        return mean_difference(np.array([other.after[k] - self.after[k] for k in shared]))


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
    skills: Skills | None
    """None: not run."""
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


def _skills(outcomes: Sequence[Outcome]) -> Skills | None:
    before: dict[str, list[bool]] = defaultdict(list)
    after: dict[str, list[bool]] = defaultdict(list)
    for outcome in outcomes:
        now, base = outcome.evaluation.capability, outcome.before.capability
        if now is None or base is None:
            return None
        for key, right in now.items.items():
            after[key].append(right)
            before[key].append(base.items[key])
    return Skills(adapters=len(outcomes), before=_shares(before), after=_shares(after))


def _shares(answers: dict[str, list[bool]]) -> dict[str, float]:
    return {key: sum(own) / len(own) for key, own in answers.items()}


def difference(
    first: Estimate, second: Estimate, confidence: float = 0.95
) -> tuple[float, float, float] | None:
    """`first` minus `second` with a two-sided interval, by a bootstrap over the clusters that both
    have; None without any."""
    one, two = _by_cluster(first.cells), _by_cluster(second.cells)
    shared = sorted(one.keys() & two.keys())
    if not shared:
        return None
    a = np.array([one[c] for c in shared])
    b = np.array([two[c] for c in shared])
    drawn = np.random.default_rng(0).integers(0, len(shared), (DRAWS, len(shared)))
    draws = _rate(a[drawn]) - _rate(b[drawn])
    tail = (1 - confidence) / 2
    low, high = (float(q) for q in np.nanquantile(draws, [tail, 1 - tail]))
    return float(_rate(a) - _rate(b)), low, high


def gains(
    first: Pooled, second: Pooled, metrics: Sequence[Metric], confidence: float
) -> dict[Metric, tuple[float, float, float]]:
    """How much better `first` is than `second`, above zero where it is better, with intervals.
    Metrics that one of them lacks are left out."""
    found: dict[Metric, tuple[float, float, float]] = {}
    for metric in metrics:
        one = difference(first.metrics[metric], second.metrics[metric], confidence)
        if one is not None:
            value, low, high = one
            lower = metric in LOWER_IS_BETTER
            found[metric] = (-value, -high, -low) if lower else (value, low, high)
    return found


def significant(found: Mapping[Metric, tuple[float, float, float]]) -> tuple[list[str], list[str]]:
    """(better, worse): the gains whose intervals leave zero out, as text in points."""
    better: list[str] = []
    worse: list[str] = []
    for metric, (value, low, high) in found.items():
        text = f"{metric.value} {100 * value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
        if low > 0:
            better.append(text)
        elif high < 0:
            worse.append(text)
    return better, worse


def _by_cluster(cells: Sequence[Cell]) -> dict[str, tuple[float, float]]:
    return {cluster: (num, den) for cluster, num, den in cells}


def _rate(pairs: np.ndarray) -> np.ndarray:
    sums = pairs.sum(axis=-2)
    return sums[..., 0] / sums[..., 1]
