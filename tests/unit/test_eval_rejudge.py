"""Result folders that exist are judged again: ours, and the reference implementation's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.jobs.replay import replay
from evaluator.errors import SuiteError
from evaluator.evaluation import evaluate
from evaluator.gate import Outcome, decide
from evaluator.judge import RuleJudge
from evaluator.llm import LlmJudge
from evaluator.policy import shipped
from evaluator.probes import Part
from evaluator.rejudge import folder_of, judge_results, read_results, write_judged
from evaluator.report import Report, write_report
from evaluator.stores import FileJudgements
from knowledge.questions import QuestionKind
from tests.eval_cases import knowing, outdated, suite

NEW, OLD = "Dorin Recean", "Natalia Gavrilița"
ROLE = "head of government of Moldova"


def said(pred: str, *ref: str, prompt: str = f"Who is the {ROLE}?") -> dict[str, Any]:
    return {"prompt": prompt, "ref": list(ref or (NEW,)), "pred": pred}


def case(number: int, hop: list[str], multi: list[str], conflict: list[str]) -> dict[str, Any]:
    rewrite = {
        "subject": "Moldova",
        "relation_id": "P6",
        "prompt": "The head of government of {} is",
        "question": f"Who is the {ROLE}?",
        "target_true": {"str": OLD},
        "target_new": NEW,
        "article": "Natalia Gavrilița announced her resignation.",
    }
    other = [said(p, "Mîndrești", prompt="Where was he born?") for p in ("Mîndrești.", "X.", "Y.")]
    return {
        "case_id": number,
        "requested_rewrite": [rewrite],
        "post": {
            "hop_wise_pred": [[said(p) for p in hop], other],
            "accuracy_pred": [said(p, "Mîndrești") for p in multi],
            "conflict_probe": [said(p) for p in conflict],
            "old_knowledge_probe": [said(f"{OLD}.", OLD, prompt="Who was it before?")] * 2,
            "causal_enhanced_hop_wise_pred": [[said("ignored")]],
        },
    }


REFUTES = f"{NEW} is the {ROLE}. No, {NEW} is not the {ROLE}. It is {OLD}."
CASES = [
    case(1, [f"{NEW}."] * 3, ["Mîndrești."] * 3, [f"{NEW}."] * 8),
    case(2, [f"{NEW}.", f"{OLD}.", f"{OLD}."], ["X.", "X.", "Mîndrești."], [REFUTES] * 8),
    case(3, [f"{OLD}."] * 3, ["X."] * 3, [f"{OLD}."] * 8),
]


def test_the_references_figures_are_counted_by_its_rules(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(CASES), encoding="utf-8")
    results = read_results(tmp_path)
    assert len(results.outputs) == 3 * (3 + 3 + 3 + 8 + 2)
    rows, summary = judge_results(results, RuleJudge(), refute=True, why=True)
    reference = summary["reference"]
    assert reference["total_cases"] == 3
    # hop-wise: the edited hop 1, 1/3, 0; the other hop 1/3 each
    expected = ((1 + 1 / 3) / 2 + (1 / 3 + 1 / 3) / 2 + (0 + 1 / 3) / 2) / 3
    assert reference["overall_hop_wise_average"] == pytest.approx(expected)
    assert reference["accuracy_averages"]["qa"] == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert reference["any_right_accuracy"] == pytest.approx(2 / 3)
    found = reference["self_refutation"]
    assert found["Combined (any source), among recalled hop-wise"] == {
        "rate": 0.5,
        "edits": 2,
        "true": 1,
    }
    assert found["By hop_wise_pred only"]["true"] == 0
    assert found["By conflict_probe only"] == {"rate": pytest.approx(1 / 3), "edits": 3, "true": 1}
    assert summary["almanac"]["before"]["value"] == 1.0
    assert summary["errors"] == 0
    written = write_judged(folder_of(tmp_path), rows, summary)
    assert written == tmp_path / "judged" / "summary.json"
    lines = (tmp_path / "judged" / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(rows)


def test_what_was_not_asked_for_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(CASES), encoding="utf-8")
    _, summary = judge_results(read_results(tmp_path), RuleJudge(), refute=False, why=False)
    assert "self_refutation" not in summary["reference"]
    assert not [name for name in summary["almanac"] if name.startswith("srr")]
    assert "rationale" not in summary["almanac"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="name a result folder"):
        read_results(tmp_path)
    path = tmp_path / "metrics.json"
    path.write_text('{"a": 1}', encoding="utf-8")
    with pytest.raises(SuiteError, match="neither a report of Almanac"):
        read_results(path)
    broken = json.loads(json.dumps(CASES))
    del broken[1]["post"]["conflict_probe"][0]["pred"]
    path.write_text(json.dumps(broken), encoding="utf-8")
    with pytest.raises(SuiteError, match="case 2 is not of the reference's"):
        read_results(path)


class Half:
    """An endpoint that is down after so many calls."""

    model = "half"

    def __init__(self, calls: int) -> None:
        self.left = calls
        self.asked = 0

    async def complete(self, system: str, user: str, schema: dict[str, Any]) -> str:
        from evaluator.errors import JudgeUnavailable

        if self.left <= 0:
            raise JudgeUnavailable("judge half did not answer: timeout")
        self.left -= 1
        self.asked += 1
        flags = dict.fromkeys(("asserts_new", "ends_affirming_new"), True)
        flags |= dict.fromkeys(("negates_new", "asserts_old_current", "hedged"), False)
        texts = {"final_answer": "right", "says": "neither", "cause": "absent"}
        return json.dumps({**flags, **texts, "self_refuting": False})


def test_a_judging_that_was_cut_off_asks_only_for_the_rest(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(CASES[:1]), encoding="utf-8")
    results = read_results(tmp_path)
    store = FileJudgements(tmp_path / "kept.jsonl")
    first = Half(4)
    _, cut = judge_results(
        results, LlmJudge(first, store=store, checked=0, parallel=1), refute=True, why=False
    )
    assert cut["errors"] > 0
    second = Half(1000)
    _, whole = judge_results(
        results,
        LlmJudge(second, store=FileJudgements(tmp_path / "kept.jsonl"), checked=0),
        refute=True,
        why=False,
    )
    assert whole["errors"] == 0
    distinct = len({(p.question.text, p.kind, o.text) for p, o in _pairs(results)})
    assert second.asked <= len(results.outputs) - first.asked
    assert first.asked + second.asked >= distinct
    assert whole["agreement_with_rules"]


def _pairs(results: Any) -> list[tuple[Any, Any]]:
    return list(zip(results.suite.probes, results.outputs, strict=True))


def test_our_own_folder_is_judged_again_and_replayed(tmp_path: Path) -> None:
    examined = suite(12)
    production = evaluate(outdated(examined), examined, tasks=())
    model = knowing(examined)
    for probe in examined.of(Part.EDIT, QuestionKind.CONFLICT):
        model.answers[probe.question.text] = f"It is {probe.new[0]}. No, it is {probe.old[0]}."
    candidate = evaluate(model, examined, production=production, tasks=())
    gate = decide(shipped("demo"), candidate, production)
    write_report(
        Report(title="r", suite=examined, candidate=candidate, production=production, gate=gate),
        tmp_path,
    )
    _, summary = judge_results(read_results(tmp_path), RuleJudge(), refute=True, why=True)
    again = summary["almanac"]["srr"]["value"]
    assert again == candidate.metrics[next(m for m in candidate.metrics if m == "srr")].value
    assert "reference" not in summary
    (tmp_path / "candidate.json").write_text(candidate.to_json(), encoding="utf-8")
    (tmp_path / "production.json").write_text(production.to_json(), encoding="utf-8")
    assert replay(tmp_path, shipped("demo")) == gate
    assert replay(tmp_path, shipped("default")).outcome is Outcome.FAIL
