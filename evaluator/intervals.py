"""Intervals and tests: Wilson, exact one-sided bounds, cluster bootstrap, McNemar, non-inferiority.

Owns the statistics as pure functions (scipy's distributions); what they are applied to is
`evaluator.metrics`, what they decide `evaluator.gate`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import stats

Cell = tuple[str, float, float]
"""One cluster of a rate: (cluster, numerator, denominator). The rate is sum / sum."""

BOOTSTRAP_DRAWS = 2000


def wilson(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided Wilson score interval of a proportion; (0, 1) when n is 0."""
    if n == 0:
        return 0.0, 1.0
    result = stats.binomtest(round(successes), n).proportion_ci(confidence, method="wilson")
    return float(result.low), float(result.high)


def exact_upper(successes: float, n: int, alpha: float = 0.05) -> float:
    """One-sided Clopper-Pearson upper bound of a proportion; 1 when n is 0."""
    if n == 0 or successes >= n:
        return 1.0
    return float(stats.beta.ppf(1 - alpha, successes + 1, n - successes))


def exact_lower(successes: float, n: int, alpha: float = 0.05) -> float:
    """One-sided Clopper-Pearson lower bound of a proportion; 0 when n is 0."""
    return 1.0 - exact_upper(n - successes, n, alpha)


def rate(cells: Sequence[Cell]) -> float | None:
    """Sum of numerators over sum of denominators; None when there is nothing to count."""
    total = sum(den for _, _, den in cells)
    return sum(num for _, num, _ in cells) / total if total else None


def is_binary(cells: Sequence[Cell]) -> bool:
    """Each cluster counts once, as a whole success or a whole failure."""
    return all(den == 1 and num in (0, 1) for _, num, den in cells)


def interval(
    cells: Sequence[Cell], confidence: float = 0.95, *, seed: int = 0
) -> tuple[float, float, str]:
    """Two-sided interval of a clustered rate and the name of its method.

    Wilson where each cluster is one success or failure; else a percentile bootstrap that draws
    clusters, widened to the Wilson interval of a constant result so that "no failure seen" is not
    taken for "no failure possible".
    """
    counted = [cell for cell in cells if cell[2] > 0]
    n = len(counted)
    if n == 0:
        return 0.0, 1.0, "none"
    if is_binary(counted):
        low, high = wilson(sum(num for _, num, _ in counted), n, confidence)
        return low, high, "Wilson"
    tail = (1 - confidence) / 2
    draws = bootstrap(tuple(counted), seed)
    low, high = (float(q) for q in np.quantile(draws, [tail, 1 - tail]))
    value = rate(counted) or 0.0
    if value == 0:
        high = max(high, wilson(0, n, confidence)[1])
    if value == 1:
        low = min(low, wilson(n, n, confidence)[0])
    return low, high, "cluster bootstrap"


def one_sided(cells: Sequence[Cell], alpha: float, *, seed: int = 0) -> tuple[float, float, str]:
    """(lower bound, upper bound, method), each alone at confidence 1 - alpha.

    Exact binomial where each cluster is one success or failure; else the cluster bootstrap, never
    narrower than what as many clusters without a single failure (success) would allow.
    """
    counted = tuple(cell for cell in cells if cell[2] > 0)
    n = len(counted)
    if n == 0:
        return 0.0, 1.0, "none"
    if is_binary(counted):
        k = sum(num for _, num, _ in counted)
        return exact_lower(k, n, alpha), exact_upper(k, n, alpha), "exact binomial"
    low, high = (float(q) for q in np.quantile(bootstrap(counted, seed), [alpha, 1 - alpha]))
    low = min(low, exact_lower(n, n, alpha))
    high = max(high, exact_upper(0, n, alpha))
    return low, high, "cluster bootstrap"


@lru_cache(maxsize=256)
def bootstrap(cells: tuple[Cell, ...], seed: int = 0) -> np.ndarray:
    """`BOOTSTRAP_DRAWS` rates, each of as many clusters drawn with replacement; seeded."""
    numerators = np.array([num for _, num, _ in cells], dtype=float)
    denominators = np.array([den for _, _, den in cells], dtype=float)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(cells), size=(BOOTSTRAP_DRAWS, len(cells)))
    return numerators[drawn].sum(axis=1) / denominators[drawn].sum(axis=1)


def mcnemar_exact(worse: int, better: int) -> float:
    """One-sided exact McNemar: the probability of at least `worse` of the discordant pairs getting
    worse if getting worse and better were equally likely; 1 without discordant pairs."""
    discordant = worse + better
    if discordant == 0:
        return 1.0
    return float(stats.binom.sf(worse - 1, discordant, 0.5))


def paired_difference(
    worse: int, better: int, n: int, alpha: float = 0.05
) -> tuple[float, float, float]:
    """(difference, lower, upper) of paired proportions, candidate minus production; the bounds are
    one-sided at 1 - alpha each. Wald with half a pair added to each of the four cells (Agresti and
    Min 2005), which keeps an interval where no pair is discordant."""
    if n == 0:
        return 0.0, -1.0, 1.0
    b, c, total = worse + 0.5, better + 0.5, n + 2
    centre = (c - b) / total
    error = math.sqrt(max(0.0, (b + c) - (c - b) ** 2 / total)) / total
    z = float(stats.norm.ppf(1 - alpha))
    return (better - worse) / n, max(-1.0, centre - z * error), min(1.0, centre + z * error)
