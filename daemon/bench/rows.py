"""The rows of a bench: what was measured, the bar, and whether it holds.

Owns the row, the file format of `build/bench`, and the verdict over a run. Measures nothing.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "bench"


class Op(StrEnum):
    """How the value is compared with the bar."""

    AT_MOST = "<="
    AT_LEAST = ">="
    EQUAL = "=="


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement. `value` None means that it was skipped, which never holds."""

    what: str
    value: float | None
    unit: str
    bar: float
    op: Op
    detail: str = ""

    @property
    def holds(self) -> bool:
        if self.value is None:
            return False
        if self.op is Op.AT_MOST:
            return bool(self.value <= self.bar)  # `bool`, because numpy's own is no JSON
        if self.op is Op.AT_LEAST:
            return bool(self.value >= self.bar)
        return bool(self.value == self.bar)

    def data(self) -> dict[str, object]:
        """The row as the file holds it."""
        fields = asdict(self)
        detail = fields.pop("detail")
        return {**fields, "op": self.op.value, "holds": self.holds, "detail": detail}


def partial(row: Row, seen: int, wanted: int, what: str) -> Row:
    """The row, or what it is worth with less than the whole measurement behind it: no value, so
    that it never holds, and what was seen so far in its detail."""
    if seen >= wanted or row.value is None:
        return row
    told = f"{seen} of {wanted} {what}, value so far {row.value:g}"
    return replace(row, value=None, detail=f"{told}; {row.detail}" if row.detail else told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Where and when a bench was run. `quick` runs are small, and never count."""

    bench: str
    quick: bool
    machine: str
    date: str
    commit: str


def this_run(bench: str, *, quick: bool) -> Run:
    """A run here and now."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return Run(bench=bench, quick=quick, machine=machine, date=today, commit=_commit())


def counts(rows: Sequence[Row], run: Run) -> bool:
    """Whether the bench holds: it has rows, each of them holds, and it was not a quick one."""
    return bool(rows) and all(row.holds for row in rows) and not run.quick


def write(rows: Sequence[Row], run: Run, folder: Path = FOLDER) -> Path:
    """`NAME.json` with the rows, and `NAME.run.json` with where and when."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / f"{run.bench}.run.json", asdict(run))
    path = folder / f"{run.bench}.json"
    _save(path, [row.data() for row in rows])
    return path


def _save(path: Path, data: object) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
