"""The quick bench of the review pages: every row measured on both databases, none of them faked."""

from __future__ import annotations

import pytest

from daemon.bench import review
from daemon.bench.rows import Op


@pytest.mark.slow
def test_the_quick_bench_measures_every_row_on_both_databases() -> None:
    rows = review.measure(quick=True)
    by_database = {
        name: {row.what.removeprefix(f"{name}: "): row for row in rows if row.what.startswith(name)}
        for name in ("SQLite", "PostgreSQL")
    }
    assert list(by_database["SQLite"]) == list(by_database["PostgreSQL"])
    assert sum(map(len, by_database.values())) == len(rows)
    pages = [row for row in rows if row.unit == "ms"]
    assert len(pages) == 18
    assert all(row.value is not None and row.value > 0 for row in rows)
    assert all(row.bar == 100.0 and row.op is Op.AT_MOST for row in pages)
    assert all(row.detail.endswith("2,000 changes, 400 wait") for row in pages)
    counted = [row for row in rows if row.op is Op.EQUAL]
    assert [(row.value, row.holds) for row in counted] == [(100, True), (100, True)]
