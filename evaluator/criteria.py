"""Criteria of the gate: each holds one thing about a candidate against one bar.

Owns what value, bounds, test and outcome a criterion has. Which criteria there are is a policy's,
what they decide together is `evaluator.gate`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from evaluator.evaluation import Evaluation
from evaluator.intervals import mcnemar_exact, one_sided, paired_difference
from evaluator.metrics import ABOUT, Estimate
from evaluator.policy import CapabilityRule, Decide, Improvement, Limit, Policy, Retention
from evaluator.probes import Part
from evaluator.refutation import refutation
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


def hold(limit: Limit, estimate: Estimate, alpha: float) -> Criterion:
    """A limit against what was measured, at the alpha of one look."""
    low, high, method = one_sided(estimate.cells, alpha)
    upper = limit.at_most is not None
    outcome, detail = _against_bar(limit, estimate, low, high)
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


def improvement(rule: Improvement, candidate: Evaluation, production: Evaluation) -> Criterion:
    """More direct questions right than under production."""

    def asked(row: Verdict) -> bool:
        return row.part is Part.EDIT and row.kind is QuestionKind.DIRECT

    worse, better, n = _paired(candidate.verdicts, production.verdicts, asked)
    p = mcnemar_exact(better, worse)
    difference, low, high = paired_difference(worse, better, n, rule.alpha)
    if n == 0:
        outcome, detail = Outcome.INCONCLUSIVE, "no direct question has a verdict in both versions"
    elif p < rule.alpha:
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


def retention(rule: Retention, candidate: Evaluation, production: Evaluation) -> Criterion:
    """Answers about earlier edits are not lost against production."""
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


def new_refutations(candidate: Evaluation, production: Evaluation) -> Criterion:
    """No earlier edit refutes itself that did not under production: a count, not a rate."""
    ours, theirs = _refuting(candidate.verdicts), _refuting(production.verdicts)
    shared = sorted(ours.keys() & theirs.keys())
    anew = sum(ours[edit] and not theirs[edit] for edit in shared)
    n = len(shared)
    detail = f"{anew} of {n} edits" if n else "no earlier edit is live"
    share = anew / n if n else 0.0
    return Criterion(
        name="new_refutations",
        about="Earlier edits that refute themselves and did not under production",
        value=share if n else None,
        low=share,
        high=share if n else 1.0,
        bar=0.0,
        op="<=",
        test="count, paired by edit",
        n=n,
        outcome=Outcome.FAIL if anew else Outcome.PASS,
        detail=detail,
    )


def _refuting(rows: Sequence[Verdict]) -> dict[str, bool]:
    """Earlier edits: whether any output refutes itself."""
    found: dict[str, bool] = {}
    for row in rows:
        if row.part is Part.RETENTION and row.error is None:
            found[row.cluster] = found.get(row.cluster, False) or refutation(row) is not None
    return found


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


def capability(rule: CapabilityRule, candidate: Evaluation, production: Evaluation) -> Criterion:
    """Unrelated skills are not worse than production's by more than the margin."""
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
