"""Metrics against tables counted by hand, intervals against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.proportion import proportion_confint

from daemon.bench.eval_tables import EXPECTED, RIGHT, TABLE, row
from evaluator.agreement import agreement, kappa
from evaluator.intervals import (
    exact_lower,
    exact_upper,
    interval,
    mcnemar_exact,
    mean_bounds,
    one_sided,
    paired_difference,
    wilson,
)
from evaluator.metrics import Metric, measure
from evaluator.probes import Part
from knowledge.questions import QuestionKind as Kind


def test_metrics_counted_by_hand() -> None:
    found = {metric: estimate.value for metric, estimate in measure(TABLE).items()}
    assert set(found) == set(EXPECTED)
    for metric, value in EXPECTED.items():
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


def test_the_mean_bound_is_the_exact_one_for_whole_successes_and_keeps_its_level() -> None:
    for k in (0, 1, 5):
        whole = np.array([1.0] * k + [0.0] * (12 - k))
        assert mean_bounds(whole, 0.05)[1] == pytest.approx(exact_upper(k, 12), abs=0.006)
    rng = np.random.default_rng(4)
    drawn = [rng.binomial(3, rng.beta(1, 3, 12)) / 3 for _ in range(1500)]
    missed = sum(mean_bounds(values, 0.05)[1] < 0.25 for values in drawn)
    assert missed / 1500 <= 0.05


def test_a_ratio_is_bounded_by_clusters_of_any_size() -> None:
    cells = [(str(i), float(i == 0), float(10 + i % 4)) for i in range(12)]
    low, high, method = one_sided(cells, 0.05)
    assert method == "mean bound over clusters"
    assert 0 < low < 1 / 138 < high < 0.3
    assert high > exact_upper(0, 12)


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
