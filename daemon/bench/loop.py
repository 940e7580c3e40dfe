"""The loop, measured: the demo on a scenario that nobody has seen, its time and what it kept.

Owns the rows of `make bench-loop`. The seed is drawn anew for each run unless `SEED` names one; the
full version runs the whole demo, `QUICK=1` the mini one.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from daemon.bench.rows import ROOT, Op, Row

DEMO_LIMIT_S = 360.0
MINI_LIMIT_S = 25.0
TRAINING_LIMIT_S = 180.0


def measure(quick: bool) -> list[Row]:
    """Run one demo in a folder of its own and read its `result.json`."""
    seed = os.environ.get("SEED") or secrets.token_hex(4)
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "demo"
        command = [sys.executable, "-m", "daemon", "demo", "--home", str(home), "--seed", seed]
        started = time.monotonic()
        done = subprocess.run([*command, *(["--mini"] if quick else [])], cwd=ROOT, check=False)
        took_s = time.monotonic() - started
        path = home / "result.json"
        result = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    limit_s = MINI_LIMIT_S if quick else DEMO_LIMIT_S
    rows = [
        _row("demo, exit status", done.returncode, "", 0, Op.EQUAL, f"seed {seed}"),
        _row("demo, whole", took_s, "s", limit_s, Op.AT_MOST, "without installation"),
    ]
    return rows + (_measured(result, quick) if result else [])


def _measured(result: dict[str, Any], quick: bool) -> list[Row]:
    found = result["found"]
    share = 100 * (found["expected"] - len(found["misses"])) / max(1, found["expected"])
    trained = sum(s for name, s in result["took_s"].items() if name.startswith("train"))
    of = f"{found['expected']} real changes among {found['edits_seen']} edits"
    edits = len(result["shown"])
    return [
        _row("real changes found", share, "%", 100, Op.EQUAL, of),
        _row("false changes kept", len(found["false_keeps"]), "", 0, Op.EQUAL, of),
        _row("edits dismissed without a reason", found["unexplained"], "", 0, Op.EQUAL, ""),
        _row("edits trained", edits, "", 4 if quick else 20, Op.AT_LEAST, "in two releases"),
        _row("both trainings", trained, "s", TRAINING_LIMIT_S, Op.AT_MOST, ""),
        _row("releases promoted", result["promoted"], "", result["wanted"], Op.EQUAL, ""),
    ]


def _row(what: str, value: float, unit: str, bar: float, op: Op, detail: str) -> Row:
    return Row(what=what, value=round(value, 3), unit=unit, bar=bar, op=op, detail=detail)
