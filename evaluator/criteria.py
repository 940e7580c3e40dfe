"""Criteria of the gate: each holds one thing about a candidate against one bar.

Owns what value, bounds, test and outcome a criterion has, and the limits on a candidate's own
figures. Comparisons with production are `evaluator.comparisons`'; which criteria there are is a
policy's, what they decide together is `evaluator.gate`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from evaluator.evaluation import Evaluation
from evaluator.intervals import one_sided
from evaluator.metrics import ABOUT, Estimate
from evaluator.policy import Decide, Limit, Policy
from evaluator.power import pass_chance

_RELATIVE = ("improvement", "retention", "capability")


class Outcome(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One bar and how the candidate stands to it.

    `low` and `high` are each one-sided bounds at the criterion's confidence; `value` is None where
    nothing was measured. `op` is `<=` or `>=` between value and bar.
    """

    name: str
    about: str
    value: float | None
    low: float
    high: float
    bar: float
    op: str
    test: str
    n: int
    outcome: Outcome
    detail: str

    @property
    def relative(self) -> bool:
        """Value, bounds and bar are differences to production, not shares."""
        return self.name.partition(":")[0] in _RELATIVE


def judged(policy: Policy, candidate: Evaluation, production: Evaluation) -> Criterion:
    """Every output has a verdict: missing ones could hide anything, so they leave the gate open."""
    errors = candidate.errors + production.errors
    n = len(candidate.verdicts) + len(production.verdicts)
    fine = errors <= policy.max_errors and n > 0
    share = errors / n if n else 0.0
    return Criterion(
        name="judged",
        about="Outputs without a judgement, both versions",
        value=share,
        low=share,
        high=share,
        bar=policy.max_errors / n if n else 0.0,
        op="<=",
        test="count",
        n=n,
        outcome=Outcome.PASS if fine else Outcome.INCONCLUSIVE,
        detail="" if fine else f"{errors} outputs without a judgement; run the judge again",
    )


def hold(limit: Limit, estimate: Estimate, alpha: float, own: Estimate | None = None) -> Criterion:
    """A limit against what was measured, at the alpha of one look. `own`: the release's own share
    of a pooled figure, told beside it."""
    low, high, method = one_sided(estimate.cells, alpha)
    upper = limit.at_most is not None
    outcome, detail = _against_bar(limit, estimate, low, high)
    if own is not None:
        detail = "; ".join(part for part in (detail, _alone(limit, own, alpha)) if part)
    how = f"one-sided {1 - alpha:.1%} bound, {method}".replace(".0%", "%")
    if limit.more:
        how += "; alpha is shared by two looks"
    if limit.decide is Decide.ESTIMATE:
        how = f"measured value (bounds: {method})"
    return Criterion(
        name=limit.metric.value,
        about=ABOUT[limit.metric],
        value=estimate.value,
        low=low,
        high=high,
        bar=limit.bar,
        op="<=" if upper else ">=",
        test=how,
        n=estimate.n,
        outcome=outcome,
        detail=detail,
    )


def _against_bar(limit: Limit, estimate: Estimate, low: float, high: float) -> tuple[Outcome, str]:
    upper, value = limit.at_most is not None, estimate.value
    if value is None:
        if limit.optional:
            return Outcome.PASS, "nothing to measure in this release"
        return Outcome.INCONCLUSIVE, "nothing could be measured"
    beyond = low > limit.bar if upper else high < limit.bar
    if beyond:
        return Outcome.FAIL, "beyond the bar, whatever chance did"
    if estimate.n < limit.min_n:
        return Outcome.INCONCLUSIVE, f"{estimate.n} of the {limit.min_n} that the bar needs"
    if limit.decide is Decide.ESTIMATE:
        good = value <= limit.bar if upper else value >= limit.bar
        return (Outcome.PASS, "") if good else (Outcome.FAIL, "the measured value misses the bar")
    if (high <= limit.bar) if upper else (low >= limit.bar):
        return Outcome.PASS, ""
    return Outcome.INCONCLUSIVE, "the bound does not clear the bar: more probes or edits are needed"


def _alone(limit: Limit, own: Estimate, alpha: float) -> str:
    """The release's own edits among those pooled: their figure, and what so few could show."""
    bad = sum(num for _, num, _ in own.cells)
    _, high, _ = one_sided(own.cells, alpha)
    alone = limit.model_copy(update={"min_n": 1})
    chance = pass_chance(alone, own.n, limit.bar / 10, alpha)
    return (
        f"of these the release's own: {bad:g} of {own.n} edits, upper bound {high:.1%}; alone they "
        f"would clear {limit.bar:.0%} with probability {chance:.0%} at a true rate of "
        f"{limit.bar / 10:.1%}"
    )
