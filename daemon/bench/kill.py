"""A training job killed at random moments, over and over, ends in the adapter of one left alone.

Owns the rows of `make bench-kill`: SIGKILL at drawn times over a two-edit job, in either stage and
while files are written, until enough kills have struck; each job that ends is compared byte by
byte. `SEED` names the draws, `KILLS` their number. The children are forks of a process that has
imported what they need, so that most of their time is training.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import secrets
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import torch

import trainer.methods
import trainer.session  # noqa: F401  the children are forked with it
from daemon.bench.edit_sets import world_cases
from daemon.bench.rows import Op, Row
from daemon.bench.weights import bench_base
from knowledge.world import Split
from trainer.job import ADAPTER, JobSpec, create_job, run_job
from trainer.recipe import load_recipe

KILLS = 100
_QUICK_KILLS = 3
_LONGEST_SHARE = 0.7
"""Of an undisturbed run's time: the latest moment of a kill, so that runs get on."""


@dataclass(slots=True)
class _Tally:
    kills: int = 0
    finished: int = 0
    differing: int = 0
    torn: int = 0
    """Kills after which something half-written stood where the adapter belongs."""
    at: Counter[str] = field(default_factory=Counter)
    """The stage that each kill struck."""


def measure(quick: bool) -> list[Row]:
    """Kill until the number is reached, then let the last job end."""
    wanted = int(os.environ.get("KILLS") or (_QUICK_KILLS if quick else KILLS))
    seed = os.environ.get("SEED") or secrets.token_hex(4)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        tally = _kill_all(Path(scratch), wanted, random.Random(seed))
    where = ", ".join(f"{n} in {stage}" for stage, n in sorted(tally.at.items()))
    return [
        _row(
            "SIGKILLs at random moments", tally.kills, KILLS, Op.AT_LEAST, f"{where}; seed {seed}"
        ),
        _row("jobs that ended although killed", tally.finished, 1, Op.AT_LEAST, ""),
        _row("of them with another adapter than the undisturbed", tally.differing, 0, Op.EQUAL, ""),
        _row("half-written adapters left behind", tally.torn, 0, Op.EQUAL, ""),
    ]


def _row(what: str, value: int, bar: int, op: Op, detail: str) -> Row:
    return Row(what=what, value=value, unit="", bar=bar, op=op, detail=detail)


def _kill_all(scratch: Path, wanted: int, rng: random.Random) -> _Tally:
    spec = _spec()
    create_job(scratch / "undisturbed", spec)
    started = time.monotonic()
    _Child(scratch / "undisturbed").wait()
    whole_s = time.monotonic() - started
    expected = _content(scratch / "undisturbed" / ADAPTER)
    tally, number = _Tally(), 0
    while True:
        folder = scratch / f"job-{number}"
        create_job(folder, spec)
        while not (folder / ADAPTER).is_dir():
            child = _Child(folder)
            if tally.kills < wanted and child.kill_after(rng.uniform(0, _LONGEST_SHARE * whole_s)):
                tally.kills += 1
                tally.at[_stage(folder)] += 1
            else:
                child.wait()
            if (folder / ADAPTER).exists() and len(_content(folder / ADAPTER)) != len(expected):
                tally.torn += 1
        tally.finished += 1
        tally.differing += _content(folder / ADAPTER) != expected
        number += 1
        if tally.kills >= wanted:
            return tally


def _spec() -> JobSpec:
    recipe = load_recipe("mini")
    assert recipe.sft
    long = recipe.sft.model_copy(update={"check_every": 0})
    recipe = recipe.model_copy(update={"checkpoint_every": 2, "sft": long})
    case = world_cases(Split.TUNE, 2, most=1)[0]
    anchors = case.anchors[::8]
    return JobSpec.plan(base=bench_base(), units=case.units, recipe=recipe, anchors=anchors)


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _stage(folder: Path) -> str:
    """The stage that the job was last heard of."""
    path = folder / "progress.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if not lines:
        return "start"
    return lines[-1].split('"stage": "')[-1].split('"')[0]


class _Child:
    """A process that trains the job in a folder."""

    def __init__(self, folder: Path) -> None:
        fork = multiprocessing.get_context("fork")
        self._process = fork.Process(target=_train, args=(folder,))
        self._process.start()

    def kill_after(self, delay_s: float) -> bool:
        """SIGKILL after that time; False when the process had ended by itself."""
        self._process.join(delay_s)
        if self._process.exitcode is not None:
            self._check()
            return False
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        return True

    def wait(self) -> None:
        self._process.join()
        self._check()

    def _check(self) -> None:
        if self._process.exitcode:
            raise RuntimeError(f"the job ended by itself with {self._process.exitcode}")


def _train(folder: Path) -> None:
    run_job(folder)
