"""What the method buys: CODE and its rivals on the same edits, judged by the evaluator alone.

Owns the rows of `make bench-methods`. Cases are batches of twelve edits of the `report` split, and
the MQuAKE files that `DATA=` names; outcomes are kept (`case_runs`), so a run that was cut goes on
where it stood. `CASES=`, `ARMS=` and `SEEDS=` take a share of it. Beside each bar of `code` stands
the teacher's own figure and the share of the way from the base to the teacher that was gone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from daemon.bench.arms import ARMS, Arm
from daemon.bench.case_runs import CaseRuns, Outcome
from daemon.bench.edit_sets import EditCase, world_cases
from daemon.bench.method_table import write_table
from daemon.bench.mquake_sets import file_cases
from daemon.bench.pooling import Pooled, difference, pool
from daemon.bench.rows import FOLDER, Op, Row
from daemon.bench.weights import bench_base
from evaluator.intervals import one_sided, paired_difference
from evaluator.metrics import LOWER_IS_BETTER, Estimate, Metric
from knowledge.world import Split
from trainer.recipe import Method, load_recipe

STORE = FOLDER / "methods"
EDITS = 96
_BATCH = 12
_PROBES = 300
_MARGIN = 0.02
_GAP = 0.9

BARS: tuple[tuple[Metric, float], ...] = (
    (Metric.H_ACC, 0.97),
    (Metric.PARAPHRASE, 0.95),
    (Metric.M_ACC, 0.92),
    (Metric.BEFORE, 0.90),
    (Metric.RATIONALE, 0.95),
    (Metric.LOCALITY_NEIGHBOUR, 0.98),
    (Metric.LOCALITY_UNRELATED, 0.98),
)
"""What `code` must reach."""

_STAGES = (
    Metric.SRR,
    Metric.SRR_ANY,
    Metric.H_ACC,
    Metric.PARAPHRASE,
    Metric.M_ACC,
    Metric.CONFLICT,
    Metric.BEFORE,
    Metric.RATIONALE,
    Metric.LOCALITY_NEIGHBOUR,
    Metric.LOCALITY_UNRELATED,
)


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


def rows_of(pooled: Mapping[Method, Pooled]) -> list[Row]:
    """The rows of the bars, out of what was run."""
    code, teacher = pooled.get(Method.CODE), pooled.get(Method.IN_CONTEXT)
    if code is None:
        return [_skipped("code", "not among ARMS")]
    rows = [
        _count("edits of the comparison", code.edits, EDITS, f"{code.cases} cases"),
        *_refutation_rows(code, teacher),
        *[row for metric, bar in BARS for row in _bar_rows(metric, bar, code, teacher)],
        *_skill_rows(code),
        *_static_rows(pooled.get(Method.STATIC_LORA)),
    ]
    for rival in (Method.CODE_SFT_ONLY, Method.SDFT):
        rows.append(_stage_row(code, pooled.get(rival), rival))
    return rows


def _refutation_rows(code: Pooled, teacher: Pooled | None) -> list[Row]:
    srr, strict = code.metrics[Metric.SRR], code.metrics[Metric.SRR_ANY]
    _, upper, how = one_sided(srr.cells, 0.05)
    floor = one_sided([(c, 0.0, d) for c, _, d in srr.cells], 0.05)[1]
    own = _own(Metric.SRR, teacher)
    return [
        _row("code: SRR per output, given recall", srr, 0.005, Op.AT_MOST, own),
        Row(
            what="code: SRR, one-sided upper 95 % bound",
            value=_percent(upper),
            unit="%",
            bar=1.0,
            op=Op.AT_MOST,
            detail=f"{how}; without a single refutation {srr.n} edits allow {_percent(floor)} %",
        ),
        _row("code: edits with any refuting probe", strict, 0.04, Op.AT_MOST, own),
    ]


def _bar_rows(metric: Metric, bar: float, code: Pooled, teacher: Pooled | None) -> list[Row]:
    found = code.metrics[metric]
    name = f"code: {metric.value}"
    rows = [_row(name, found, bar, Op.AT_LEAST, _own(metric, teacher))]
    if metric in (Metric.LOCALITY_NEIGHBOUR, Metric.LOCALITY_UNRELATED):
        rows.append(_count(f"{name}, probes", found.outputs // code.seeds, _PROBES, "per seed"))
    if teacher is None:
        return [*rows, _skipped(f"{name}, against in-context", "in-context not among ARMS")]
    behind = difference(teacher.metrics[metric], found)
    if behind is not None:
        value, low, high = behind
        rows.append(
            Row(
                what=f"{name}, points below in-context",
                value=_percent(value),
                unit="points",
                bar=_percent(_MARGIN),
                op=Op.AT_MOST,
                detail=f"95 % interval {_percent(low)} to {_percent(high)}",
            )
        )
    share = gap_closed(metric, code, teacher)
    if share is not None:
        rows.append(
            Row(
                what=f"{name}, share of the gap to the teacher closed",
                value=_percent(share),
                unit="%",
                bar=_percent(_GAP),
                op=Op.AT_LEAST,
                detail=f"base {_shown(code.base[metric])}, {_own(metric, teacher)}",
            )
        )
    return rows


def gap_closed(metric: Metric, code: Pooled, teacher: Pooled) -> float | None:
    """How much of the way from the base to the teacher was gone; None where there is no way to go
    (locality, which the base has whole)."""
    base, own, reached = (
        code.base[metric].value,
        teacher.metrics[metric].value,
        code.metrics[metric].value,
    )
    if base is None or own is None or reached is None or abs(own - base) < 0.05:
        return None
    return (reached - base) / (own - base)


def _skill_rows(code: Pooled) -> list[Row]:
    if code.skills is None:
        return [_skipped("code: skills", "not run")]
    items, worse, better = code.skills
    value, low, _ = paired_difference(worse, better, items)
    return [
        _count("code: skills, items", items, 400, "pooled over cases and seeds"),
        Row(
            what="code: skills, one-sided lower 95 % bound of the difference to the base",
            value=_percent(low),
            unit="points",
            bar=-_percent(_MARGIN),
            op=Op.AT_LEAST,
            detail=f"difference {_percent(value)} points; {worse} worse, {better} better",
        ),
    ]


def _static_rows(static: Pooled | None) -> list[Row]:
    name = "static-lora: direct questions answered with the new fact"
    if static is None:
        return [_skipped(name, "not among ARMS")]
    srr = _shown(static.metrics[Metric.SRR])
    return [_row(name, static.metrics[Metric.EFFICACY], 0.95, Op.AT_LEAST, f"its SRR is {srr}")]


def _stage_row(code: Pooled, rival: Pooled | None, name: Method) -> Row:
    """In how many metrics `code` is better than a rival, beyond the interval; at least in one."""
    what = f"code against {name.value}: metrics significantly better"
    if rival is None:
        return _skipped(what, "not among ARMS")
    better: list[str] = []
    worse: list[str] = []
    for metric in _STAGES:
        found = difference(code.metrics[metric], rival.metrics[metric])
        if found is None:
            continue
        value, low, high = found
        sign = -1 if metric in LOWER_IS_BETTER else 1
        text = f"{metric.value} {_percent(value):+g} [{_percent(low):+g}, {_percent(high):+g}]"
        if low > 0 or high < 0:
            (better if sign * value > 0 else worse).append(text)
    detail = "; ".join(better) or "none"
    if worse:
        detail += "; significantly worse: " + "; ".join(worse)
    return Row(what=what, value=len(better), unit="", bar=1, op=Op.AT_LEAST, detail=detail)


def _row(what: str, found: Estimate, bar: float, op: Op, own: str) -> Row:
    value = None if found.value is None else _percent(found.value)
    span = f"95 % {_percent(found.low)} to {_percent(found.high)}, {found.n} clusters"
    return Row(what=what, value=value, unit="%", bar=_percent(bar), op=op, detail=f"{span}; {own}")


def _own(metric: Metric, teacher: Pooled | None) -> str:
    return f"the teacher itself {_shown(teacher.metrics[metric])}" if teacher else "teacher not run"


def _shown(found: Estimate) -> str:
    return "none" if found.value is None else f"{_percent(found.value):g} %"


def _count(what: str, value: int, bar: int, detail: str) -> Row:
    return Row(what=what, value=value, unit="", bar=bar, op=Op.AT_LEAST, detail=detail)


def _skipped(what: str, why: str) -> Row:
    return Row(what=what, value=None, unit="", bar=0, op=Op.AT_LEAST, detail=why)


def _percent(share: float) -> float:
    return round(100 * share, 2)
