"""Metrics against a hand count, intervals and tests against statsmodels. Owns these rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from daemon.bench.eval_tables import EXPECTED, TABLE
from daemon.bench.rows import Op, Row
from evaluator.intervals import exact_lower, exact_upper, mcnemar_exact, wilson
from evaluator.metrics import Metric, measure

TOLERANCE = 1e-9


def table_row() -> Row:
    """The metrics of the constructed table against its hand count."""
    found = measure(TABLE)
    wrong = [m.value for m in Metric if not _same(found[m].value, EXPECTED.get(m))]
    detail = f"{len(EXPECTED)} metrics of {len(TABLE)} rows"
    return Row(
        what="metrics that differ from the hand count",
        value=len(wrong),
        unit="",
        bar=0,
        op=Op.EQUAL,
        detail=f"{detail}; wrong: {', '.join(wrong)}" if wrong else detail,
    )


def _same(value: float | None, expected: float | None) -> bool:
    return value is not None and expected is not None and abs(value - expected) <= TOLERANCE


def interval_rows(tables: int) -> list[Row]:
    """Intervals and tests of random tables: the largest difference from statsmodels."""
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.proportion import proportion_confint

    rng = np.random.default_rng(20261)
    worst = {"Wilson": 0.0, "exact binomial": 0.0, "exact McNemar": 0.0}
    for _ in range(tables):
        n = int(rng.integers(1, 3000))
        k = int(rng.integers(0, n + 1))
        alpha = float(rng.uniform(0.001, 0.2))
        theirs = proportion_confint(k, n, alpha=alpha, method="wilson")
        worst["Wilson"] = max(worst["Wilson"], _far(wilson(k, n, 1 - alpha), theirs))
        exact = proportion_confint(k, n, alpha=alpha, method="beta")
        ours = exact_lower(k, n, alpha / 2), exact_upper(k, n, alpha / 2)
        worst["exact binomial"] = max(worst["exact binomial"], _far(ours, exact))
        worse, better = (int(x) for x in rng.integers(0, 120, size=2))
        paired: Any = mcnemar([[5, worse], [better, 7]], exact=True)
        mine = min(1.0, 2 * min(mcnemar_exact(worse, better), mcnemar_exact(better, worse)))
        worst["exact McNemar"] = max(worst["exact McNemar"], abs(paired.pvalue - mine))
    return [
        Row(
            what=f"{name}: largest difference from statsmodels",
            value=value,
            unit="",
            bar=TOLERANCE,
            op=Op.AT_MOST,
            detail=f"{tables} random tables",
        )
        for name, value in worst.items()
    ]


def _far(ours: tuple[float, float], theirs: Any) -> float:
    return max(abs(ours[0] - float(theirs[0])), abs(ours[1] - float(theirs[1])))
