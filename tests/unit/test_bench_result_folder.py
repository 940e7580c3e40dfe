"""The result folder of a run of methods carries its gold answers, so that any judge can read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.bench.case_runs import Outcome
from daemon.bench.edit_sets import EditCase
from daemon.bench.result_folder import write_results
from evaluator.errors import SuiteError
from evaluator.evaluation import evaluate
from evaluator.judge import RuleJudge
from evaluator.metrics import Metric
from evaluator.rejudge import judge_results, read_results
from tests.eval_cases import knowing, outdated, suite


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    asked = suite(2)
    before = evaluate(outdated(asked), asked, tasks=())
    after = evaluate(knowing(asked), asked, production=before, tasks=())
    cases = [EditCase(name=name, units=(), anchors=(), suite=asked) for name in ("a", "b")]
    outcomes = [
        Outcome(
            case=name,
            method="code",
            recipe="embedded",
            seed=0,
            train_s=1.0,
            sampled_tokens=0,
            manifest={},
            evaluation=judged,
            before=before,
        )
        for name, judged in (("a", after), ("b", before))
    ]
    return write_results(tmp_path / "run", cases, outcomes, arguments={}, info={})


def test_a_run_of_methods_is_judged_again_with_its_gold_answers(folder: Path) -> None:
    results = read_results(folder)
    one = len(suite(2).probes)
    assert len(results.outputs) == len(results.production) == 2 * one
    rows, summary = judge_results(results, RuleJudge(), refute=True, why=True)
    assert len({row.cluster.split("/")[0] for row in rows}) == 2
    assert summary["almanac"][Metric.EFFICACY.value]["value"] == 0.5
    assert summary["almanac"][Metric.LOCALITY.value]["value"] == 1.0


def test_a_file_of_outputs_that_is_cut_is_told(folder: Path) -> None:
    path = folder / "outputs.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    del data["suite"]["probes"][0]["question"]
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(SuiteError, match="not whole"):
        read_results(folder)
