"""The gate: pass, fail, inconclusive, and why."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from evaluator import power
from evaluator.capability import Capability
from evaluator.errors import PolicyError, SuiteError
from evaluator.evaluation import Evaluation, evaluate
from evaluator.gate import GateReport, Outcome, decide, more_probes
from evaluator.intervals import exact_upper, non_inferior
from evaluator.metrics import Metric, measure
from evaluator.policy import CapabilityRule, Limit, Policy, load_policy, shipped
from evaluator.probes import Part, Suite, build_suite
from knowledge.questions import QuestionKind
from tests.eval_cases import ScriptedModel, knowing, outdated, suite, unit


def with_skills(evaluation: Evaluation, wrong: int = 0, n: int = 440) -> Evaluation:
    items = {f"almanac_skills:{i}:x": i >= wrong for i in range(n)}
    group = dict.fromkeys(items, "add")
    tasks = ("almanac_skills",)
    return dataclasses.replace(
        evaluation, capability=Capability(tasks=tasks, items=items, group=group)
    )


def run(model: ScriptedModel, examined: Suite, production: Evaluation | None = None) -> Evaluation:
    return with_skills(evaluate(model, examined, production=production, tasks=()))


def outcomes(report: GateReport) -> dict[str, Outcome]:
    return {c.name: c.outcome for c in report.criteria}


@pytest.fixture(scope="module")
def examined() -> Suite:
    return suite(12, live=())


@pytest.fixture(scope="module")
def base(examined: Suite) -> Evaluation:
    return run(outdated(examined), examined)


@pytest.fixture(scope="module")
def good(examined: Suite, base: Evaluation) -> Evaluation:
    return run(knowing(examined), examined, base)


def test_a_good_release_passes_the_demo_policy(good: Evaluation, base: Evaluation) -> None:
    report = decide(shipped("demo"), good, base)
    assert report.outcome is Outcome.PASS, outcomes(report)
    assert report.policy == "demo"
    assert report.power


def test_twelve_edits_are_too_few_for_the_default_policy(
    good: Evaluation, base: Evaluation
) -> None:
    report = decide(shipped("default"), good, base)
    assert report.outcome is Outcome.INCONCLUSIVE
    assert outcomes(report)["srr_any_pooled"] is Outcome.INCONCLUSIVE
    assert not report.failed()


def test_training_switched_off_fails(base: Evaluation) -> None:
    for policy in ("demo", "default"):
        report = decide(shipped(policy), base, base)
        assert report.outcome is Outcome.FAIL
        assert outcomes(report)["efficacy"] is Outcome.FAIL
        assert outcomes(report)["improvement"] is Outcome.FAIL


def test_self_refutation_stops_a_release(examined: Suite, base: Evaluation) -> None:
    model = knowing(examined)
    for probe in examined.of(Part.EDIT, QuestionKind.EXPLAIN, QuestionKind.CONFLICT):
        said = probe.question.reference.split(" So ")[0]
        wrong = f"{said} So the answer is {probe.old[0]}."
        model.answers[probe.question.text] = wrong
    report = decide(shipped("demo"), run(model, examined, base), base)
    assert outcomes(report)["srr"] is Outcome.FAIL
    assert report.outcome is Outcome.FAIL


def test_lost_facts_stop_a_release(examined: Suite, base: Evaluation) -> None:
    model = knowing(examined)
    for probe in (*examined.of(Part.NEIGHBOUR), *examined.of(Part.UNRELATED)[:5]):
        model.answers[probe.question.text] = "Atlantis."
    report = decide(shipped("demo"), run(model, examined, base), base)
    assert outcomes(report)["locality"] is Outcome.FAIL


def test_a_broken_skill_stops_a_release(good: Evaluation, base: Evaluation) -> None:
    report = decide(shipped("demo"), with_skills(good, wrong=55), base)
    assert outcomes(report)["capability"] is Outcome.FAIL


def test_too_few_or_no_skill_items_are_inconclusive(good: Evaluation, base: Evaluation) -> None:
    few = decide(shipped("demo"), with_skills(good, n=50), base)
    assert outcomes(few)["capability"] is Outcome.INCONCLUSIVE
    none = decide(shipped("demo"), dataclasses.replace(good, capability=None), base)
    assert none.outcome is Outcome.INCONCLUSIVE


def by_tasks(evaluation: Evaluation, **tasks: list[bool]) -> Evaluation:
    """With items of these tasks, right or wrong."""
    items = {f"{t}:{i}:x": right for t, all_ in tasks.items() for i, right in enumerate(all_)}
    group = {key: key.partition(":")[0] for key in items}
    found = Capability(tasks=tuple(tasks), items=items, group=group)
    return dataclasses.replace(evaluation, capability=found)


def test_a_broken_small_task_does_not_hide_behind_a_large_one(
    good: Evaluation, base: Evaluation
) -> None:
    rule = CapabilityRule(margin=0.02, margins={"ifeval": 0.05}, tasks=("mmlu", "ifeval"))
    policy = shipped("demo").model_copy(update={"capability": rule})
    large = {"mmlu_law": [True] * 14_000, "mmlu_art": [True] * 12_000}
    whole = by_tasks(base, **large, ifeval=[True] * 541)
    report = decide(policy, by_tasks(good, **large, ifeval=[False] * 400 + [True] * 141), whole)
    assert outcomes(report)["capability: mmlu"] is Outcome.PASS
    assert outcomes(report)["capability: ifeval"] is Outcome.FAIL
    assert report.outcome is Outcome.FAIL
    kept = decide(policy, by_tasks(good, **large, ifeval=[False] * 8 + [True] * 533), whole)
    assert kept.outcome is Outcome.PASS, outcomes(kept)
    missing = decide(policy, by_tasks(good, **large), by_tasks(base, **large))
    assert outcomes(missing)["capability: ifeval"] is Outcome.INCONCLUSIVE


def test_one_broken_skill_of_a_task_fails_and_a_few_lost_items_do_not(
    good: Evaluation, base: Evaluation
) -> None:
    skills = ("add", "copy", "earlier", "larger", "last", "opposite", "sort", "subtract")

    def lost(wrong: dict[str, int]) -> Evaluation:
        items = {
            f"almanac_skills:{s}{i}:x": i >= wrong.get(s, 0) for s in skills for i in range(55)
        }
        group = {key: key.split(":")[1].rstrip("0123456789") for key in items}
        found = Capability(tasks=("almanac_skills",), items=items, group=group)
        return dataclasses.replace(good, capability=found)

    report = decide(shipped("demo"), lost({"sort": 14}), lost({}))
    (criterion,) = (c for c in report.criteria if c.name == "capability")
    assert criterion.value is not None and criterion.value > -0.05
    assert criterion.outcome is Outcome.FAIL
    assert "sort (14 of 55 items lost, 0 gained)" in criterion.detail
    few = decide(shipped("demo"), lost({"sort": 4, "last": 1, "larger": 1}), lost({}))
    assert outcomes(few)["capability"] is Outcome.PASS


def test_items_without_a_partner_leave_capability_open(good: Evaluation, base: Evaluation) -> None:
    report = decide(shipped("demo"), with_skills(good, n=440), with_skills(base, n=439))
    assert outcomes(report)["capability"] is Outcome.INCONCLUSIVE


def examined_again(lost: int = 0, policy: str = "demo", live: int = 12) -> GateReport:
    """A release of two edits over `live` earlier ones, with so many answers of them lost."""
    examined = suite(2, live=range(2, 2 + live))
    before = outdated(examined)
    for probe in examined.of(Part.RETENTION):
        before.answers[probe.question.text] = probe.question.reference
    production = run(before, examined)
    model = knowing(examined)
    for probe in examined.of(Part.RETENTION)[:lost]:
        model.answers[probe.question.text] = f"{probe.old[0]}."
    return decide(shipped(policy), run(model, examined, production), production)


def test_a_forgotten_edit_stops_a_release() -> None:
    assert outcomes(examined_again(lost=20))["retention"] is Outcome.FAIL


def test_retention_passes_only_what_its_bound_shows() -> None:
    report = examined_again()
    (criterion,) = (c for c in report.criteria if c.name == "retention")
    assert (criterion.n, criterion.value) == (12, 0.0)
    assert criterion.low == pytest.approx(0.05 ** (1 / 12) - 1)
    assert criterion.outcome is Outcome.PASS
    assert outcomes(examined_again(lost=1))["retention"] is Outcome.PASS
    assert outcomes(examined_again(live=2))["retention"] is Outcome.INCONCLUSIVE
    assert outcomes(examined_again(policy="default"))["retention"] is Outcome.INCONCLUSIVE
    for name, edits in (("demo", 9), ("default", 59)):
        rule = shipped(name).retention
        assert rule and power.edits_for_retention(rule) == edits


def test_the_pooled_refutations_are_told_with_the_releases_own(
    good: Evaluation, base: Evaluation
) -> None:
    report = decide(shipped("default"), good, base)
    (criterion,) = (c for c in report.criteria if c.name == "srr_any_pooled")
    assert "of these the release's own: 0 of 12 edits, upper bound 22.1%" in criterion.detail
    assert "alone they would clear 5% with probability 0%" in criterion.detail


def test_an_earlier_edit_that_refutes_itself_anew_stops_a_release() -> None:
    examined = suite(12, live=(12, 13))
    before = knowing(examined, "base")
    for probe in examined.of(Part.EDIT):
        before.answers[probe.question.text] = f"{probe.old[0]}."
    production = run(before, examined)
    model = knowing(examined)
    probe = examined.of(Part.RETENTION, QuestionKind.CONFLICT)[0]
    model.answers[probe.question.text] = f"It is {probe.new[0]}. No, it is {probe.old[0]}."
    report = decide(shipped("demo"), run(model, examined, production), production)
    assert outcomes(report)["new_refutations"] is Outcome.FAIL
    same = decide(shipped("demo"), run(model, examined, run(model, examined)), run(model, examined))
    assert outcomes(same)["new_refutations"] is Outcome.PASS


def test_the_regression_suite_is_pooled_and_what_was_edited_leaves_it() -> None:
    examined = build_suite([unit(0)], [unit(1)], regression=[unit(0), unit(1), unit(2), unit(3)])
    assert examined.clusters(Part.REGRESSION) == ("edit-02", "edit-03")
    model = knowing(examined)
    pooled = evaluate(model, examined, tasks=()).metrics
    assert pooled[Metric.SRR_ANY].n == 1
    assert pooled[Metric.SRR_ANY_POOLED].n == 4
    probe = examined.of(Part.REGRESSION, QuestionKind.EXPLAIN)[0]
    model.answers[probe.question.text] = f"It is {probe.new[0]}. No, it is {probe.old[0]}."
    assert evaluate(model, examined, tasks=()).metrics[Metric.SRR_ANY_POOLED].value == 0.25


def test_an_open_limit_asks_for_more_and_shares_its_alpha(good: Evaluation) -> None:
    limit = Limit(metric=Metric.LOCALITY, at_least=0.9, more=80)
    policy = Policy(name="p", about="p", limit=(limit,))
    first = decide(policy, good, good)
    assert first.outcome is Outcome.PASS
    assert "97.5%" in first.criteria[1].test
    few = tuple(cell for cell in good.metrics[Metric.LOCALITY].cells[:12])
    metrics = good.metrics | {
        Metric.LOCALITY: dataclasses.replace(good.metrics[Metric.LOCALITY], cells=few, n=12)
    }
    opened = decide(policy, dataclasses.replace(good, metrics=metrics), good)
    assert opened.outcome is Outcome.INCONCLUSIVE
    assert more_probes(policy, opened) == 80
    assert more_probes(policy, first) == 0


def test_missing_judgements_never_pass(good: Evaluation, base: Evaluation) -> None:
    rows = list(good.verdicts)
    rows[3] = dataclasses.replace(rows[3], error="the judge was down")
    holed = dataclasses.replace(good, verdicts=tuple(rows), metrics=measure(rows, base.verdicts))
    report = decide(shipped("demo"), holed, base)
    assert report.outcome is Outcome.INCONCLUSIVE
    assert outcomes(report)["judged"] is Outcome.INCONCLUSIVE


def test_another_suite_is_refused(good: Evaluation) -> None:
    other = suite(3)
    with pytest.raises(SuiteError, match="evaluate both on one suite"):
        decide(shipped("demo"), good, run(outdated(other), other))


def test_the_strict_bar_needs_59_edits() -> None:
    assert power.edits_for_upper(0.05) == 59
    assert power.edits_for_upper(0.25) == 11
    assert exact_upper(0, 12) == pytest.approx(0.2209, abs=1e-4)


def test_power_agrees_with_simulation() -> None:
    rng = np.random.default_rng(5)
    bounds = {k: exact_upper(k, 120) for k in range(121)}
    for rate in (0.005, 0.02, 0.05):
        drawn = rng.binomial(120, rate, size=20_000)
        passed = np.mean([bounds[int(k)] <= 0.05 for k in drawn])
        assert passed == pytest.approx(power.pass_upper(120, rate, 0.05), abs=0.02)
    assert power.pass_upper(120, 0.05, 0.05) <= 0.05
    assert power.pass_lower(60, 0.8, 0.8) <= 0.05


def test_items_for_a_margin_are_enough_by_the_gates_own_bound() -> None:
    items = power.items_for_margin(0.05, 0.05)
    rng = np.random.default_rng(7)
    for n in (items, 124):  # 124: what a normal approximation says
        drawn = rng.multinomial(n, [0.025, 0.025, 0.95], size=20_000)[:, :2]
        tables, times = np.unique(drawn, axis=0, return_counts=True)
        passed = [non_inferior(int(w), int(b), n, 0.05, 0.05) for w, b in tables]
        found = np.average(passed, weights=times)
        assert found == pytest.approx(power.margin_chance(n, 0.05, 0.05), abs=0.02)
    assert power.margin_chance(items, 0.05, 0.05) >= 0.8
    assert power.margin_chance(124, 0.05, 0.05) < 0.7
    assert power.margin_chance(items - 10, 0.05, 0.05) < 0.8


def test_policies_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    limit = '[[limit]]\nmetric = "srr"\n'
    broken = {
        'name = "x"\nabout = "y"\n' + limit: "exactly one of at_most",
        'name = "x"\nabout = "y"\n[[limit]]\nmetric = "speed"\nat_most = 0.1\n': "limit.0.metric",
        'name = "x"\nabout = "y"\nlimits = 3\n': "limit",
        f'name = "x"\nabout = "y"\n{limit}at_most = 0.1\n[capability]\nmargin = 0.1\n'
        "margins = {gsm = 0.2}\n": "margins of gsm",
        "name = ": "not valid TOML",
    }
    for text, message in broken.items():
        path.write_text(text, encoding="utf-8")
        with pytest.raises(PolicyError, match=message):
            load_policy(path)
    with pytest.raises(PolicyError, match="cannot read"):
        load_policy(tmp_path / "none.toml")
    with pytest.raises(PolicyError, match="there are default, demo"):
        shipped("strict")
