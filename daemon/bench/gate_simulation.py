"""Simulated releases with known true rates: how often the gate passes what it should not, and
whether it passes what `gate power` promises. Owns these rows.

Draws go through the very criteria of the gate. Each bar of a shipped policy is tried at its edge
with edits that are right or wrong as a whole, and with edits of which three probes are right by
chance, which is where a bootstrap lets too much through.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from daemon.bench.rows import Op, Row
from evaluator.criteria import Outcome, hold
from evaluator.intervals import mcnemar_exact, paired_difference
from evaluator.metrics import Estimate
from evaluator.policy import CapabilityRule, Limit, Policy, shipped
from evaluator.power import edits_for, pass_chance

POLICIES = ("default", "demo")
CLOSE = 0.02
_PROBES = 3
_FACTS = 100
"""Facts of a first look at locality."""


def simulation_rows(draws: int) -> list[Row]:
    """False-pass rates at each bar's edge, and powers against their promise."""
    rng = np.random.default_rng(41)
    rows: list[Row] = []
    for name in POLICIES:
        policy = shipped(name)
        for limit in policy.limit:
            rows += _limit_rows(policy, limit, draws, rng)
        rows += _paired_rows(policy, draws, rng)
    return rows


def _limit_rows(policy: Policy, limit: Limit, draws: int, rng: np.random.Generator) -> list[Row]:
    alpha = policy.alpha_of(limit)
    n = max(edits_for(limit, alpha, 1), 12)
    what = f"{policy.name}, {limit.metric.value} {'<=' if limit.at_most else '>='} {limit.bar:g}"
    whole = _share(limit, alpha, draws, lambda: rng.binomial(1, limit.bar, n).astype(float))
    spread = _share(limit, alpha, draws, lambda: _spread(limit.bar, n, rng))
    rows = [
        _edge(f"{what}: false passes, whole edits at the edge", whole, policy.alpha, n, draws),
        _edge(f"{what}: false passes, three probes an edit", spread, policy.alpha, n, draws),
    ]
    if limit.more:
        twice = _two_looks(limit, alpha, draws, rng)
        told = _FACTS + limit.more
        rows.append(_edge(f"{what}: false passes, two looks", twice, policy.alpha, told, draws))
    good = limit.bar / 5 if limit.at_most is not None else 1 - (1 - limit.bar) / 5
    promised = pass_chance(limit, n, good, alpha)
    found = _share(limit, alpha, draws, lambda: rng.binomial(1, good, n).astype(float))
    rows.append(
        Row(
            what=f"{what}: power, distance from `gate power`",
            value=round(abs(found - promised), 4),
            unit="",
            bar=CLOSE,
            op=Op.AT_MOST,
            detail=f"{found:.3f} of {draws} draws, promised {promised:.3f}; n {n}, true {good:.3f}",
        )
    )
    return rows


def _edge(what: str, share: float, alpha: float, n: int, draws: int) -> Row:
    return Row(
        what=what,
        value=round(share, 4),
        unit="",
        bar=alpha,
        op=Op.AT_MOST,
        detail=f"n {n}, {draws} draws",
    )


def _passes(limit: Limit, values: np.ndarray, alpha: float) -> bool:
    cells = tuple((str(i), float(v), 1.0) for i, v in enumerate(values))
    estimate = Estimate(
        value=float(values.mean()),
        low=0.0,
        high=1.0,
        method="",
        n=len(cells),
        outputs=len(cells),
        cells=cells,
    )
    return hold(limit, estimate, alpha).outcome is Outcome.PASS


def _share(limit: Limit, alpha: float, draws: int, draw: Callable[[], np.ndarray]) -> float:
    return sum(_passes(limit, draw(), alpha) for _ in range(draws)) / draws


def _spread(rate: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Edits whose own rates differ; their mean is `rate`."""
    own = rng.beta(2 * rate, 2 * (1 - rate), n)
    return rng.binomial(_PROBES, own) / _PROBES


def _two_looks(limit: Limit, alpha: float, draws: int, rng: np.random.Generator) -> float:
    """Locality at its bar: passed at the first look, or at the second with more facts."""
    passed = 0
    for _ in range(draws):
        facts = rng.binomial(1, limit.bar, _FACTS + limit.more).astype(float)
        first = _passes(limit, facts[:_FACTS], alpha)
        passed += first or _passes(limit, facts, alpha)
    return passed / draws


def _paired_rows(policy: Policy, draws: int, rng: np.random.Generator) -> list[Row]:
    rows: list[Row] = []
    if policy.capability:
        rule = policy.capability
        for even in (0.0, 0.05):
            share = _inferior(rule, even, draws, rng)
            what = f"{policy.name}, capability {rule.margin:.0%} worse, {even:.0%} differ besides"
            rows.append(_edge(f"{what}: false passes", share, rule.alpha, rule.min_n, draws))
    if policy.improvement:
        table = rng.binomial(12, 0.5, draws)
        share = float(np.mean([mcnemar_exact(b, 12 - b) < policy.improvement.alpha for b in table]))
        what = f"{policy.name}, improvement, twelve edits changed by chance: false passes"
        rows.append(_edge(what, share, policy.improvement.alpha, 12, draws))
    if policy.retention:
        lost = rng.binomial(10, 0.5, draws)
        share = float(np.mean([mcnemar_exact(w, 10 - w) < policy.retention.alpha for w in lost]))
        what = f"{policy.name}, retention, ten answers changed by chance: false failures"
        rows.append(_edge(what, share, policy.retention.alpha, 10, draws))
    return rows


def _inferior(rule: CapabilityRule, even: float, draws: int, rng: np.random.Generator) -> float:
    """Pairs at the margin: `even` of the items get better, that and the margin get worse."""
    shares = [rule.margin + even, even, 1 - rule.margin - 2 * even]
    tables = rng.multinomial(rule.min_n, shares, size=draws)
    known: dict[tuple[int, int], bool] = {}
    passed = 0
    for worse, better, _ in tables:
        key = (int(worse), int(better))
        if key not in known:
            low = paired_difference(*key, rule.min_n, rule.alpha)[1]
            known[key] = low > -rule.margin
        passed += known[key]
    return passed / draws
