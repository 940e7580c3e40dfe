"""A whole evaluation: examination, judge, capability by lm-eval, gate, report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from evaluator.capability import run_tasks
from evaluator.errors import SuiteError, TaskError
from evaluator.evaluation import Evaluation, evaluate
from evaluator.gate import Outcome, decide
from evaluator.policy import shipped
from evaluator.probes import Part, Suite
from evaluator.report import Report, Section, report_data, write_report
from evaluator.suites import build
from knowledge.questions import QuestionKind
from knowledge.skills import SKILLS
from tests.eval_cases import ScriptedModel, knowing, outdated, suite

SKILL_ANSWERS = {row["question"]: row["answer"] for row in build.items()}


def skilled(model: ScriptedModel) -> ScriptedModel:
    model.answers |= SKILL_ANSWERS
    return model


@pytest.fixture(scope="module")
def examined() -> Suite:
    return suite(12)


@pytest.fixture(scope="module")
def production(examined: Suite) -> Evaluation:
    return evaluate(skilled(outdated(examined)), examined)


@pytest.fixture(scope="module")
def candidate(examined: Suite, production: Evaluation) -> Evaluation:
    model = skilled(knowing(examined))
    probe = examined.of(Part.EDIT, QuestionKind.EXPLAIN)[0]
    said = probe.question.reference.split(" So ")[0]
    model.answers[probe.question.text] = f"{said} So the answer is {probe.old[0]} <script>."
    return evaluate(model, examined, production=production)


def test_the_bundled_tasks_are_what_the_command_writes(tmp_path: Path) -> None:
    shipped_file = Path(build.__file__).with_name("almanac_skills.jsonl")
    assert build.write(tmp_path).read_bytes() == shipped_file.read_bytes()
    rows = build.items()
    assert len(rows) >= 400
    assert {row["skill"] for row in rows} == set(SKILLS)
    assert len({row["question"] for row in rows}) == len(rows)


def test_capability_counts_each_item(production: Evaluation) -> None:
    capability = production.capability
    assert capability is not None
    assert capability.accuracy == 1.0
    assert set(capability.by_group()) == set(SKILLS)
    broken = ScriptedModel(
        "broken", {q: a if "plus" not in q else "0 0" for q, a in SKILL_ANSWERS.items()}
    )
    found = run_tasks(broken)
    assert set(found.items) == set(capability.items)
    right, total = found.by_group()["add"]
    assert (right, total) == (0, build.ITEMS_A_SKILL)
    assert found.accuracy == 1 - total / len(found.items)


def test_a_task_that_cannot_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "lost.yaml").write_text(
        "task: lost\ndataset_path: json\ntest_split: test\noutput_type: generate_until\n"
        "dataset_kwargs: {data_files: {test: /nowhere/lost.jsonl}}\n"
        "doc_to_text: '{{q}}'\ndoc_to_target: '{{a}}'\n",
        encoding="utf-8",
    )
    with pytest.raises(TaskError, match="lost could not run"):
        run_tasks(ScriptedModel("m", {}), ["lost"], folder=tmp_path)


def test_named_tasks_run_from_the_users_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    rows = [
        {"q": "Two plus two?", "a": "four", "options": ["three", "four"], "right": 1},
        {"q": "Colour of snow?", "a": "white", "options": ["white", "blackish"], "right": 0},
    ]
    data = tmp_path / "items.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    common = (
        f"dataset_path: json\ndataset_kwargs: {{data_files: {{test: {data}}}}}\ntest_split: test\n"
        "doc_to_text: '{{q}}'\n"
    )
    (tmp_path / "house_words.yaml").write_text(
        f"task: house_words\n{common}output_type: generate_until\ndoc_to_target: '{{{{a}}}}'\n"
        "generation_kwargs: {until: ['.'], max_gen_toks: 8, do_sample: false}\n"
        "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n",
        encoding="utf-8",
    )
    (tmp_path / "house_choice.yaml").write_text(
        f"task: house_choice\n{common}output_type: multiple_choice\n"
        "doc_to_choice: '{{options}}'\ndoc_to_target: right\n"
        "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n",
        encoding="utf-8",
    )
    model = ScriptedModel("m", {"Two plus two?": "four.", "Colour of snow?": "grey."})
    found = run_tasks(model, ["house_words", "house_choice"], folder=tmp_path)
    assert found.by_group()["house_words"] == (1, 2)
    assert found.by_group()["house_choice"] == (2, 2)  # this model likes short answers


def test_json_round_trip(candidate: Evaluation) -> None:
    assert Evaluation.from_json(candidate.to_json()) == candidate


def test_production_must_be_of_the_same_suite(production: Evaluation) -> None:
    other = suite(2)
    with pytest.raises(SuiteError):
        evaluate(knowing(other), other, production=production, tasks=())


def test_the_report_is_whole_and_alone(
    examined: Suite, production: Evaluation, candidate: Evaluation, tmp_path: Path
) -> None:
    gate = decide(shipped("demo"), candidate, production)
    assert gate.outcome is Outcome.PASS
    section = Section(title="What was seen", header=("Stage", "n"), rows=(("kept | all", "40"),))
    report = Report(
        title="Release <1>",
        suite=examined,
        candidate=candidate,
        production=production,
        gate=gate,
        sections=(section,),
    )
    paths = write_report(report, tmp_path)
    html = paths["html"].read_text(encoding="utf-8")
    assert "Release &lt;1&gt;" in html
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert not re.search(r"(?:src|href)\s*=|@import|url\(", html)
    assert html.count("<svg") == 2
    assert '<mark class="new"' in html
    assert '<mark class="old"' in html
    assert "refutes itself (legacy)" in html
    data = json.loads(paths["json"].read_text(encoding="utf-8"))
    assert data == json.loads(json.dumps(report_data(report)))
    assert data["gate"]["outcome"] == "pass"
    assert Evaluation.from_json(json.dumps(data["candidate"])) == candidate
    markdown = paths["md"].read_text(encoding="utf-8")
    assert "**pass**" in markdown
    assert "kept \\| all" in markdown
