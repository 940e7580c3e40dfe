"""The comparison of methods as a command: its folder, its resuming, its refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.bench import methods_cli
from daemon.bench.arms import InContext
from daemon.bench.case_runs import CaseRuns
from daemon.bench.edit_sets import EditCase
from daemon.bench.method_rows import gap_closed, rows_of
from daemon.bench.pooling import pool
from evaluator.metrics import Metric
from evaluator.probes import build_suite
from knowledge.mquake import Record, write_records
from knowledge.questions import Use
from tests.trainer_models import make_anchors, make_units, shared_base
from trainer.engines.transformers import TransformersEngine
from trainer.recipe import Method, load_recipe

_RECIPE = """
extends = "mini"
method = "static-lora"

[sft]
steps = 30
batch_rows = 2
"""


def _case() -> EditCase:
    """The tiny model's two edits; what it is trained with is also what it is asked."""
    import dataclasses

    def asked(unit):
        same = tuple(dataclasses.replace(q, use=Use.EXAM) for q in unit.questions)
        return dataclasses.replace(unit, questions=same)

    suite = build_suite([asked(unit) for unit in make_units()], unrelated=make_anchors())
    return EditCase(name="tiny", units=make_units(), anchors=make_anchors(), suite=suite)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record without an article: the prime minister of Ostavia."""
    path = tmp_path_factory.mktemp("mquake") / "cases.json"
    data = {
        "case_id": 1,
        "requested_rewrite": [
            {
                "prompt": "The head of government of {} is",
                "relation_id": "P6",
                "target_new": {"str": "Tomas Reel", "id": "Q2000000002"},
                "target_true": {"str": "Mira Kolm", "id": "Q2000000001"},
                "subject": "Ostavia",
                "question": "Who is the head of government of Ostavia?",
            }
        ],
        "questions": ["What is the capital of Ostavia?"],
        "answer": "Port Amber",
        "new_answer": "Port Amber",
        "new_single_hops": [{"question": "q", "answer": "Tomas Reel"}],
    }
    write_records(path, [Record.model_validate(data)])
    return path


def _command(file: Path, root: Path, *more: str) -> list[str]:
    recipe = root.parent / "mine.toml"
    recipe.write_text(_RECIPE)
    return [
        *("--method", "static-lora", "--datatype", str(file), "--base", str(shared_base())),
        *("--hparams_path", str(recipe), "--output_root", str(root), "--exp_tag", "try"),
        *("--shuffle_seed", "3", "--no-skills", *more),
    ]


def test_a_run_leaves_the_folder_that_users_know_and_is_not_done_twice(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "out"
    assert methods_cli.main(_command(file, root)) == 0
    name = shared_base().resolve().name
    folder = root / "cases" / name / "static-lora" / "tag-try" / "n1_seed3_run"
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert names == {
        "metrics.json",
        "res.json",
        "requests.json",
        "outputs.json",
        "table.html",
        "meta/run_args.json",
        "meta/run_info.json",
    }
    res = json.loads((folder / "res.json").read_text())
    assert res["total_cases"] == 1
    (case,) = json.loads((folder / "metrics.json").read_text())
    assert float(res["overall_hop_wise_average"]) == pytest.approx(
        sum(case["post"]["hop_wise"][0]) / len(case["post"]["hop_wise"][0])
    )
    assert json.loads((folder / "meta/run_info.json").read_text())["hparams"]["sft"]["steps"] == 30

    def never(*_: object) -> None:
        raise AssertionError("a kept case was trained again")

    monkeypatch.setattr("daemon.bench.case_runs.run_job", never)
    assert methods_cli.main(_command(file, root, "--run_id", "again")) == 0


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--method", "code", "--recipe", "mini"), "without `article`"),
        (("--method", "code"), "is of method static-lora, not code"),
        (("--method", "rome"), "there is no method 'rome'"),
        (("--hop", "4"), "no case is left"),
        (("--batch-edit", "91"), "takes 1 to 90"),
        (("--datatype", "nowhere.json"), "is no file of MQuAKE records"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more, complaint: str
) -> None:
    assert methods_cli.main(_command(file, tmp_path / "out", *more)) == 1
    said = capsys.readouterr().err
    assert said.startswith("almanac: ") and complaint in said
    assert len(said.splitlines()) == 1


def test_outcomes_are_pooled_and_stand_beside_the_teachers(tmp_path: Path) -> None:
    runs, case = CaseRuns(shared_base(), tmp_path, capability=False), _case()
    teacher = pool([runs.outcome(load_recipe("in-context"), case, 0)])
    code = pool([runs.outcome(load_recipe("mini"), case, seed) for seed in (0, 1)])
    assert teacher.metrics[Metric.EFFICACY].value == 1.0
    assert code.base[Metric.EFFICACY].value == 0.0
    assert (code.seeds, code.edits) == (2, 2)
    assert code.metrics[Metric.EFFICACY].value and code.metrics[Metric.EFFICACY].value >= 0.75
    rows = {r.what: r for r in rows_of({Method.CODE: code, Method.IN_CONTEXT: teacher})}
    assert rows["edits of the comparison"].value == 2
    assert not rows["edits of the comparison"].holds
    share = rows["code: h_acc, share of the gap to the teacher closed"]
    assert share.value is None and "2 of 3 seeds of code, value so far" in share.detail
    gone = gap_closed(Metric.H_ACC, code, teacher)
    assert gone is not None and gone >= 0.75
    assert rows["code against sdft: metrics significantly better"].value is None


def test_in_context_reads_the_narrative_of_the_edit_that_it_is_asked_about() -> None:
    engine = TransformersEngine.load(shared_base(), device="cpu")
    case = _case()
    model = InContext(engine.view(None), case)
    from knowledge.model import Sampling
    from knowledge.rendering import closed_book

    texts = [u.questions[0].text for u in case.units]
    found = model.generate([closed_book(t) for t in texts], Sampling())
    assert [row[0].text for row in found] == ["Tomas Reel.", "Lea Varga."]
    assert model.digest != engine.digest
