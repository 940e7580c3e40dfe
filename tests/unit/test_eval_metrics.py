"""Metrics against tables counted by hand, intervals against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.proportion import proportion_confint

from evaluator.agreement import agreement, kappa
from evaluator.intervals import (
    exact_lower,
    exact_upper,
    interval,
    mcnemar_exact,
    one_sided,
    paired_difference,
    wilson,
)
from evaluator.metrics import Metric, measure
from evaluator.probes import Part
from evaluator.verdicts import Cause, Final, Verdict
from knowledge.questions import QuestionKind as Kind


def row(cluster: str, kind: Kind, number: int = 0, **flags: object) -> Verdict:
    part = flags.pop("part", Part.EDIT)
    return Verdict(
        probe=f"{cluster}-{kind.value}-{number}",
        part=part,  # type: ignore[arg-type]
        kind=kind,
        cluster=cluster,
        **flags,  # type: ignore[arg-type]
    )


RIGHT = {"right": True, "final": Final.RIGHT, "asserts_new": True, "reaffirms_new": True}
REFUTES = {"asserts_new": True, "asserts_old_current": True, "final": Final.LEGACY}
DENIES = {"asserts_new": True, "negates_new": True, "final": Final.NONE}

TABLE = [
    row("a", Kind.DIRECT, **RIGHT),
    row("a", Kind.CLOZE, **RIGHT),
    row("a", Kind.EXPLAIN, **RIGHT, cause=Cause.RIGHT, cause_known=True),
    row("a", Kind.WHY, right=True, asserts_new=True, cause=Cause.RIGHT, cause_known=True),
    row("a", Kind.TWO_HOP, 0, **RIGHT),
    row("a", Kind.TWO_HOP, 1, final=Final.OTHER),
    row("a", Kind.CONFLICT, 0, **RIGHT),
    row("a", Kind.CONFLICT, 1, **REFUTES),
    row("b", Kind.DIRECT, final=Final.LEGACY, asserts_old_current=True),
    row("b", Kind.CLOZE, **RIGHT),
    row("b", Kind.EXPLAIN, **DENIES, cause=Cause.WRONG, cause_known=False),
    row("b", Kind.WHY, right=True, cause=Cause.UNKNOWN, cause_known=False),
    row("b", Kind.TWO_HOP, 0, final=Final.LEGACY),
    row("b", Kind.BEFORE, 0, right=True, final=Final.RIGHT),
    row("b", Kind.BEFORE, 1, final=Final.LEGACY),
    row("c", Kind.DIRECT, final=Final.OTHER),
    row("c", Kind.CONFLICT, final=Final.LEGACY, asserts_old_current=True),
    row("x", Kind.DIRECT, part=Part.RETENTION, **RIGHT),
    row("x", Kind.CONFLICT, part=Part.RETENTION, **REFUTES),
    row("f1", Kind.NEIGHBOUR, part=Part.NEIGHBOUR, right=True),
    row("f2", Kind.NEIGHBOUR, part=Part.NEIGHBOUR),
    row("f3", Kind.UNRELATED, part=Part.UNRELATED, right=True),
    row("f4", Kind.UNRELATED, part=Part.UNRELATED),
    row("d", Kind.DIRECT, error="the judge was down", **RIGHT),
]


def test_metrics_counted_by_hand() -> None:
    found = {metric: estimate.value for metric, estimate in measure(TABLE).items()}
    expected = {
        Metric.EFFICACY: 1 / 3,  # a of a, b, c
        Metric.H_ACC: (1 + 1 / 3 + 0) / 3,
        Metric.M_ACC: (1 / 2 + 0) / 2,
        Metric.M_ACC_ANY: 1 / 2,
        Metric.CONFLICT: (1 / 2 + 0) / 2,
        Metric.BEFORE: 1 / 2,
        Metric.RATIONALE: (1 + 1 / 2) / 2,
        Metric.RECALL: (6 / 6 + 2 / 4 + 0) / 3,
        Metric.SRR: 2 / 8,  # one of the 6 of a, one of the 2 of b
        Metric.SRR_LEGACY: 1 / 8,
        Metric.SRR_VERDICT: 1 / 8,
        Metric.SRR_PER_PROBE: (1 / 6 + 1 / 4 + 0) / 3,
        Metric.SRR_ANY: 2 / 3,
        Metric.SRR_ANY_POOLED: 3 / 4,  # and x
        Metric.SRR_REFERENCE: 1.0,  # a and b are recalled hop-wise, c is not
        Metric.LOCALITY: 1 / 2,
        Metric.RETENTION: 1 / 2,
        Metric.ERRORS: 1 / len(TABLE),
        Metric.PARAPHRASE: None,
        Metric.CHECK: None,
    }
    for metric, value in expected.items():
        assert found[metric] == pytest.approx(value), metric


def test_locality_counts_what_production_had_right() -> None:
    production = [
        row("f1", Kind.NEIGHBOUR, part=Part.NEIGHBOUR, right=True),
        row("f2", Kind.NEIGHBOUR, part=Part.NEIGHBOUR),
        row("f3", Kind.UNRELATED, part=Part.UNRELATED, right=True),
        row("f4", Kind.UNRELATED, part=Part.UNRELATED, right=True),
    ]
    found = measure(TABLE, production)
    assert found[Metric.LOCALITY_NEIGHBOUR].value == 1.0
    assert found[Metric.LOCALITY_UNRELATED].value == 0.5
    assert found[Metric.LOCALITY].n == 3


def test_more_probes_or_seeds_do_not_make_more_edits() -> None:
    many = [row("a", Kind.DIRECT, i, **RIGHT) for i in range(50)] + [row("b", Kind.DIRECT)]
    efficacy = measure(many)[Metric.EFFICACY]
    assert efficacy.n == 2
    assert efficacy.value == 0.5


def test_nothing_to_measure_is_no_value() -> None:
    empty = measure([])
    assert all(e.value is None and e.n == 0 for e in empty.values())


def test_wilson_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(7)
    for n in rng.integers(1, 4000, size=500):
        k = int(rng.integers(0, n + 1))
        confidence = float(rng.uniform(0.8, 0.999))
        theirs = proportion_confint(k, int(n), alpha=1 - confidence, method="wilson")
        assert wilson(k, int(n), confidence) == pytest.approx(theirs, abs=1e-9)


def test_exact_bounds_agree_with_statsmodels() -> None:
    rng = np.random.default_rng(8)
    for n in rng.integers(1, 3000, size=300):
        k = int(rng.integers(0, n + 1))
        low, high = proportion_confint(k, int(n), alpha=0.1, method="beta")
        assert exact_lower(k, int(n)) == pytest.approx(low, abs=1e-9)
        assert exact_upper(k, int(n)) == pytest.approx(high, abs=1e-9)


def test_mcnemar_agrees_with_statsmodels() -> None:
    for worse in range(12):
        for better in range(12):
            table = [[5, worse], [better, 5]]
            two_sided = sm_mcnemar(table, exact=True).pvalue
            smaller = min(mcnemar_exact(worse, better), mcnemar_exact(better, worse))
            assert min(1.0, 2 * smaller) == pytest.approx(two_sided)


def test_intervals_hold_their_value_and_are_seeded() -> None:
    rng = np.random.default_rng(3)
    cells = [(str(i), float(rng.integers(0, 5)), 5.0) for i in range(15)]
    low, high, method = interval(cells, seed=1)
    value = sum(n for _, n, _ in cells) / 75
    assert low <= value <= high
    assert method == "cluster bootstrap"
    assert interval(cells, seed=1) == (low, high, method)


def test_no_failure_seen_is_not_no_failure_possible() -> None:
    clean = [(str(i), 0.0, 20.0) for i in range(12)]
    assert one_sided(clean, 0.05)[1] == pytest.approx(exact_upper(0, 12))
    assert interval(clean)[1] > 0.2


def test_cluster_bootstrap_is_wider_than_counting_outputs() -> None:
    lumpy = [(str(i), 10.0 if i < 3 else 0.0, 10.0) for i in range(12)]
    low, high, _ = interval(lumpy)
    naive = wilson(30, 120)
    assert high - low > naive[1] - naive[0]


def test_paired_difference_covers() -> None:
    difference, low, high = paired_difference(0, 0, 400)
    assert difference == 0
    assert -0.01 < low < 0 < high < 0.01
    assert paired_difference(40, 0, 400)[2] < -0.05
    assert paired_difference(0, 0, 0) == (0.0, -1.0, 1.0)


def test_kappa() -> None:
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    assert kappa(pairs) == pytest.approx(0.4)
    assert kappa([(True, True)] * 5) is None


def test_agreement_of_a_table_with_itself() -> None:
    for flag in agreement(TABLE, TABLE):
        assert flag.equal == 1.0
        assert flag.n == len(TABLE) - 1
        assert flag.kappa in (None, pytest.approx(1.0))
