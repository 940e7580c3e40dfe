"""The rows of `make bench-methods`, out of what was run: `code` against its bars and its rivals.

Beside each bar of `code` stand the teacher's own figure, how far `code` is from `in-context`, and
the share of the way from the base to the teacher that was gone. A comparison with a teacher that
itself misses the embedded model's floor says nothing and is void; an arm with fewer seeds than it
should have has no value yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from daemon.bench.arms import ARMS
from daemon.bench.pooling import Pooled, difference, gains, significant
from daemon.bench.rows import Op, Row, partial
from evaluator.intervals import one_sided
from evaluator.metrics import LOWER_IS_BETTER, Estimate, Metric
from trainer.recipe import Method

EDITS = 96
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

READING_FLOOR, REFUTING_FLOOR = 0.95, 0.01
"""What `make bench-embedded` asks of the model at the least: open-book answers right, in each style
and beside an article off the topic, likewise skills; and outputs that refute themselves."""

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
_SEEDS = {arm.method: arm.seeds for arm in ARMS}


def rows_of(pooled: Mapping[Method, Pooled]) -> list[Row]:
    """The rows of the bars, out of what was run."""
    code, teacher = pooled.get(Method.CODE), pooled.get(Method.IN_CONTEXT)
    if code is None:
        return [_skipped("code", "not among ARMS")]
    static = pooled.get(Method.STATIC_LORA)
    rows = [
        *_refutation_rows(code, teacher),
        *[row for metric, bar in BARS for row in _bar_rows(metric, bar, code, teacher)],
        *_skill_rows(code, teacher),
    ]
    return [
        _count("edits of the comparison", code.edits, EDITS, f"{code.cases} cases"),
        *_whole(rows, code),
        *_whole(_static_rows(static), static),
        *[_stage_row(code, pooled.get(rival), rival) for rival in _RIVALS],
    ]


_RIVALS = (Method.CODE_SFT_ONLY, Method.SDFT)


def _whole(rows: Iterable[Row], *arms: Pooled | None) -> list[Row]:
    """The rows, without a value where one of the arms has fewer seeds than it should."""
    done = list(rows)
    for arm in arms:
        if arm is not None:
            seeds = _SEEDS[Method(arm.method)]
            done = [partial(row, arm.seeds, seeds, f"seeds of {arm.method}") for row in done]
    return done


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
        _row(
            "code: edits with any refuting probe",
            strict,
            0.04,
            Op.AT_MOST,
            _own(Metric.SRR_ANY, teacher),
        ),
        _teacher_row(Metric.SRR, code, teacher),
        _teacher_row(Metric.SRR_ANY, code, teacher),
    ]


def _bar_rows(metric: Metric, bar: float, code: Pooled, teacher: Pooled | None) -> list[Row]:
    found = code.metrics[metric]
    name = f"code: {metric.value}"
    rows = [_row(name, found, bar, Op.AT_LEAST, _own(metric, teacher))]
    if metric in (Metric.LOCALITY_NEIGHBOUR, Metric.LOCALITY_UNRELATED):
        rows.append(_count(f"{name}, probes", found.outputs // code.seeds, _PROBES, "per seed"))
    rows.append(_teacher_row(metric, code, teacher))
    share = gap_closed(metric, code, teacher) if teacher else None
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


def _teacher_row(metric: Metric, code: Pooled, teacher: Pooled | None) -> Row:
    """How many points `code` is worse than the narrative in the prompt."""
    lower = metric in LOWER_IS_BETTER
    what = f"code: {metric.value}, points {'above' if lower else 'below'} in-context"
    if teacher is None:
        return _skipped(what, "in-context not among ARMS")
    behind = difference(teacher.metrics[metric], code.metrics[metric])
    if behind is None:
        return _skipped(what, "no edit was measured under both")
    value, low, high = behind
    if lower:
        value, low, high = -value, -high, -low
    row = _behind(what, value, f"95 % interval {_percent(low)} to {_percent(high)}")
    return _void(row, _floor_missed(metric, teacher))


def _floor_missed(metric: Metric, teacher: Pooled) -> str | None:
    """How the teacher misses the floor on the same probes; None where it meets it."""
    per_edit = metric is Metric.SRR_ANY  # the floor is one of outputs
    asked = Metric.SRR if per_edit else metric
    lower = asked in LOWER_IS_BETTER
    floor = REFUTING_FLOOR if lower else READING_FLOOR
    value = teacher.metrics[asked].value
    if value is None:
        return f"the teacher has no {asked.value}"
    if (value <= floor) if lower else (value >= floor):
        return None
    return f"the teacher's own {asked.value} is {_percent(value):g} %, its floor {100 * floor:g} %"


def _behind(what: str, value: float, detail: str) -> Row:
    return Row(
        what=what,
        value=_percent(value),
        unit="points",
        bar=_percent(_MARGIN),
        op=Op.AT_MOST,
        detail=detail,
    )


def _void(row: Row, why: str | None) -> Row:
    """A row that would compare with a teacher who cannot teach this."""
    if why is None:
        return row
    told = f"void: {why}; it would be {row.value:g} points, {row.detail}"
    return _skipped(row.what, told, bar=row.bar, op=row.op, unit=row.unit)


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


def _skill_rows(code: Pooled, teacher: Pooled | None) -> list[Row]:
    if code.skills is None:
        return [_skipped("code: skills", "not run")]
    skills = code.skills
    value, low, _ = skills.change()
    return [
        _count(
            "code: skills, distinct items",
            skills.items,
            400,
            f"each averaged over {skills.adapters} adapters",
        ),
        Row(
            what="code: skills, one-sided lower 95 % bound of the difference to the base",
            value=_percent(low),
            unit="points",
            bar=-_percent(_MARGIN),
            op=Op.AT_LEAST,
            detail=f"difference {_percent(value)} points; {skills.worse} items worse, "
            f"{skills.better} better",
        ),
        _skills_behind(code, teacher),
    ]


def _skills_behind(code: Pooled, teacher: Pooled | None) -> Row:
    what = "code: skills, points below in-context"
    if teacher is None or teacher.skills is None or code.skills is None:
        return _skipped(what, "in-context not among ARMS, or without skills")
    value, low, high = code.skills.below(teacher.skills)
    row = _behind(what, value, f"one-sided 95 % bounds {_percent(low)} and {_percent(high)}")
    right = teacher.skills.right
    missed = f"the teacher's own skills are {_percent(right):g} %, their floor "
    return _void(row, None if right >= READING_FLOOR else f"{missed}{100 * READING_FLOOR:g} %")


def _static_rows(static: Pooled | None) -> list[Row]:
    name = "static-lora: direct questions answered with the new fact"
    if static is None:
        return [_skipped(name, "not among ARMS")]
    srr = _shown(static.metrics[Metric.SRR])
    return [_row(name, static.metrics[Metric.EFFICACY], 0.95, Op.AT_LEAST, f"its SRR is {srr}")]


def _stage_row(code: Pooled, rival: Pooled | None, name: Method) -> Row:
    """In how many metrics `code` is better than a rival, beyond the interval; at least in one. All
    intervals hold together (Bonferroni): one of ten that holds alone would often be chance."""
    what = f"code against {name.value}: metrics significantly better"
    if rival is None:
        return _skipped(what, "not among ARMS")
    better, worse = significant(gains(code, rival, _STAGES, 1 - 0.05 / len(_STAGES)))
    row = Row(
        what=what,
        value=len(better),
        unit="",
        bar=1,
        op=Op.AT_LEAST,
        detail=f"intervals of 95 % together over {len(_STAGES)} metrics (Bonferroni), gains in "
        f"points: {'; '.join(better) or 'none'}; significantly worse: {'; '.join(worse) or 'none'}",
    )
    return _whole([row], code, rival)[0]


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


def _skipped(what: str, why: str, *, bar: float = 0, op: Op = Op.AT_LEAST, unit: str = "") -> Row:
    return Row(what=what, value=None, unit=unit, bar=bar, op=op, detail=why)


def _percent(share: float) -> float:
    return round(100 * share, 2)
