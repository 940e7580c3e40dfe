"""Rows of `make bench-gate` that need no trained adapter."""

from __future__ import annotations

import numpy as np

from daemon.bench.gate_adapters import skipped_adapter_rows
from daemon.bench.gate_evidence import evidence_rows
from daemon.bench.gate_simulation import paired_rows
from daemon.bench.sabotage import REASONS, Sabotage
from evaluator.policy import shipped


def test_too_little_evidence_leaves_the_gate_open() -> None:
    rows = evidence_rows(("demo",))
    assert all(row.holds for row in rows), [row for row in rows if not row.holds]


def test_retention_and_capability_are_simulated_at_their_edges() -> None:
    rows = paired_rows(shipped("demo"), 300, np.random.default_rng(3))
    edges = [row for row in rows if "false passes" in row.what and "improvement" not in row.what]
    powers = [row for row in rows if "power" in row.what]
    assert (len(edges), len(powers)) == (4, 2)
    assert all(row.value is not None and row.value <= 0.12 for row in (*edges, *powers))


def test_what_was_not_trained_never_holds() -> None:
    rows = skipped_adapter_rows("quick")
    assert len(rows) == 2 * len(Sabotage) + 2
    assert not any(row.holds for row in rows)


def test_each_sabotage_has_a_criterion_of_the_policy_to_stop_it() -> None:
    policy = shipped("demo")
    names = {limit.metric.value for limit in policy.limit}
    names |= {"improvement", "retention", "capability", "new_refutations"}
    assert set(REASONS) == set(Sabotage)
    assert all(reasons <= names for reasons in REASONS.values())
