"""Intervals and tests: Wilson, exact and mean bounds, cluster bootstrap, McNemar, non-inferiority.

Owns the statistics as pure functions (scipy's distributions, loaded when first asked: the service
starts without them); what they are applied to is
`evaluator.metrics`, what they decide `evaluator.gate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

Cell = tuple[str, float, float]
"""One cluster of a rate: (cluster, numerator, denominator). The rate is sum / sum."""

BOOTSTRAP_DRAWS = 2000
BOUND_DRAWS = 10_000
MANY = 1500
"""Clusters from which the normal approximation bounds a mean."""
_HALVINGS = 20


def wilson(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided Wilson score interval of a proportion; (0, 1) when n is 0."""
    from scipy import stats

    if n == 0:
        return 0.0, 1.0
    result = stats.binomtest(round(successes), n).proportion_ci(confidence, method="wilson")
    return float(result.low), float(result.high)


@lru_cache(maxsize=4096)
def exact_upper(successes: float, n: int, alpha: float = 0.05) -> float:
    """One-sided Clopper-Pearson upper bound of a proportion; 1 when n is 0."""
    from scipy import stats

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


def one_sided(cells: Sequence[Cell], alpha: float) -> tuple[float, float, str]:
    """(lower bound, upper bound, method), each alone at confidence 1 - alpha.

    Exact binomial where each cluster is one success or failure; else the bound of a mean over
    clusters, which is the exact binomial one for such clusters and holds for any other.
    """
    counted = tuple(cell for cell in cells if cell[2] > 0)
    n = len(counted)
    if n == 0:
        return 0.0, 1.0, "none"
    if is_binary(counted):
        k = sum(num for _, num, _ in counted)
        return exact_lower(k, n, alpha), exact_upper(k, n, alpha), "exact binomial"
    low, high = ratio_bounds(
        np.array([num for _, num, _ in counted]), np.array([den for *_, den in counted]), alpha
    )
    return low, high, "mean bound over clusters"


def mean_bounds(values: np.ndarray, alpha: float) -> tuple[float, float]:
    """One-sided lower and upper bounds of the mean of independent values in 0..1, each at
    confidence 1 - alpha.

    Gaffke's bound (Learned-Miller and Thomas, "A new confidence interval for the mean of a bounded
    random variable", 2019): the quantile, over uniform order statistics, of the largest mean that
    the sample allows. Unlike a bootstrap it keeps its level at a dozen clusters, whatever their
    spread. From `MANY` values on the normal approximation, with half a value to spare.
    """
    from scipy import stats

    n = len(values)
    if n >= MANY:
        z = float(stats.norm.ppf(1 - alpha))
        reach = z * math.sqrt(float(values.var(ddof=1)) / n) + 0.5 / n
        mean = float(values.mean())
        return max(0.0, mean - reach), min(1.0, mean + reach)
    return 1.0 - _upper_mean(1.0 - values, alpha), _upper_mean(values, alpha)


def _upper_mean(values: np.ndarray, alpha: float) -> float:
    n = len(values)
    if np.all(values == values[0]):  # in closed form: all weight is on the largest uniform
        return float(1.0 - alpha ** (1.0 / n) * (1.0 - values[0]))
    gaps = np.diff(np.append(np.sort(values), 1.0)).astype(np.float32)
    steps = np.flatnonzero(gaps)  # few where values repeat, as those of pairs do
    means = 1.0 - _ordered_uniforms(n)[:, steps] @ gaps[steps]
    place = min(len(means) - 1, math.ceil((1 - alpha) * len(means)))
    return float(min(1.0, np.partition(means, place)[place]))


@lru_cache(maxsize=8)
def _ordered_uniforms(n: int) -> np.ndarray:
    """`BOUND_DRAWS` samples of n uniforms, each in order; the same for the same n."""
    rng = np.random.default_rng(n)
    return np.sort(rng.random((BOUND_DRAWS, n), dtype=np.float32), axis=1)


def ratio_bounds(
    numerators: np.ndarray, denominators: np.ndarray, alpha: float
) -> tuple[float, float]:
    """One-sided bounds of sum / sum over clusters, 0 <= numerator <= denominator: a rate is refused
    when the mean of `numerator - rate * denominator` cannot be zero at that confidence."""
    most = float(denominators.max())
    if np.all(denominators == most):
        return mean_bounds(numerators / most, alpha)

    def leaves(rate_: float) -> tuple[float, float]:
        values = (numerators - rate_ * denominators) / most + rate_
        return mean_bounds(np.clip(values, 0.0, 1.0), alpha)

    def edge(refused: Callable[[float], bool], inside: float, outside: float) -> float:
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if refused(middle) else (middle, outside)
        return outside

    value = float(numerators.sum() / denominators.sum())
    high = edge(lambda r: leaves(r)[1] < r, value, 1.0)
    low = edge(lambda r: leaves(r)[0] > r, value, 0.0)
    return low, high


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
    from scipy import stats

    discordant = worse + better
    if discordant == 0:
        return 1.0
    return float(stats.binom.sf(worse - 1, discordant, 0.5))


def mean_difference(differences: np.ndarray, alpha: float = 0.05) -> tuple[float, float, float]:
    """(mean, lower, upper) of independent differences in -1..1, candidate minus production; the
    bounds are one-sided at 1 - alpha each (`mean_bounds`). (0, -1, 1) without any."""
    if len(differences) == 0:
        return 0.0, -1.0, 1.0
    low, high = mean_bounds((differences + 1.0) / 2.0, alpha)
    return float(differences.mean()), 2 * low - 1, 2 * high - 1


def paired_difference(
    worse: int, better: int, n: int, alpha: float = 0.05
) -> tuple[float, float, float]:
    """(difference, lower, upper) of paired proportions, candidate minus production, as
    `mean_difference` of the pairs."""
    differences = np.zeros(n)
    differences[:worse] = -1.0
    differences[worse : worse + better] = 1.0
    return mean_difference(differences, alpha)


def non_inferior(worse: int, better: int, n: int, margin: float, alpha: float) -> bool:
    """Whether the lower bound of the paired difference stays within the margin."""
    return paired_difference(worse, better, n, alpha)[1] >= -margin
