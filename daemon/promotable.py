"""Whether releases of the size that the settings allow can pass the gate at all.

Owns one comparison, of `release.max` with what the gate's policy wants. Does not judge a release.
"""

from __future__ import annotations

from daemon.config import Settings
from daemon.jobs.evaluation_job import gate_policy
from evaluator.metrics import Metric
from evaluator.policy import Policy

_PER_EDIT = (Metric.SRR_ANY, Metric.SRR_ANY_POOLED)
"""Metrics with one observation an edit; a release cannot have more than it has edits."""


def edits_wanted(policy: Policy, live: int) -> int:
    """The least number of edits in a release that the policy can pass, with `live` edits in
    production, which the pooled metrics count as well."""
    wanted = 1
    for limit in policy.limit:
        if limit.metric in _PER_EDIT:
            pooled = limit.metric is Metric.SRR_ANY_POOLED
            wanted = max(wanted, limit.min_n - (live if pooled else 0))
    return wanted


def too_small(settings: Settings, live: int) -> str | None:
    """Why no release could be promoted, and what to set; None when one could. Raises ConfigError
    for a policy that cannot be read."""
    wanted = edits_wanted(gate_policy(settings.gate.policy), live)
    largest = settings.release.max
    if largest >= wanted:
        return None
    return (
        f"the gate policy {settings.gate.policy} wants {wanted} edits in the next release (besides "
        f"{live} that are live), but release.max is {largest}: every release would end "
        f"inconclusive. Set release.max and release.size to {wanted} or more, or name another "
        "gate.policy"
    )
