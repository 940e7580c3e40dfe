"""The gate: pass, fail or inconclusive, by a policy and the evaluations of two versions.

Owns the decision, as a pure function. Policies are `evaluator.policy`'s, figures
`evaluator.metrics`', formulas `evaluator.intervals`'. Promotion is none of its business.

All criteria must pass, so testing several does not raise the chance of a false pass: it is at most
the alpha of the criterion that is violated (an intersection-union test). Nothing is corrected, and
every criterion is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from evaluator import power
from evaluator.errors import SuiteError
from evaluator.evaluation import Evaluation
from evaluator.intervals import mcnemar_exact, one_sided, paired_difference
from evaluator.metrics import ABOUT, Estimate
from evaluator.policy import CapabilityRule, Decide, Improvement, Limit, Policy, Retention
from evaluator.probes import Part
from evaluator.verdicts import Verdict
from knowledge.questions import QuestionKind


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


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """The answer for one candidate, with its reasons."""

    policy: str
    about: str
    outcome: Outcome
    criteria: tuple[Criterion, ...]
    suite: str
    candidate: str
    production: str
    power: tuple[str, ...]
    """What the policy's bars need, in sentences."""

    def failed(self) -> tuple[Criterion, ...]:
        return tuple(c for c in self.criteria if c.outcome is Outcome.FAIL)

    def open(self) -> tuple[Criterion, ...]:
        """The criteria that are neither passed nor failed."""
        return tuple(c for c in self.criteria if c.outcome is Outcome.INCONCLUSIVE)


def decide(policy: Policy, candidate: Evaluation, production: Evaluation) -> GateReport:
    """Hold a candidate against a policy. For a first release, `production` is the base model.

    Raises SuiteError when the two were not examined with the same suite.
    """
    if candidate.suite != production.suite:
        raise SuiteError(
            f"the candidate was examined with suite {candidate.suite[:12]}, production with "
            f"{production.suite[:12]}; evaluate both on one suite"
        )
    criteria = [_judged(policy, candidate, production)]
    criteria += [
        _limit(limit, candidate.metrics[limit.metric], policy.alpha) for limit in policy.limit
    ]
    if policy.improvement:
        criteria.append(_improvement(policy.improvement, candidate, production))
    if policy.retention:
        criteria.append(_retention(policy.retention, candidate, production))
    if policy.capability:
        criteria.append(_capability(policy.capability, candidate, production))
    return GateReport(
        policy=policy.name,
        about=policy.about,
        outcome=_overall(criteria),
        criteria=tuple(criteria),
        suite=candidate.suite,
        candidate=candidate.model,
        production=production.model,
        power=tuple(power.sentences(policy)),
    )


def _overall(criteria: Iterable[Criterion]) -> Outcome:
    outcomes = {criterion.outcome for criterion in criteria}
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    return Outcome.INCONCLUSIVE if Outcome.INCONCLUSIVE in outcomes else Outcome.PASS


def _judged(policy: Policy, candidate: Evaluation, production: Evaluation) -> Criterion:
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


def _limit(limit: Limit, estimate: Estimate, alpha: float) -> Criterion:
    low, high, method = one_sided(estimate.cells, alpha)
    upper = limit.at_most is not None
    outcome, detail = _against_bar(limit, estimate, low, high)
    how = f"one-sided {1 - alpha:.0%} bound, {method}"
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


def _improvement(rule: Improvement, candidate: Evaluation, production: Evaluation) -> Criterion:
    def asked(row: Verdict) -> bool:
        return row.part is Part.EDIT and row.kind is QuestionKind.DIRECT

    worse, better, n = _paired(candidate.verdicts, production.verdicts, asked)
    p = mcnemar_exact(better, worse)
    difference, low, high = paired_difference(worse, better, n, rule.alpha)
    if n and p < rule.alpha:
        outcome, detail = Outcome.PASS, f"{better} edits gained, {worse} lost"
    elif better <= worse:
        outcome, detail = Outcome.FAIL, f"no better than production: {better} gained, {worse} lost"
    else:
        outcome, detail = Outcome.INCONCLUSIVE, f"{better} gained, {worse} lost: could be chance"
    return Criterion(
        name="improvement",
        about="Direct questions gained against production",
        value=difference if n else None,
        low=low,
        high=high,
        bar=0.0,
        op=">=",
        test=f"exact McNemar, one-sided, p = {p:.3g}",
        n=n,
        outcome=outcome,
        detail=detail,
    )


def _retention(rule: Retention, candidate: Evaluation, production: Evaluation) -> Criterion:
    worse, better, n = _paired(
        candidate.verdicts, production.verdicts, lambda row: row.part is Part.RETENTION
    )
    p = mcnemar_exact(worse, better)
    difference, low, high = paired_difference(worse, better, n, rule.alpha)
    detail = f"{worse} answers lost, {better} gained"
    if n == 0:
        outcome, detail = Outcome.PASS, "no earlier edit is live"
    elif p < rule.alpha:
        outcome = Outcome.FAIL
    else:
        outcome = Outcome.PASS if difference >= -rule.max_loss else Outcome.INCONCLUSIVE
    return Criterion(
        name="retention",
        about="Earlier edits against production",
        value=difference if n else None,
        low=low,
        high=high,
        bar=-rule.max_loss,
        op=">=",
        test=f"exact McNemar, one-sided, p = {p:.3g}",
        n=n,
        outcome=outcome,
        detail=detail,
    )


def _paired(
    ours: Sequence[Verdict], theirs: Sequence[Verdict], counts: Callable[[Verdict], bool]
) -> tuple[int, int, int]:
    """(worse, better, n) over the probes that both answered and that have a judgement on both
    sides.
    """
    before = {row.probe: row.right for row in theirs if row.error is None and counts(row)}
    pairs = [
        (before[row.probe], row.right) for row in ours if row.error is None and row.probe in before
    ]
    worse = sum(was and not now for was, now in pairs)
    better = sum(now and not was for was, now in pairs)
    return worse, better, len(pairs)


def _capability(rule: CapabilityRule, candidate: Evaluation, production: Evaluation) -> Criterion:
    ours = candidate.capability.items if candidate.capability else {}
    theirs = production.capability.items if production.capability else {}
    shared = [key for key in ours if key in theirs]
    worse = sum(theirs[key] and not ours[key] for key in shared)
    better = sum(ours[key] and not theirs[key] for key in shared)
    difference, low, high = paired_difference(worse, better, len(shared), rule.alpha)
    detail = f"{worse} items lost, {better} gained"
    if len(shared) != max(len(ours), len(theirs)):
        detail += f"; only {len(shared)} items could be paired"
    if shared and high < -rule.margin:
        outcome = Outcome.FAIL
    elif len(shared) < rule.min_n:
        outcome = Outcome.INCONCLUSIVE
        detail = f"{len(shared)} paired items of the {rule.min_n} that the margin needs"
    else:
        outcome = Outcome.PASS if low > -rule.margin else Outcome.INCONCLUSIVE
    return Criterion(
        name="capability",
        about="Unrelated skills against production",
        value=difference if shared else None,
        low=low,
        high=high,
        bar=-rule.margin,
        op=">=",
        test=f"non-inferiority, paired, one-sided {1 - rule.alpha:.0%}",
        n=len(shared),
        outcome=outcome,
        detail=detail,
    )
