"""Benches: which rows hold, when a run counts, and the page that is rendered from the files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daemon.bench import page, parts
from daemon.bench.rows import Op, Row, Run, counts, write

RUN = Run(bench="b", quick=False, machine="m, 2 cores", date="2026-11-23", commit="abc")


def row(value: float | None, op: Op, bar: float = 2.0) -> Row:
    return Row(what="time | space", value=value, unit="s", bar=bar, op=op)


@pytest.mark.parametrize(
    ("value", "op", "holds"),
    [
        (2.0, Op.AT_MOST, True),
        (2.1, Op.AT_MOST, False),
        (2.0, Op.AT_LEAST, True),
        (1.9, Op.AT_LEAST, False),
        (2.0, Op.EQUAL, True),
        (2.1, Op.EQUAL, False),
        (None, Op.AT_MOST, False),
    ],
)
def test_a_row_holds_when_it_meets_its_bar(value: float | None, op: Op, holds: bool) -> None:
    assert row(value, op).holds is holds


def test_nothing_counts_that_is_empty_skipped_quick_or_below_its_bar() -> None:
    good = row(1.0, Op.AT_MOST)
    assert counts([good], RUN)
    assert not counts([], RUN)
    assert not counts([good, row(None, Op.AT_MOST)], RUN)
    assert not counts([good, row(3.0, Op.AT_MOST)], RUN)
    assert not counts([good], replace(RUN, quick=True))


def test_the_file_is_a_list_of_rows_and_the_page_comes_from_it(tmp_path: Path) -> None:
    path = write([row(1.5, Op.AT_MOST), row(None, Op.EQUAL)], RUN, tmp_path)
    rows = json.loads(path.read_text())
    assert list(rows[0]) == ["what", "value", "unit", "bar", "op", "holds", "detail"]
    assert (rows[0]["holds"], rows[1]["holds"]) == (True, False)
    text = page.render(tmp_path)
    assert "m, 2 cores; 2026-11-23; commit `abc`." in text
    assert "| time \\| space | 1.5 s | <= 2 | yes |" in text
    assert "| skipped | == 2 | **no** |" in text


def test_a_quick_run_is_called_one(tmp_path: Path) -> None:
    write([row(1.5, Op.AT_MOST)], replace(RUN, quick=True), tmp_path)
    assert "does not count" in page.render(tmp_path)
    (tmp_path / "report.json").write_text("{}")  # what a bench made to look at is no bench
    assert "report" not in page.render(tmp_path)


def test_a_bench_without_files_keeps_its_section(tmp_path: Path) -> None:
    target = tmp_path / "benchmarks.md"
    target.write_text("# Benchmarks\n\nWords.\n\n## gate\n\noutdated\n\n## loop\n\nkept\n")
    (tmp_path / "gate.json").write_text("[]")
    run = {"quick": False, "machine": "m", "date": "2026-11-29", "commit": "c"}
    (tmp_path / "gate.run.json").write_text(json.dumps(run))
    once = page.write(tmp_path, target).read_text()
    assert "kept" in once and "outdated" not in once and "`c`" in once
    assert page.write(tmp_path, target).read_text() == once


def test_a_figure_of_numpy_is_written_like_any_other(tmp_path: Path) -> None:
    row = Row(what="share", value=np.float64(0.5), unit="", bar=1, op=Op.AT_MOST)
    path = write([row], RUN, tmp_path)
    assert json.loads(path.read_text(encoding="utf-8"))[0]["holds"] is True


def test_parts_of_several_runs_are_put_together_and_say_when_they_were_measured(
    tmp_path: Path,
) -> None:
    first, later = RUN, replace(RUN, commit="def", date="2026-11-24")
    good, bad = row(1.0, Op.AT_MOST), row(3.0, Op.AT_MOST)
    rows = parts.together({"one": [good, bad]}, ["one", "two"], first, tmp_path)
    assert [(r.value, r.holds) for r in rows] == [(1.0, True), (3.0, False), (None, False)]
    assert "two" in rows[2].what and "PART=two" in rows[2].detail
    rows = parts.together({"two": [good]}, ["one", "two"], later, tmp_path)
    assert [r.value for r in rows] == [1.0, 3.0, 1.0]
    assert "commit abc" in rows[0].detail and "commit" not in rows[2].detail
    assert counts(parts.together({"one": [good]}, ["one", "two"], later, tmp_path), later)


def test_a_quick_part_never_stands_among_full_ones(tmp_path: Path) -> None:
    quick = replace(RUN, quick=True)
    parts.together({"one": [row(1.0, Op.AT_MOST)]}, ["one"], quick, tmp_path)
    assert [r.value for r in parts.together({}, ["one"], RUN, tmp_path)] == [None]
