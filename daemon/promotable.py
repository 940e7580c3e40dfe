"""Whether releases of the size that the settings allow can pass the gate at all.

Owns one comparison, of the release settings with what the gate's policy wants. Does not judge a
release.
"""

from __future__ import annotations

from daemon.config import Settings
from daemon.jobs.evaluation_job import gate_policy
from daemon.known_facts import REGRESSION
from evaluator.metrics import Metric
from evaluator.policy import Policy
from evaluator.power import edits_for, edits_for_retention

_FACTS = frozenset({Metric.LOCALITY, Metric.LOCALITY_NEIGHBOUR, Metric.LOCALITY_UNRELATED})
"""Metrics that count facts beside the edits; the examination brings enough of them."""


def edits_wanted(policy: Policy, live: int) -> int:
    """The least number of edits in a release that the policy can pass when nothing is wrong, with
    `live` edits in production; the pooled metric counts those and the regression suite as well."""
    wanted = 1
    for limit in policy.limit:
        if limit.metric in _FACTS or limit.optional:
            continue
        pooled = live + REGRESSION if limit.metric is Metric.SRR_ANY_POOLED else 0
        wanted = max(wanted, edits_for(limit, policy.alpha_of(limit)) - pooled)
    return wanted


def too_small(settings: Settings, live: int) -> str | None:
    """Why releases could not be promoted, and what to do; None when they could. Raises ConfigError
    for a policy that cannot be read."""
    policy = gate_policy(settings.gate.policy)
    wanted = edits_wanted(policy, live)
    release = settings.release
    if release.max >= wanted and release.size >= wanted:
        return _too_few_live(settings, policy, live)
    which = "release.max" if release.max < wanted else "release.size"
    fate = (
        "every release would end inconclusive"
        if release.max < wanted
        else "a release of that size would end inconclusive"
    )
    return (
        f"the gate policy {settings.gate.policy} wants {wanted} edits in a release ({live} are "
        f"live), but {which} is {getattr(release, which.split('.')[1])}: {fate}. Set release.max "
        f"and release.size to {wanted} or more, or name another gate.policy"
    )


def _too_few_live(settings: Settings, policy: Policy, live: int) -> str | None:
    """Between the first release and enough live edits nothing can show that none was forgotten."""
    if policy.retention is None or live == 0:
        return None
    wanted = edits_for_retention(policy.retention)
    if live >= wanted:
        return None
    return (
        f"the gate policy {settings.gate.policy} wants {wanted} live edits to show that none was "
        f"forgotten, and {live} are live: until then a release without a fault ends inconclusive; "
        "read its report, then `almanac promote VERSION --override --reason ...`, or name another "
        "gate.policy"
    )
