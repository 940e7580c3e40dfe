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
from evaluator.comparisons import keeps
from evaluator.criteria import Outcome, hold
from evaluator.intervals import mcnemar_exact, non_inferior
from evaluator.metrics import Estimate
from evaluator.policy import CapabilityRule, Limit, Policy, Retention, shipped
from evaluator.power import (
    edits_for,
    edits_for_retention,
    edits_for_upper,
    items_for_margin,
    margin_chance,
    pass_chance,
)

POLICIES = ("default", "demo")
CLOSE = 0.02
_PROBES = 3
_DIFFER = 0.05
"""Share of the items in which two equally good versions differ."""
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
        rows += paired_rows(policy, draws, rng)
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
    rows.append(_power(what, found, promised, f"{draws} draws, n {n}, true {good:.3f}"))
    return rows


def _power(what: str, found: float, promised: float, how: str) -> Row:
    return Row(
        what=f"{what}: power, distance from `gate power`",
        value=round(abs(found - promised), 4),
        unit="",
        bar=CLOSE,
        op=Op.AT_MOST,
        detail=f"{found:.3f} found, {promised:.3f} promised; {how}",
    )


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


def paired_rows(policy: Policy, draws: int, rng: np.random.Generator) -> list[Row]:
    """The criteria that compare with production, each at the edge of its bar."""
    rows: list[Row] = []
    if policy.capability:
        rows += _capability_rows(policy.name, policy.capability, draws, rng)
    if policy.improvement:
        table = rng.binomial(12, 0.5, draws)
        share = float(np.mean([mcnemar_exact(b, 12 - b) < policy.improvement.alpha for b in table]))
        what = f"{policy.name}, improvement, twelve edits changed by chance: false passes"
        rows.append(_edge(what, share, policy.improvement.alpha, 12, draws))
    if policy.retention:
        rows += _retention_rows(policy.name, policy.retention, draws, rng)
    return rows


def _capability_rows(
    name: str, rule: CapabilityRule, draws: int, rng: np.random.Generator
) -> list[Row]:
    """One task at the margin: `even` of the items get better, that and the margin get worse; and
    two equally good versions, of as many items as `gate power` asks for and as the rule does."""
    rows: list[Row] = []
    for even in (0.0, 0.05):
        share = _not_inferior(rule, rule.min_n, rule.margin + even, even, draws, rng)
        what = f"{name}, capability {rule.margin:.0%} worse, {even:.0%} differ besides"
        rows.append(_edge(f"{what}: false passes", share, rule.alpha, rule.min_n, draws))
    for n in (items_for_margin(rule.margin, _DIFFER, rule.alpha), rule.min_n):
        found = _not_inferior(rule, n, _DIFFER / 2, _DIFFER / 2, draws, rng)
        promised = margin_chance(n, rule.margin, _DIFFER, rule.alpha)
        what = f"{name}, capability equal, {_DIFFER:.0%} differ, {n} items"
        rows.append(_power(what, found, promised, f"{draws} draws"))
    return rows


def _not_inferior(
    rule: CapabilityRule,
    n: int,
    losing: float,
    gaining: float,
    draws: int,
    rng: np.random.Generator,
) -> float:
    """How often n pairs pass of which these shares get worse and better."""
    tables = rng.multinomial(n, [losing, gaining, 1 - losing - gaining], size=draws)
    known: dict[tuple[int, int], bool] = {}
    passed = 0
    for worse, better, _ in tables:
        key = (int(worse), int(better))
        if key not in known:
            known[key] = non_inferior(*key, n, rule.margin, rule.alpha)
        passed += known[key]
    return passed / draws


def _retention_rows(name: str, rule: Retention, draws: int, rng: np.random.Generator) -> list[Row]:
    """Earlier edits at the bar, lost as a whole or by single answers; and answers that change by
    chance alone."""
    n = max(edits_for_retention(rule), edits_for_upper(rule.max_loss, 1, rule.alpha))
    what = f"{name}, retention, {rule.max_loss:.0%} of {n} earlier edits lost"
    known: dict[int, bool] = {}
    whole = 0
    for lost in rng.binomial(n, rule.max_loss, draws):
        if (count := int(lost)) not in known:
            known[count] = keeps(rule, -(np.arange(n) < count).astype(float))
        whole += known[count]
    spread = sum(keeps(rule, -_spread(rule.max_loss, n, rng)) for _ in range(draws))
    swapped = rng.binomial(10, 0.5, draws)
    failed = float(np.mean([mcnemar_exact(w, 10 - w) < rule.alpha for w in swapped]))
    return [
        _edge(f"{what}: false passes, whole edits", whole / draws, rule.alpha, n, draws),
        _edge(f"{what}: false passes, three answers an edit", spread / draws, rule.alpha, n, draws),
        _edge(
            f"{name}, retention, ten answers changed by chance: false failures",
            failed,
            rule.alpha,
            10,
            draws,
        ),
    ]
