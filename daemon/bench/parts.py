"""A bench that is measured in parts, on different days if need be.

Owns the file of each part (`build/bench/parts/NAME-PART.json`, with where and when) and the bench's
rows put together from them. A part that was never measured is a skipped row; one that was measured
in another run than this says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from daemon.bench.rows import FOLDER, Op, Row, Run

_PARTS = "parts"


def together(
    measured: Mapping[str, Sequence[Row]], names: Sequence[str], run: Run, folder: Path = FOLDER
) -> list[Row]:
    """Keep what was measured now, and return the rows of all parts in the order of `names`.

    A quick run goes with quick parts only, a full one with full ones."""
    for name, rows in measured.items():
        _keep(_file(folder, run, name), rows, run)
    return [row for name in names for row in _rows(folder, run, name)]


def _rows(folder: Path, run: Run, name: str) -> list[Row]:
    path = _file(folder, run, name)
    if not path.exists():
        return [
            Row(
                what=f"{name}: this part was not run",
                value=None,
                unit="",
                bar=1,
                op=Op.EQUAL,
                detail=f"PART={name} make bench-{run.bench}",
            )
        ]
    kept = json.loads(path.read_text(encoding="utf-8"))
    of = Run(**kept["run"])
    rows = [_read(row) for row in kept["rows"]]
    if (of.commit, of.date, of.machine) == (run.commit, run.date, run.machine):
        return rows
    told = f"measured {of.date}, commit {of.commit}, {of.machine}"
    return [replace(r, detail=f"{r.detail}; {told}" if r.detail else told) for r in rows]


def _file(folder: Path, run: Run, name: str) -> Path:
    size = "-quick" if run.quick else ""
    return folder / _PARTS / f"{run.bench}-{name}{size}.json"


def _keep(path: Path, rows: Sequence[Row], run: Run) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".tmp")
    data = {"run": asdict(run), "rows": [row.data() for row in rows]}
    part.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def _read(data: Mapping[str, Any]) -> Row:
    fields = {name: value for name, value in data.items() if name != "holds"}
    return Row(**{**fields, "op": Op(fields["op"])})
