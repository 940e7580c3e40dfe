"""What a bar needs: edits, probes and items, and the chance to clear it at a true rate.

Owns power calculations as pure functions. They assume one success or failure per edit (the exact
binomial bound of the gate).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from scipy import stats

from evaluator.intervals import exact_lower, exact_upper
from evaluator.policy import Decide, Policy

MAX_N = 100_000


def edits_for_upper(bar: float, failures: int = 0, alpha: float = 0.05) -> int:
    """Fewest edits whose upper bound is at most `bar` with that many failures among them."""
    return _smallest(lambda n: exact_upper(failures, n, alpha) <= bar, start=failures + 1)


def edits_for_lower(bar: float, misses: int = 0, alpha: float = 0.05) -> int:
    """Fewest edits whose lower bound is at least `bar` with that many misses among them."""
    return _smallest(lambda n: exact_lower(n - misses, n, alpha) >= bar, start=misses + 1)


def pass_upper(n: int, true_rate: float, bar: float, alpha: float = 0.05) -> float:
    """Chance that n edits with a true failure rate clear an upper bar."""
    allowed = _most(n, lambda k: exact_upper(k, n, alpha) <= bar)
    return float(stats.binom.cdf(allowed, n, true_rate)) if allowed >= 0 else 0.0


def pass_lower(n: int, true_rate: float, bar: float, alpha: float = 0.05) -> float:
    """Chance that n edits with a true success rate clear a lower bar."""
    return pass_upper(n, 1 - true_rate, 1 - bar, alpha)


def items_for_margin(
    margin: float, discordance: float, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Paired items for non-inferiority within `margin` when both versions are equally good and the
    given share of items differs between them."""
    z = float(stats.norm.ppf(1 - alpha) + stats.norm.ppf(power))
    return max(1, math.ceil(z * z * max(discordance, 1e-6) / margin**2))


def sentences(policy: Policy) -> Iterator[str]:
    """What the bars of a policy need, one sentence a bar that a bound decides."""
    for limit in policy.limit:
        name = limit.metric.value
        if limit.decide is Decide.ESTIMATE:
            yield (
                f"{name}: decided by the measured value from {limit.min_n} edits on; a true rate "
                f"at "
                "the bar passes about every second time."
            )
        elif limit.at_most is not None:
            n = edits_for_upper(limit.at_most, alpha=policy.alpha)
            n = max(n, limit.min_n)
            chance = pass_upper(n, limit.at_most / 10, limit.at_most, policy.alpha)
            yield (
                f"{name}: {n} edits without a failure clear {limit.at_most:.0%}; with a true "
                f"rate of "
                f"{limit.at_most / 10:.1%} that many pass with probability {chance:.0%}."
            )
        else:
            bar = limit.bar
            n = max(edits_for_lower(bar, alpha=policy.alpha), limit.min_n)
            yield f"{name}: {n} edits without a miss clear {bar:.0%}."
    if policy.capability:
        rule = policy.capability
        n = items_for_margin(rule.margin, 0.05, rule.alpha)
        yield (
            f"capability: {n} paired items show a margin of {rule.margin:.0%} with 80 % power when "
            "5 % of the items differ between two equally good versions."
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
