"""The scores that stand for a set of weights, and whether a run comes to them again.

Owns `data/embedded/scores.json`: the percentages of a full run, under the digest of the weights
they were measured with. `python -m daemon.bench.embedded_record` writes it from `build/bench`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from daemon.bench.embedded_free import FOLDER
from daemon.bench.rows import FOLDER as RESULTS
from daemon.bench.rows import Op, Row
from daemon.bench.weights import bench_base
from trainer.fingerprint import base_digest

SCORES = FOLDER / "scores.json"
_WITHIN_POINTS = 0.5


def reproduced(rows: Sequence[Row], folder: Path, *, quick: bool, scores: Path = SCORES) -> Row:
    """How far the scores of a run lie from the recorded ones of the same weights, at most."""
    what = "largest difference from the recorded scores"
    reason, recorded = _recorded(folder, scores)
    if quick:
        reason = "QUICK=1: too few questions to compare"
    if reason:
        return Row(
            what=what, value=None, unit="points", bar=_WITHIN_POINTS, op=Op.AT_MOST, detail=reason
        )
    measured = {row.what: row.value for row in rows if row.unit == "%" and row.value is not None}
    apart = {name: abs(measured.get(name, 0.0) - value) for name, value in recorded.items()}
    worst = max(apart, key=apart.__getitem__)
    return Row(
        what=what,
        value=round(apart[worst], 2),
        unit="points",
        bar=_WITHIN_POINTS,
        op=Op.AT_MOST,
        detail=f"of {len(apart)} scores; {worst}",
    )


def _recorded(folder: Path, scores: Path) -> tuple[str, dict[str, float]]:
    """Why there is nothing to compare ("" where there is), and the recorded scores."""
    if not scores.is_file():
        return "no scores are recorded: see daemon.bench.embedded_record", {}
    data = json.loads(scores.read_text(encoding="utf-8"))
    if data["weights"] != base_digest(folder):
        return "the recorded scores are those of other weights", {}
    return "", data["scores"]


def main() -> int:
    """Record the percentages of the last full run for the weights that a bench runs on."""
    run = json.loads((RESULTS / "embedded.run.json").read_text(encoding="utf-8"))
    if run["quick"]:
        print("the last run was a quick one: run `make bench-embedded` first", file=sys.stderr)
        return 1
    rows = json.loads((RESULTS / "embedded.json").read_text(encoding="utf-8"))
    found = {
        row["what"]: row["value"]
        for row in rows
        if row["unit"] == "%" and row["value"] is not None and "(goal)" not in row["what"]
    }
    data = {"weights": base_digest(bench_base()), "scores": found}
    SCORES.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{SCORES}: {len(found)} scores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
