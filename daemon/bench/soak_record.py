"""What a long run leaves of measurements: memory, bytes and changes, day by day.

Owns the sample, how it is taken from a process and a database file, and what the samples come to.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import statistics
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

WINDOW = 0.05
"""Memory is the median of a window of this share of the run: one backup is no growth."""
WARM = 0.1
"""What the run is measured after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look. Memory in MiB, resident; bytes are pages in use of the service's databases."""

    at: dt.datetime
    service_mb: float
    gateway_mb: float
    bytes: int
    changes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A straight line through bytes over changes, after the first tenth."""

    bytes_per_change: float
    greatest_deviation: float
    """Of a sample from the line, as a share of all growth."""
    r_squared: float


def resident_mb(pid: int | None) -> float:
    """Of one process; 0 when there is none."""
    if pid is None:
        return 0.0
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(lines[0][1]) / 1024 if lines else 0.0


def bytes_in_use(*databases: Path) -> int:
    """Pages of SQLite files that hold something, whatever the files' length; those of drafting runs
    are made with the first draft."""
    total = 0
    for path in (path for path in databases if path.exists()):
        with closing(_open(path)) as connection:
            pages, free, size = (
                int(connection.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
            total += (pages - free) * size
    return total


def bytes_by_table(database: Path) -> list[tuple[str, int]]:
    """Tables with their indexes, the largest first."""
    with closing(_open(database)) as connection:
        return connection.execute(
            "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_master USING (name) "
            "GROUP BY tbl_name ORDER BY 2 DESC"
        ).fetchall()


def settled(samples: Sequence[Sample], start: dt.datetime, end: dt.datetime) -> list[Sample]:
    """Those after the first tenth of the time."""
    warm = start + (end - start) * WARM
    return [sample for sample in samples if sample.at >= warm]


def swelling(mb: Sequence[float]) -> float | None:
    """By how many percent memory went at most beyond what it was at first, in medians of windows.
    None for fewer looks at it than three windows."""
    width = max(1, round(len(mb) * WINDOW))
    if len(mb) < 3 * width or not mb[0]:
        return None
    medians = [statistics.median(mb[n : n + width]) for n in range(len(mb) - width + 1)]
    return 100 * (max(medians) / medians[0] - 1)


def growth(samples: Sequence[Sample]) -> Growth | None:
    """Least squares of bytes over changes; None where no line can be drawn."""
    changes = [float(sample.changes) for sample in samples]
    held = [float(sample.bytes) for sample in samples]
    if len(set(changes)) < 3 or max(held) == min(held):
        return None
    slope, base = statistics.linear_regression(changes, held)
    off = [abs(y - base - slope * x) for x, y in zip(changes, held, strict=True)]
    return Growth(
        bytes_per_change=slope,
        greatest_deviation=max(off) / (max(held) - min(held)),
        r_squared=statistics.correlation(changes, held) ** 2,
    )


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30.0)
