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
from evaluator.intervals import exact_upper
from evaluator.metrics import Metric, measure
from evaluator.policy import Limit, Policy, load_policy, shipped
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


def test_a_forgotten_edit_stops_a_release() -> None:
    examined = suite(12, live=(12, 13))
    before = outdated(examined)
    for probe in examined.of(Part.RETENTION):
        before.answers[probe.question.text] = probe.question.reference
    production = run(before, examined)
    model = knowing(examined)
    for probe in examined.of(Part.RETENTION):
        model.answers[probe.question.text] = f"{probe.old[0]}."
    report = decide(shipped("demo"), run(model, examined, production), production)
    assert outcomes(report)["retention"] is Outcome.FAIL
    kept = decide(shipped("demo"), run(knowing(examined), examined, production), production)
    assert outcomes(kept)["retention"] is Outcome.PASS


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


def test_policies_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    limit = '[[limit]]\nmetric = "srr"\n'
    broken = {
        'name = "x"\nabout = "y"\n' + limit: "exactly one of at_most",
        'name = "x"\nabout = "y"\n[[limit]]\nmetric = "speed"\nat_most = 0.1\n': "limit.0.metric",
        'name = "x"\nabout = "y"\nlimits = 3\n': "limit",
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
