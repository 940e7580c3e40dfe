"""`python -m daemon.bench NAME|all|doc`: run benches, write their files, show their tables.

Exit status: 0 when every row holds, 1 when one does not (or none was measured), 3 when all hold but
`QUICK=1` made it a small version, which never counts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from rich.console import Console
from rich.table import Table

from daemon.bench import page, parts
from daemon.bench.rows import Row, counts, this_run, write

# Each is a module of `daemon.bench` with `measure(quick) -> rows`, imported when it is run: some
# need torch, some a database server, and `doc` needs none of that.
BENCHES = (
    "curator",
    "embedded",
    "eval",
    "gate",
    "gateway",
    "kill",
    "loop",
    "methods",
    "reference",
    "releases",
    "review",
    "step",
    "watch",
    "service",
)

HOLDS, FAILS, NOT_COUNTED = 0, 1, 3


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = given[0] if len(given) == 1 else ""
    if name == "doc":
        print(page.write())
        return HOLDS
    chosen = list(BENCHES) if name == "all" else [name] if name in BENCHES else []
    if not chosen:
        known = ", ".join(BENCHES)
        print(f"usage: python -m daemon.bench NAME; one of {known}, all, doc", file=sys.stderr)
        return 2
    return max((_run(bench) for bench in chosen), key=[HOLDS, NOT_COUNTED, FAILS].index)


def _run(bench: str) -> int:
    run = this_run(bench, quick=os.environ.get("QUICK", "") not in ("", "0"))
    module = import_module(f"daemon.bench.{bench}")
    if hasattr(module, "measure_parts"):
        rows = parts.together(module.measure_parts(run.quick), tuple(module.PARTS), run)
    else:
        rows = module.measure(run.quick)
    path = write(rows, run)
    out = Console(width=None if sys.stdout.isatty() else 140)
    out.print(_table(bench, rows))
    out.print(f"{path}")
    if counts(rows, run):
        return HOLDS
    if run.quick and rows and all(row.holds for row in rows):
        out.print("QUICK=1: a small version; it does not count")
        return NOT_COUNTED
    return FAILS


def _table(bench: str, rows: Sequence[Row]) -> Table:
    table = Table(title=f"bench-{bench}", title_justify="left")
    for name in ("what", "figure", "bar", "holds", "detail"):
        table.add_column(name)
    for row in rows:
        figure = "skipped" if row.value is None else f"{row.value:g} {row.unit}"
        holds = "[green]yes[/]" if row.holds else "[red]no[/]"
        table.add_row(row.what, figure, f"{row.op.value} {row.bar:g}", holds, row.detail)
    return table


if __name__ == "__main__":
    sys.exit(main())
