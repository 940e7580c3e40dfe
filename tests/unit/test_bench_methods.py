"""What the rows of the comparison of methods count, and what they leave void."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.bench.case_runs import Outcome
from daemon.bench.method_rows import rows_of
from daemon.bench.pooling import Pooled, Skills, pool
from daemon.bench.reference import quality_rows
from daemon.bench.rows import Row
from evaluator.capability import Capability
from evaluator.evaluation import Evaluation
from evaluator.metrics import LOWER_IS_BETTER, Estimate, Metric, measure
from trainer.recipe import Method

_EDITS = 96


def estimate(values: list[float]) -> Estimate:
    cells = tuple((f"e{i}", value, 1.0) for i, value in enumerate(values))
    mean = sum(values) / len(values)
    return Estimate(
        value=mean, low=0, high=1, method="", n=len(cells), outputs=len(cells), cells=cells
    )


def arm(method: Method, seeds: int = 3, *, wrong: int = 0, edits: int = _EDITS, **other) -> Pooled:
    """An arm that is wrong on the first edits, or on so many in single metrics."""

    def of(metric: Metric) -> Estimate:
        bad = other.get(metric.value, wrong)
        hit = [float((i < bad) == (metric in LOWER_IS_BETTER)) for i in range(edits)]
        return estimate(hit)

    before = {f"s:{i}": 1.0 for i in range(440)}
    after = {f"s:{i}": float(i >= other.get("skills", 0)) for i in range(440)}
    return Pooled(
        method=method,
        recipe="r",
        seeds=seeds,
        cases=8,
        edits=edits,
        metrics={metric: of(metric) for metric in Metric},
        base={metric: estimate([0.0] * edits) for metric in Metric},
        skills=Skills(adapters=seeds * 8, before=before, after=after),
        train_s=1.0,
        sampled_tokens=1.0,
    )


def rows(*arms: Pooled) -> dict[str, Row]:
    return {row.what: row for row in rows_of({Method(a.method): a for a in arms})}


CODE, TEACHER = arm(Method.CODE), arm(Method.IN_CONTEXT, 1)


def test_code_is_held_to_in_context_in_refutation_and_skills_too() -> None:
    for what, key, spoiled in (
        ("code: srr, points above in-context", "srr", 3),
        ("code: srr_any, points above in-context", "srr_any", 3),
        ("code: h_acc, points below in-context", "h_acc", 3),
        ("code: skills, points below in-context", "skills", 12),
    ):
        assert rows(CODE, TEACHER)[what].holds
        worse = rows(arm(Method.CODE, **{key: spoiled}), TEACHER)[what]
        assert worse.value is not None and worse.value > 2 and not worse.holds


def test_a_comparison_with_a_teacher_below_the_floor_is_void() -> None:
    for key, what in (
        ("m_acc", "code: m_acc, points below in-context"),
        ("srr", "code: srr_any, points above in-context"),
        ("skills", "code: skills, points below in-context"),
    ):
        poor = arm(Method.IN_CONTEXT, 1, **{key: 40})
        row = rows(CODE, poor)[what]
        assert row.value is None and row.detail.startswith("void: the teacher's own")
        assert rows(CODE, poor)["code: h_acc, points below in-context"].value == 0


def test_fewer_seeds_than_wanted_are_shown_and_do_not_count() -> None:
    made = rows(replace(CODE, seeds=1), TEACHER, arm(Method.SDFT, 1, wrong=30))
    row = made["code: h_acc"]
    assert row.value is None and row.detail.startswith("1 of 3 seeds of code, value so far 100;")
    assert made["code against sdft: metrics significantly better"].value is None
    assert rows(CODE, TEACHER)["code: h_acc"].value == 100


def test_a_stage_earns_its_place_beyond_what_ten_metrics_give_by_chance() -> None:
    what = "code against sdft: metrics significantly better"
    # four edits of 96: beyond an interval that holds alone, not beyond ten that hold together
    chance = rows(CODE, TEACHER, arm(Method.SDFT, 1, h_acc=4))[what]
    assert chance.value == 0 and "Bonferroni" in chance.detail
    clear = rows(arm(Method.CODE, before=20), TEACHER, arm(Method.SDFT, 1, h_acc=20))[what]
    assert clear.value == 1 and "h_acc +20.8" in clear.detail
    assert "significantly worse: before -20.8" in clear.detail


def test_equal_quality_is_a_bound_within_a_margin() -> None:
    same, worse = quality_rows(CODE, TEACHER)
    assert same.holds and worse.holds
    # two of twelve edits lost: not significant among eight metrics, and not shown to be equal
    small = [arm(Method.CODE, edits=12, h_acc=2), arm(Method.CODE, edits=12)]
    same, worse = quality_rows(*small)
    assert worse.holds and not same.holds
    assert same.value == 1 and "h_acc -16.7" in same.detail


def test_an_item_of_the_skills_counts_once_whatever_number_of_adapters_it_was_asked_under() -> None:
    def outcome(case: str, seed: int, wrong: int) -> Outcome:
        def judged(right: dict[str, bool]) -> Evaluation:
            found = Capability(tasks=("s",), items=right, group=dict.fromkeys(right, "s"))
            return Evaluation(
                suite="x",
                model="m",
                judge="j",
                at="",
                outputs=(),
                verdicts=(),
                metrics=measure([]),
                capability=found,
            )

        keys = [f"s:{i}" for i in range(40)]
        return Outcome(
            case=case,
            method=Method.CODE,
            recipe="r",
            seed=seed,
            train_s=1.0,
            sampled_tokens=1,
            manifest={},
            evaluation=judged({key: i >= wrong for i, key in enumerate(keys)}),
            before=judged(dict.fromkeys(keys, True)),
        )

    skills = pool([outcome(c, s, 4 if c == "a" else 0) for c in "ab" for s in (0, 1)]).skills
    assert skills is not None
    assert (skills.items, skills.adapters, skills.worse, skills.better) == (40, 4, 4, 0)
    value, low, _ = skills.change()
    assert value == pytest.approx(-0.05)
    assert low < -0.10  # 160 pairs, were they independent, would show 10 points
