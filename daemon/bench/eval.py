"""The evaluator, measured: its metrics, its statistics, its judges, its speed.

Owns the list of rows of `make bench-eval`. Labelled outputs are those of `tests/data/judge`, or of
the folder that `DATA` names; the judge is held to the report half, which is only counted.
"""

from __future__ import annotations

import os
from pathlib import Path

from daemon.bench.edits import draw_units, release_of
from daemon.bench.eval_endpoint import endpoint_rows
from daemon.bench.eval_judge import judge_rows
from daemon.bench.eval_speed import speed_rows
from daemon.bench.eval_statistics import interval_rows, table_row
from daemon.bench.rows import ROOT, Row
from knowledge.world import Split

LABELLED = ROOT / "tests" / "data" / "judge"
EDITS = 12


def measure(quick: bool) -> list[Row]:
    """All rows. `quick` has fewer random tables, edits and endpoint calls."""
    release = release_of(draw_units(Split.TUNE, 2 if quick else EDITS, 0))
    return [
        table_row(),
        *interval_rows(300 if quick else 10_000),
        *judge_rows(Path(os.environ.get("DATA") or LABELLED)),
        *endpoint_rows(release.suite, edits=1 if quick else 4),
        *speed_rows(release, quick=quick),
    ]
