"""A training step, measured against TRL's SDFT trainer, and a whole job of twelve edits.

Owns the rows of `make bench-step`. Each side runs in processes of its own (`step_sides`), one
thread each, in turn; TRL in float32 and in bfloat16, and the faster of the two is what ours is held
against. Ratios are of medians.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from daemon.bench.edit_sets import world_cases
from daemon.bench.rows import ROOT, Op, Row
from daemon.bench.weights import bench_base
from knowledge.world import Split
from trainer.job import ADAPTER, JobSpec, create_job

_TITLES = {
    "embedded": "embedded model, 32 prompts",
    "large": "8 layers of 512, 8k vocabulary, teacher prefix 512, 2 x 8 rollouts of 128",
}
_BARS = {"embedded": 2.0, "large": 3.0}
_EDITS = 12
_JOB_BAR_S = 90.0
_BEST_OF = 5


def measure(quick: bool) -> list[Row]:
    """Both configurations and the job; `quick` measures the first configuration over few steps."""
    rows = _against("embedded", steps=3 if quick else 8, rounds=1 if quick else 2)
    if quick:
        return rows
    rows += _against("large", steps=3, rounds=2)
    return [*rows, _whole_job()]


def _against(config: str, steps: int, rounds: int) -> list[Row]:
    sides: dict[str, list[dict[str, Any]]] = {"ours": [], "trl": [], "trl-bf16": []}
    for _ in range(rounds):
        for side, runs in sides.items():
            runs.append(_run(side, config, steps))
    seconds = {
        side: statistics.median(s for run in runs for s in run["step_s"])
        for side, runs in sides.items()
    }
    peak = {side: min(run["peak_bytes"] for run in runs) for side, runs in sides.items()}
    best = min(("trl", "trl-bf16"), key=lambda side: seconds[side])
    title = _TITLES[config]
    timed = ", ".join(f"{side} {seconds[side]:.2f} s" for side in sides)
    rows = [
        Row(
            what=f"step, {title}: times faster than TRL's SDFT",
            value=round(seconds[best] / seconds["ours"], 2),
            unit="x",
            bar=_BARS[config],
            op=Op.AT_LEAST,
            detail=f"{timed}; held against {best}; {_shares(sides['ours'][-1], seconds['ours'])}",
        )
    ]
    if config == "large":
        rows.append(
            Row(
                what=f"step, {title}: peak memory above the model, share of TRL's",
                value=round(peak["ours"] / min(peak["trl"], peak["trl-bf16"]), 3),
                unit="",
                bar=0.5,
                op=Op.AT_MOST,
                detail=", ".join(f"{s} {peak[s] / 2**20:.0f} MiB" for s in sides),
            )
        )
    return rows


def _shares(run: dict[str, Any], step_s: float) -> str:
    """Where the time goes, and how far from the machine's own rate it is."""
    spent = run["spent_s"]
    whole = sum(spent.values())
    shares = ", ".join(f"{name} {100 * s / whole:.0f} %" for name, s in spent.items())
    rate = max(map(_matrix_rate, (torch.float32, torch.bfloat16)))
    reached = 100 * run["flops"] / step_s / rate
    return f"{shares}; {reached:.0f} % of the machine's {rate / 1e9:.0f} GFLOP/s"


def _matrix_rate(dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large product on one thread; best of ten."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    left, right = torch.randn(1024, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        torch.mm(left, right)
        best = min(best, time.perf_counter() - started)
    torch.set_num_threads(threads)
    return 2 * 1024**3 / best


def _run(side: str, config: str, steps: int) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "daemon.bench.step_sides"]
    done = subprocess.run(
        [*command, side, config, str(steps + 1)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{side} on {config} ended with {done.returncode}: {done.stderr[-600:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _whole_job() -> Row:
    """Twelve edits, both stages, as `python -m trainer run` does it, start-up included."""
    case = world_cases(Split.TUNE, _EDITS, most=1)[0]
    took: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        spec = JobSpec.plan(
            base=bench_base(), units=case.units, recipe="embedded", anchors=case.anchors
        )
        for turn in range(_BEST_OF):
            folder = Path(scratch) / str(turn)
            create_job(folder, spec)
            started = time.perf_counter()
            command = [sys.executable, "-W", "ignore", "-m", "trainer", "run", str(folder)]
            subprocess.run([*command, "--quiet"], cwd=ROOT, check=True, capture_output=True)
            took.append(time.perf_counter() - started)
            assert (folder / ADAPTER).is_dir()
    return Row(
        what=f"{_EDITS} edits, both stages, shipped size",
        value=round(min(took), 1),
        unit="s",
        bar=_JOB_BAR_S,
        op=Op.AT_MOST,
        detail=f"best of {_BEST_OF}, start of the process included",
    )
