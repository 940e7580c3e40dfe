"""The evaluation job: one look, a second one where the policy allows it, a judge that is down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.jobs import evaluate as job
from daemon.jobs.evaluation_job import EvaluationSpec, JudgeSpec, Past, create_job
from daemon.jobs.replay import replay, stored
from evaluator.errors import JudgeUnavailable
from evaluator.gate import GateReport, Outcome
from evaluator.llm import LlmJudge
from evaluator.policy import load_policy
from evaluator.probes import Part
from evaluator.rejudge import read_results
from evaluator.stores import MemoryAnswers
from knowledge import codec
from knowledge.questions import QuestionKind
from tests.eval_cases import ScriptedModel, fact, knowing, outdated, unit

POLICY = """
name = "p"
about = "locality alone"
[[limit]]
metric = "locality"
at_least = 0.9
more = 40
"""


def planned(tmp_path: Path, facts: int, **more: Any) -> tuple[Path, EvaluationSpec]:
    policy = tmp_path / "p.toml"
    policy.write_text(POLICY, encoding="utf-8")
    spec = EvaluationSpec(
        base="base",
        candidate="candidate",
        candidate_digest="c" * 64,
        units=(unit(0), unit(1)),
        unrelated=tuple(fact(n) for n in range(facts)),
        reserve=tuple(fact(100 + n) for n in range(40)),
        regression=(unit(5), unit(6)),
        history=(Past(label="v1", values={"efficacy": 0.9}),),
        policy=str(policy),
        **more,
    )
    folder = tmp_path / "job"
    create_job(folder, spec)
    return folder, spec


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[ScriptedModel]:
    made: list[ScriptedModel] = []

    def bind(spec: EvaluationSpec) -> tuple[ScriptedModel, ScriptedModel]:
        whole = spec.suite(len(spec.reserve))
        made.extend((knowing(whole, "c"), outdated(whole, "p")))
        return made[0], made[1]

    monkeypatch.setattr(job, "_models", bind)
    return made


def gate_of(result: Path) -> GateReport:
    return codec.from_json(GateReport, (result / "gate.json").read_bytes())


def test_one_look_is_enough_where_there_are_facts(
    tmp_path: Path, models: list[ScriptedModel]
) -> None:
    folder, spec = planned(tmp_path, facts=60)
    result = job.run(folder, MemoryAnswers())
    gate = gate_of(result)
    assert (gate.outcome, gate.looks, gate.asked_more) == (Outcome.PASS, 1, 0)
    assert gate.suite == spec.suite().digest
    names = {"candidate.json", "production.json", "gate.json", "summary.json"}
    assert names | {"report.html", "report.json", "report.md"} == {p.name for p in result.iterdir()}
    assert "Trend over versions" in (result / "report.html").read_text(encoding="utf-8")
    assert len(read_results(result).outputs) == len(spec.suite().probes)


def test_an_open_gate_asks_once_more_and_only_what_is_new(
    tmp_path: Path, models: list[ScriptedModel]
) -> None:
    folder, spec = planned(tmp_path, facts=20)
    result = job.run(folder, MemoryAnswers())
    gate = gate_of(result)
    assert (gate.outcome, gate.looks, gate.asked_more) == (Outcome.PASS, 2, 40)
    assert gate.suite == spec.suite(40).digest
    asked = models[0].asked
    assert len(asked) == len(set(asked))
    candidate, production = stored(result)
    assert candidate.suite == production.suite == gate.suite
    assert replay(result, load_policy(Path(spec.policy))).outcome is Outcome.PASS
    page = (result / "report.html").read_text(encoding="utf-8")
    assert "40 more facts were asked for the second" in page
    assert job.run(folder, MemoryAnswers()) == result


class Down:
    model = "down"

    async def complete(self, system: str, user: str, schema: dict[str, Any]) -> str:
        raise JudgeUnavailable("judge down did not answer: connection refused")


def test_a_judge_that_is_down_leaves_the_gate_open(
    tmp_path: Path, models: list[ScriptedModel]
) -> None:
    judge = JudgeSpec(endpoint="http://127.0.0.1:9/v1", model="down")
    folder, _ = planned(tmp_path, facts=60, judge=judge)
    result = job.run(folder, MemoryAnswers(), LlmJudge(Down()))
    gate = gate_of(result)
    assert gate.outcome is Outcome.INCONCLUSIVE
    assert "judged" in {c.name for c in gate.open()}
    summary = json.loads((result / "summary.json").read_text(encoding="utf-8"))
    assert summary["metrics"]["candidate"]["errors"]["value"] == 1.0


def test_the_regression_suite_is_asked_and_leaves_out_what_is_edited(tmp_path: Path) -> None:
    _, spec = planned(tmp_path, facts=3)
    suite = spec.suite()
    assert suite.clusters(Part.REGRESSION) == ("edit-05", "edit-06")
    assert suite.of(Part.REGRESSION, QuestionKind.CONFLICT)
    edited = spec.model_copy(update={"live": (unit(5),)})
    assert edited.suite().clusters(Part.REGRESSION) == ("edit-06",)
