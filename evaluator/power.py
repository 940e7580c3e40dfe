"""What a bar needs: edits, probes and items, and the chance to clear it at a true rate.

Owns power calculations as pure functions, with the gate's own bounds. Those of limits assume one
success or failure per edit (the exact binomial bound).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

from evaluator.intervals import exact_lower, exact_upper, non_inferior
from evaluator.metrics import Metric
from evaluator.policy import CapabilityRule, Decide, Limit, Policy, Retention

MAX_N = 100_000
_EPSILON = 1e-9
_TAIL = 1e-9
_DIFFER = 0.05
"""Share of the items in which two versions differ, in what is told of capability."""


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


def edits_for_retention(rule: Retention) -> int:
    """Fewest earlier edits with which retention can pass when not one answer changes."""
    return max(edits_for_upper(rule.max_loss, 0, rule.alpha), rule.min_n)


@lru_cache(maxsize=256)
def margin_chance(n: int, margin: float, discordance: float, alpha: float = 0.05) -> float:
    """Chance that n paired items show non-inferiority within `margin`, by the gate's own bound,
    when both versions are equally good and differ in the given share of the items."""
    from scipy import stats

    half = discordance / 2
    most = int(stats.binom.ppf(1 - _TAIL, n, half))
    allowed, chance = -1, 0.0
    for better in range(most + 1):  # each item gained makes room for losses
        while allowed + better < n and non_inferior(allowed + 1, better, n, margin, alpha):
            allowed += 1
        if allowed >= 0:
            within = stats.binom.cdf(allowed, n - better, half / (1 - half))
            chance += float(stats.binom.pmf(better, n, half) * within)
    return chance


@lru_cache(maxsize=256)
def items_for_margin(
    margin: float, discordance: float, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Paired items for non-inferiority within `margin` when both versions are equally good and the
    given share of items differs between them: the first number that does, in steps of ten or a
    fortieth, upwards from a normal approximation and what the bound wants beyond it at the least.
    """
    from scipy import stats

    z = float(stats.norm.ppf(1 - alpha) + stats.norm.ppf(power))
    items = math.ceil(z * z * discordance / margin**2 + 1 / margin)
    step = max(10, 10 * round(items / 400))
    while items < MAX_N and margin_chance(items, margin, discordance, alpha) < power:
        items += step
    return min(items, MAX_N)


def sentences(policy: Policy) -> Iterator[str]:
    """What the bars of a policy need, one sentence a bar."""
    for limit in policy.limit:
        yield _sentence(limit, policy.alpha_of(limit))
    if policy.retention:
        rule = policy.retention
        yield (
            f"retention: {edits_for_retention(rule)} earlier edits without a lost answer show that "
            f"at most {rule.max_loss:.0%} was lost; with fewer the gate stays open."
        )
    if policy.capability:
        for margin in dict.fromkeys(map(policy.capability.margin_of, policy.capability.tasks)):
            yield _capability_sentence(policy.capability, margin)


def _capability_sentence(rule: CapabilityRule, margin: float) -> str:
    tasks = [task for task in rule.tasks if rule.margin_of(task) == margin]
    which = f" ({', '.join(tasks)})" if len(tasks) < len(rule.tasks) else ""
    least = margin_chance(rule.min_n, margin, _DIFFER, rule.alpha)
    return (
        f"capability{which}: {items_for_margin(margin, _DIFFER, rule.alpha)} paired items a task "
        f"show a margin of {margin:.0%} with 80 % power when {_DIFFER:.0%} of the items differ "
        f"between two equally good versions; the least of {rule.min_n} then with {least:.0%}."
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
    told = (
        f"{name}: {n} without a failure {side}, {one} with one; at a true rate of {good:.1%} that "
        f"many pass with probability {chance:.0%}."
    )
    if limit.metric is Metric.SRR_ANY_POOLED:
        told += " Live edits and regression facts count among them as much as the release's own."
    return told


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
