"""MQuAKE records as edit sets: order, batches, questions; and what is missing is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.bench.mquake_sets import (
    NoArticles,
    batches,
    check_articles,
    file_cases,
    record_case,
    record_units,
    select,
)
from evaluator.evaluation import evaluate
from evaluator.metrics import Metric
from evaluator.probes import Part, build_suite
from knowledge.mquake import Record, loads, write_records
from knowledge.questions import QuestionKind, Use
from tests.eval_cases import ScriptedModel
from trainer.teacher import context_of

SAMPLE = Path(__file__).resolve().parents[3] / "shared/data/mquake/mquake-cf-sample.json"


def record(number: int, *edits: tuple[str, str], hops: int = 2, article: str = "") -> Record:
    """A record of edits (subject, new holder) of P6, with so many hops."""
    rewrites = [
        {
            "prompt": "{} is led by",
            "relation_id": "P6",
            "target_new": {"str": new, "id": f"Q{len(new)}"},
            "target_true": {"str": "Old", "id": "Q1"},
            "subject": subject,
            "question": f"Who leads {subject}?",
            **({"article": article} if article else {}),
            "learning_prompt": [{"question": "Which seat?", "answer": f"{new}'s seat."}],
        }
        for subject, new in edits
    ]
    hop = {"question": "q", "cloze": "c", "answer": edits[0][1], "answer_alias": ["Alias"]}
    data = {
        "case_id": number,
        "requested_rewrite": rewrites,
        "questions": [f"Where was the leader of {edits[0][0]} born?"] * 3,
        "answer": "Rome",
        "new_answer": "Paris",
        "new_answer_alias": ["City of Light"],
        "new_single_hops": [hop] * hops,
    }
    return Record.model_validate(data)


def ids(groups: list[list[Record]]) -> list[list[int]]:
    return [[r.case_id for r in group] for group in groups]


def test_records_come_in_turn_over_their_numbers_of_hops() -> None:
    records = [record(i, (f"S{i}", "N"), hops=2 + i % 3) for i in range(12)]
    chosen = select(records, hop=None, seed=70)
    assert [len(r.new_single_hops) for r in chosen] == [2, 3, 4] * 4
    assert [r.case_id for r in chosen] == [r.case_id for r in select(records, hop=None, seed=70)]
    assert {len(r.new_single_hops) for r in select(records, hop=3, seed=70)} == {3}
    assert select(records, hop=None, seed=70, most=5, skip=2) == chosen[2:5]
    assert select(records, hop=9, seed=70) == []


def test_a_batch_holds_whole_cases_and_no_contradiction() -> None:
    shared = [record(1, ("A", "x"), ("B", "y")), record(2, ("B", "y"), ("C", "z"))]
    other = [record(3, ("D", "w")), record(4, ("A", "other")), record(5, ("E", "v"))]
    assert ids(batches([*shared, *other], 4)) == [[1, 2, 3], [4, 5]]
    assert ids(batches(shared, 2)) == [[1], [2]]
    apart = [record(1, ("A", "x")), record(2, ("A", "y")), record(3, ("A", "y"), ("B", "z"))]
    assert ids(batches(apart, 2)) == [[1], [2, 3]]
    with pytest.raises(ValueError, match="case 3 has 2 edits, more than --batch-edit 1"):
        batches(apart, 1)


def test_questions_of_training_and_examination_share_no_wording() -> None:
    (unit,) = record_units(record(1, ("A", "x"), article="News."))
    train = {q.text for q in unit.asked(Use.TRAIN)}
    asked = unit.asked(Use.EXAM)
    assert not train & {q.text for q in asked}
    assert sum(q.kind is QuestionKind.CONFLICT for q in asked) == 8
    multi = [q for q in asked if q.kind is QuestionKind.TWO_HOP]
    assert multi[0].answers == ("Paris", "City of Light")
    assert "Alias" in next(q for q in asked if q.kind is QuestionKind.DIRECT).answers
    assert unit.narrative and unit.narrative.prose == "News."
    assert {q.item for q in unit.questions} == {unit.slot}


def test_edits_that_cases_share_are_trained_once() -> None:
    case = record_case("f", [record(1, ("A", "x")), record(2, ("A", "x"), ("B", "y"))])
    assert len(case.units) == 2
    assert len(case.suite.clusters(Part.EDIT)) == 2


def test_a_fact_that_cases_share_keeps_its_article_and_the_questions_of_all() -> None:
    first = record(1, ("A", "x"), article="News.")
    second = record(2, ("A", "x"))
    second.questions = ["Which town is the leader of A from?"]
    second.new_single_hops[0].answer_alias = ["Other"]
    (unit,) = record_case("f", [first, second]).units
    assert unit.narrative is not None and unit.narrative.prose == "News."
    multi = [q.text for q in unit.asked(Use.EXAM) if q.kind is QuestionKind.TWO_HOP]
    assert multi == ["Where was the leader of A born?", "Which town is the leader of A from?"]
    direct = [q for q in unit.asked(Use.EXAM) if q.kind is QuestionKind.DIRECT]
    assert len(direct) == 1 and {"Alias", "Other"} <= set(direct[0].answers)
    assert unit.change.new is not None and set(unit.change.new.aliases) == {"Alias", "Other"}
    with pytest.raises(ValueError, match="case 1 and MQuAKE case 3 change label:A:P6 to x and to"):
        record_case("f", [first, record(3, ("A", "y"))])


def test_no_rationale_is_judged_where_the_cause_stands_in_prose_alone() -> None:
    (unit,) = record_units(record(1, ("A", "Nora"), article="Old resigned."))
    examined = build_suite([unit])
    said = {q.text: "Old resigned, so Nora leads A now." for q in unit.asked(Use.EXAM)}
    found = evaluate(ScriptedModel("m", said), examined, tasks=()).metrics
    assert found[Metric.RATIONALE].value is None
    assert found[Metric.H_ACC].n == 1


def test_records_without_articles_name_the_method_that_needs_none(tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    write_records(path, [record(7, ("A", "x"))])
    with pytest.raises(NoArticles, match=r"case 7 has an edit without `article`.*code-noncausal"):
        file_cases(path)
    (case,) = file_cases(path, articles=False)
    assert case.units[0].narrative is None
    check_articles([record(8, ("A", "x"), article="News.")], path)


def test_the_recorded_sample_is_an_edit_set() -> None:
    if not SAMPLE.exists():
        pytest.skip(f"recorded MQuAKE sample not found at {SAMPLE}")
    cases = file_cases(SAMPLE, batch=20, articles=False, most=60)
    assert all(len(case.units) <= 20 for case in cases)
    assert sum(len(case.units) for case in cases) > 100
    assert loads(SAMPLE.read_bytes())


def test_an_edit_of_any_property_has_a_context_without_a_cause() -> None:
    plain = record(1, ("A", "x"))
    odd = plain.model_copy(deep=True)
    odd.requested_rewrite[0].relation_id = "P140"
    told = [context_of(record_units(r)[0], causal=False) for r in (plain, odd)]
    assert told[0] == "Old was the head of government of A. Now x is the head of government of A."
    assert told[1] == "Who leads A? It was Old. Now it is x."
