"""The watch, measured: what it finds, what it lets through, what it withstands, what it costs.

Owns the list of parts of `make bench-watch`; each part is a module `watch_*` beside this one.
Recorded data is read from the checkout's sibling `shared/data/wikidata`, or from `DATA`. `PART`
runs one part alone, whose rows stand beside the kept ones of the others (`parts`).
"""

from __future__ import annotations

import os
from collections.abc import Callable

from daemon.bench.rows import Row
from daemon.bench.watch_faults import fault_rows
from daemon.bench.watch_fuzz import fuzz_rows
from daemon.bench.watch_labelled import labelled_rows
from daemon.bench.watch_limits import limiter_rows
from daemon.bench.watch_load import load_rows
from daemon.bench.watch_offices import office_rows
from daemon.bench.watch_replay import snapshot_replay

PARTS: dict[str, Callable[[bool], list[Row]]] = {
    "labelled": lambda quick: labelled_rows(),
    "snapshots": snapshot_replay,
    "offices": office_rows,
    "fuzz": fuzz_rows,
    "limits": limiter_rows,
    "load": load_rows,
    "faults": fault_rows,
}


def measure_parts(quick: bool) -> dict[str, list[Row]]:
    """Rows by part: all parts in turn, or the one that `PART` names."""
    wanted = os.environ.get("PART")
    if wanted and wanted not in PARTS:
        raise SystemExit(f"PART={wanted} is none of {', '.join(PARTS)}")
    chosen = [wanted] if wanted else list(PARTS)
    return {name: PARTS[name](quick) for name in chosen}


def measure(quick: bool) -> list[Row]:
    """The rows of what was measured now."""
    return [row for rows in measure_parts(quick).values() for row in rows]
