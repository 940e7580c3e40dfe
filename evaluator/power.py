"""What a bar needs: edits, probes and items, and the chance to clear it at a true rate.

Owns power calculations as pure functions. They assume one success or failure per edit (the exact
binomial bound of the gate).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from evaluator.intervals import exact_lower, exact_upper
from evaluator.policy import Decide, Limit, Policy

MAX_N = 100_000
_EPSILON = 1e-9


def edits_for_upper(bar: float, failures: int = 0, alpha: float = 0.05) -> int:
    """Fewest edits whose upper bound is at most `bar` with that many failures among them."""
    return _smallest(lambda n: exact_upper(failures, n, alpha) <= bar, start=failures + 1)


def edits_for_lower(bar: float, misses: int = 0, alpha: float = 0.05) -> int:
    """Fewest edits whose lower bound is at least `bar` with that many misses among them."""
    return _smallest(lambda n: exact_lower(n - misses, n, alpha) >= bar, start=misses + 1)


def pass_upper(n: int, true_rate: float, bar: float, alpha: float = 0.05) -> float:
    """Chance that n edits with a true failure rate clear an upper bar."""
    from scipy import stats

    allowed = _most(n, lambda k: exact_upper(k, n, alpha) <= bar)
    return float(stats.binom.cdf(allowed, n, true_rate)) if allowed >= 0 else 0.0


def pass_lower(n: int, true_rate: float, bar: float, alpha: float = 0.05) -> float:
    """Chance that n edits with a true success rate clear a lower bar."""
    return pass_upper(n, 1 - true_rate, 1 - bar, alpha)


def pass_chance(limit: Limit, n: int, true_rate: float, alpha: float) -> float:
    """Chance that a limit passes with `n` clusters of one success or failure each, at a true rate
    of the metric."""
    from scipy import stats

    if n < max(1, limit.min_n):
        return 0.0
    if limit.decide is Decide.BOUND:
        clears = pass_upper if limit.at_most is not None else pass_lower
        return clears(n, true_rate, limit.bar, alpha)
    if limit.at_most is not None:
        return float(stats.binom.cdf(math.floor(limit.bar * n + _EPSILON), n, true_rate))
    return float(stats.binom.sf(math.ceil(limit.bar * n - _EPSILON) - 1, n, true_rate))


def edits_for(limit: Limit, alpha: float, wrong: int = 0) -> int:
    """Fewest clusters with which a limit can pass when `wrong` of them speak against it."""
    if limit.decide is Decide.ESTIMATE:
        room = limit.bar if limit.at_most is not None else 1 - limit.bar
        least = math.ceil(wrong / room - _EPSILON) if wrong else 1
    elif limit.at_most is not None:
        least = edits_for_upper(limit.bar, wrong, alpha)
    else:
        least = edits_for_lower(limit.bar, wrong, alpha)
    return max(least, limit.min_n, 1)


def items_for_margin(
    margin: float, discordance: float, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Paired items for non-inferiority within `margin` when both versions are equally good and the
    given share of items differs between them."""
    from scipy import stats

    z = float(stats.norm.ppf(1 - alpha) + stats.norm.ppf(power))
    return max(1, math.ceil(z * z * max(discordance, 1e-6) / margin**2))


def sentences(policy: Policy) -> Iterator[str]:
    """What the bars of a policy need, one sentence a bar."""
    for limit in policy.limit:
        yield _sentence(limit, policy.alpha_of(limit))
    if policy.capability:
        rule = policy.capability
        n = items_for_margin(rule.margin, 0.05, rule.alpha)
        yield (
            f"capability: {n} paired items show a margin of {rule.margin:.0%} with 80 % power when "
            "5 % of the items differ between two equally good versions."
        )


def _sentence(limit: Limit, alpha: float) -> str:
    name = limit.metric.value
    if limit.decide is Decide.ESTIMATE:
        return (
            f"{name}: decided by the measured value from {limit.min_n} on; a true rate at the bar "
            "passes about every second time."
        )
    n, one = edits_for(limit, alpha), edits_for(limit, alpha, 1)
    if limit.at_most is not None:
        good = limit.bar / 10
        side = f"clear {limit.bar:.0%}"
    else:
        good = 1 - (1 - limit.bar) / 10
        side = f"clear {limit.bar:.0%} from below"
    chance = pass_chance(limit, n, good, alpha)
    return (
        f"{name}: {n} without a failure {side}, {one} with one; at a true rate of {good:.1%} that "
        f"many pass with probability {chance:.0%}."
    )


def _smallest(holds: Callable[[int], bool], start: int) -> int:
    if not holds(MAX_N):
        return MAX_N
    low, high = start, MAX_N
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _most(n: int, holds: Callable[[int], bool]) -> int:
    """The largest k in -1..n that holds, for a condition that turns false once."""
    low, high = -1, n
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
