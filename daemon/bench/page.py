"""`docs/benchmarks.md`, rendered from the files of `build/bench`; nothing in it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from daemon.bench.rows import FOLDER, ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
_HEAD = """# Benchmarks

Rendered by `make bench-doc` from `build/bench/*.json`. A row holds when its figure meets its bar;
a quick run never counts.
"""


def render(folder: Path = FOLDER, former: str = "") -> str:
    """The page's text, benches in the order of their names. A bench that has no files here keeps
    its section of the `former` page, with its date and commit: benches of hours are not all run on
    one machine."""
    found = _sections(former)
    for run in folder.glob("*.run.json"):  # other files there are what a bench made to look at
        name = run.name.removesuffix(".run.json")
        found[name] = _section(folder / f"{name}.json")
    return "\n".join([_HEAD, *(found[name] for name in sorted(found))])


def write(folder: Path = FOLDER, page: Path = PAGE) -> Path:
    former = page.read_text(encoding="utf-8") if page.exists() else ""
    page.write_text(render(folder, former), encoding="utf-8")
    return page


def _sections(text: str) -> dict[str, str]:
    """The sections of a rendered page, by bench."""
    _, *parts = text.split("\n## ")
    return {part.split("\n", 1)[0]: f"## {part.rstrip()}\n" for part in parts}


def _section(path: Path) -> str:
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    run: dict[str, Any] = json.loads(path.with_suffix(".run.json").read_text(encoding="utf-8"))
    quick = " **Quick run: does not count.**" if run["quick"] else ""
    lines = [
        f"## {path.stem}",
        "",
        f"{run['machine']}; {run['date']}; commit `{run['commit']}`.{quick}",
        "",
        "| what | figure | bar | holds | detail |",
        "|---|---:|---:|---|---|",
    ]
    lines += [_line(row) for row in rows]
    return "\n".join(lines) + "\n"


def _line(row: dict[str, Any]) -> str:
    value = "skipped" if row["value"] is None else f"{row['value']:g} {row['unit']}"
    bar = f"{row['op']} {row['bar']:g}"
    holds = "yes" if row["holds"] else "**no**"
    cells = (row["what"], value, bar, holds, row["detail"])
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
