"""Judges held against labels: the format, the counts, the two halves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.bench import eval_judge
from daemon.bench.eval_endpoint import FAULTS, endpoint_rows
from daemon.bench.eval_statistics import interval_rows, table_row
from evaluator.calibration import (
    Half,
    LabelledOutput,
    confusions,
    judged,
    load_labelled,
    of_labels,
    of_verdict,
)
from evaluator.errors import SuiteError
from evaluator.judge import RuleJudge
from tests.eval_cases import suite

LABELLED = Path(__file__).resolve().parents[1] / "data" / "judge"
PLAIN = {
    "asserts_new": True,
    "negates_new": False,
    "asserts_old_current": False,
    "final": "new",
    "self_refuting": False,
    "cause_label": "absent",
    "hedged": False,
}


def case(number: int, output: str, **labels: object) -> str:
    row = {
        "id": f"x{number}",
        "kind": "direct",
        "subject": "Moldova",
        "role": "the head of government of Moldova",
        "question": "Who is the head of government of Moldova?",
        "new": ["Dorin Recean"],
        "old": ["Natalia Gavrilița"],
        "persons": True,
        "cause": "resignation",
        "output": output,
        "labels": PLAIN | labels,
        "style": "prose",
        "adversarial": False,
        "blind": True,
    }
    return json.dumps(row)


def read(tmp_path: Path, *lines: str) -> list[LabelledOutput]:
    path = tmp_path / "labelled.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return load_labelled(path)


def test_counts_of_a_flag(tmp_path: Path) -> None:
    old = {"asserts_new": False, "asserts_old_current": True, "final": "old"}
    outputs = read(
        tmp_path,
        case(1, "Dorin Recean."),
        case(2, "Natalia Gavrilița."),
        case(3, "Natalia Gavrilița.", **old),
        case(4, "Dorin Recean.", **old),
    )
    assert [o.half for o in outputs[:2]] == [Half.DEVELOPMENT, Half.REPORT]
    rows = judged(RuleJudge(), outputs)
    pairs = [(of_verdict(r), of_labels(o.labels)) for r, o in zip(rows, outputs, strict=True)]
    found = {c.flag: c for c in confusions(pairs)}
    asserts = found["asserts_new"]
    assert (asserts.both, asserts.judge_only, asserts.label_only, asserts.neither) == (1, 1, 1, 1)
    assert (asserts.precision, asserts.recall, asserts.worst) == (0.5, 0.5, 0.5)
    assert found["negates_new"].worst is None
    assert found["final old"].both == 1


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="line 2: kind"):
        read(tmp_path, case(1, "x"), case(2, "x").replace('"direct"', '"oblique"'))


def test_the_labelled_files_can_be_read_and_have_two_halves() -> None:
    outputs = eval_judge.labelled(LABELLED)
    assert len({o.id for o in outputs}) == len(outputs) >= 210
    halves = [sum(o.half is half for o in outputs) for half in Half]
    assert abs(halves[0] - halves[1]) <= 2
    for one in outputs:
        refuting = one.labels.self_refuting
        assert not refuting or one.labels.asserts_new, one.id
        assert not refuting or one.labels.final != "new", one.id


def test_the_matrices_in_the_repository_are_those_of_the_judge() -> None:
    written = json.loads((LABELLED / eval_judge.MATRICES).read_text(encoding="utf-8"))
    assert written == eval_judge.matrix_data(LABELLED)


def test_rows_of_the_bench() -> None:
    assert table_row().holds
    assert all(row.holds for row in interval_rows(40))


def test_no_endpoint_changes_a_metric_silently() -> None:
    rows = endpoint_rows(suite(3), edits=1)
    assert len(rows) == 1 + len(FAULTS)
    assert all(row.holds for row in rows), [row.what for row in rows if not row.holds]
