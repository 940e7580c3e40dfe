"""The gate: pass, fail or inconclusive, by a policy and the evaluations of two versions.

Owns the decision, as a pure function. Criteria are `evaluator.criteria`'s and
`evaluator.comparisons`', policies `evaluator.policy`'s, figures `evaluator.metrics`'. Promotion is
none of its business.

All criteria must pass, so testing several does not raise the chance of a false pass: it is at most
the alpha of the criterion that is violated (an intersection-union test). Nothing is corrected, and
every criterion is reported. A limit that may ask for more probes is looked at twice at most; each
look has half its alpha.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from evaluator import comparisons, criteria, power
from evaluator.criteria import Criterion, Outcome
from evaluator.errors import SuiteError
from evaluator.evaluation import Evaluation
from evaluator.metrics import Metric
from evaluator.policy import Policy


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
    looks: int = 1
    """Examinations that the answer took: two where the first was open and asked for more."""
    asked_more: int = 0
    """Facts that the second one added."""

    def failed(self) -> tuple[Criterion, ...]:
        return tuple(c for c in self.criteria if c.outcome is Outcome.FAIL)

    def open(self) -> tuple[Criterion, ...]:
        """The criteria that are neither passed nor failed."""
        return tuple(c for c in self.criteria if c.outcome is Outcome.INCONCLUSIVE)


def more_probes(policy: Policy, report: GateReport) -> int:
    """How many further facts the policy would have asked about before it gives up: 0 unless the
    gate is open and a limit that allows for it is the reason."""
    if report.outcome is not Outcome.INCONCLUSIVE:
        return 0
    open_ = {c.name for c in report.open()}
    return max((limit.more for limit in policy.limit if limit.metric.value in open_), default=0)


def decide(policy: Policy, candidate: Evaluation, production: Evaluation) -> GateReport:
    """Hold a candidate against a policy. For a first release, `production` is the base model.

    Raises SuiteError when the two were not examined with the same suite.
    """
    if candidate.suite != production.suite:
        raise SuiteError(
            f"the candidate was examined with suite {candidate.suite[:12]}, production with "
            f"{production.suite[:12]}; evaluate both on one suite"
        )
    held = [criteria.judged(policy, candidate, production)]
    for limit in policy.limit:
        pooled = limit.metric is Metric.SRR_ANY_POOLED
        found, alpha = candidate.metrics[limit.metric], policy.alpha_of(limit)
        own = candidate.metrics[Metric.SRR_ANY] if pooled else None
        held.append(criteria.hold(limit, found, alpha, own))
    if policy.no_new_refutations:
        held.append(comparisons.new_refutations(candidate, production))
    if policy.improvement:
        held.append(comparisons.improvement(policy.improvement, candidate, production))
    if policy.retention:
        held.append(comparisons.retention(policy.retention, candidate, production))
    if policy.capability:
        held += comparisons.capability(policy.capability, candidate, production)
    return GateReport(
        policy=policy.name,
        about=policy.about,
        outcome=_overall(held),
        criteria=tuple(held),
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
