"""What the method buys: CODE and its rivals on the same edits, judged by the evaluator alone.

Owns what `make bench-methods` runs; its rows are `method_rows`'. Cases are batches of twelve edits
of the `report` split, and the MQuAKE files that `DATA=` names; outcomes are kept (`case_runs`), so
a run that was cut goes on where it stood. `CASES=`, `ARMS=` and `SEEDS=` take a share of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from daemon.bench.arms import ARMS, Arm
from daemon.bench.case_runs import CaseRuns, Outcome
from daemon.bench.edit_sets import EditCase, world_cases
from daemon.bench.method_rows import rows_of
from daemon.bench.method_table import write_table
from daemon.bench.mquake_sets import file_cases
from daemon.bench.pooling import Pooled, pool
from daemon.bench.rows import FOLDER, Row
from daemon.bench.weights import bench_base
from knowledge.world import Split
from trainer.recipe import Method, load_recipe

STORE = FOLDER / "methods"
_BATCH = 12


def measure(quick: bool) -> list[Row]:
    """Run what is not kept yet and make the rows; `quick`: two edits, two methods, one seed."""
    torch.set_num_threads(1)
    pooled = dict(_quick() if quick else _full())
    write_table(list(pooled.values()), STORE / "table.html", "Methods, on the report split")
    return rows_of(pooled)


def _quick() -> Iterator[tuple[Method, Pooled]]:
    runs = CaseRuns(bench_base(), STORE, capability=False)
    cases = world_cases(Split.TUNE, 2, most=1)
    mini = load_recipe("mini")
    static = load_recipe("static").model_copy(update={"engine": mini.engine, "sft": mini.sft})
    for recipe in (mini, static, load_recipe("in-context")):
        yield recipe.method, pool([runs.outcome(recipe, case, 0) for case in cases])


def _full() -> Iterator[tuple[Method, Pooled]]:
    runs = CaseRuns(bench_base(), STORE)
    wanted = os.environ.get("ARMS", "").split(",") if os.environ.get("ARMS") else None
    most = int(os.environ["CASES"]) if os.environ.get("CASES") else None
    seeds = int(os.environ["SEEDS"]) if os.environ.get("SEEDS") else None
    for arm in ARMS:
        if wanted is not None and arm.method not in wanted:
            continue
        outcomes = list(run_arm(runs, arm, report_cases(arm, most), seeds))
        if outcomes:
            yield arm.method, pool(outcomes)


def report_cases(arm: Arm, most: int | None) -> tuple[EditCase, ...]:
    """The cases of the report split and of `DATA=`, as the arm takes them."""
    cases = world_cases(Split.REPORT, _BATCH, most, with_cake=arm.with_cake)
    data = os.environ.get("DATA")
    if not data:
        return cases
    needs = arm.method is not Method.CODE_NONCAUSAL
    return (*cases, *file_cases(Path(data), batch=_BATCH, articles=needs))


def run_arm(
    runs: CaseRuns, arm: Arm, cases: Sequence[EditCase], most_seeds: int | None = None
) -> Iterator[Outcome]:
    """The arm over all cases, seed by seed, so that a cut run has whole seeds."""
    recipe = arm.load()
    for seed in range(min(arm.seeds, most_seeds or arm.seeds)):
        for case in cases:
            yield runs.outcome(recipe, case, seed)
