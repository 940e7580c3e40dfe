"""The quick version of bench-embedded on the shipped model."""

from __future__ import annotations

import pytest

from daemon.bench.embedded import measure
from daemon.bench.rows import FOLDER


@pytest.mark.slow
def test_the_quick_bench_measures_every_row_and_says_what_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BASE", raising=False)
    monkeypatch.delenv("DATA", raising=False)
    rows = {row.what: row for row in measure(quick=True)}
    for ability in ("recall, exact", "open book, short", "open book, held out, why"):
        assert rows[ability].value is not None
        assert rows[f"{ability} (goal)"].bar > rows[ability].bar
    assert rows["recall, exact"].holds and rows["weights"].holds
    assert rows["the test set is the committed one"].holds
    assert "apart: construction" in rows["open book, held out, short"].detail
    skipped = [row for row in rows.values() if row.value is None]
    assert skipped and all("QUICK=1" in row.detail and not row.holds for row in skipped)
    assert (FOLDER / "embedded.wrong.jsonl").is_file()
