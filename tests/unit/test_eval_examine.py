"""Suites, the examination pass, stored answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.errors import EvaluatorError, Permanent, SuiteError
from evaluator.examine import examine
from evaluator.probes import Part, Suite, build_suite
from evaluator.stores import AnswerStore, FileAnswers, FileJudgements, MemoryAnswers
from knowledge.codec import from_json, to_json
from knowledge.edits import EditUnit
from knowledge.model import Chat, Generation, Sampling
from knowledge.questions import QuestionKind
from tests.eval_cases import ScriptedModel, fact, knowing, suite, unit


def test_a_suite_has_a_stable_digest_and_a_json_form() -> None:
    first, second = suite(3, live=(5,)), suite(3, live=(5,))
    assert first.digest == second.digest
    assert first.digest != suite(4, live=(5,)).digest
    assert from_json(Suite, to_json(first)).digest == first.digest


def test_parts_of_a_suite() -> None:
    examined = suite(2, live=(5,), facts=4)
    assert examined.clusters(Part.EDIT) == ("edit-00", "edit-01")
    kinds = {p.kind for p in examined.of(Part.RETENTION)}
    assert kinds == {QuestionKind.DIRECT, QuestionKind.PARAPHRASE, QuestionKind.CONFLICT}
    assert len(examined.of(Part.RETENTION, QuestionKind.CONFLICT)) == 2
    assert len(examined.of(Part.EDIT, QuestionKind.CONFLICT)) == 16
    assert len(examined.of(Part.NEIGHBOUR)) == len(examined.of(Part.UNRELATED)) == 4


def test_superseded_units_and_edited_slots_are_left_out() -> None:
    earlier = unit(0, name="edit-earlier")
    about_edit = fact(1)
    moved = type(about_edit)(
        kind=QuestionKind.UNRELATED,
        use=about_edit.use,
        text="Who heads Moldova?",
        answers=("X",),
        reference="X.",
        item=unit(0).slot,
    )
    examined = build_suite([unit(0)], [earlier], [], [moved, about_edit])
    assert not examined.of(Part.RETENTION)
    assert len(examined.of(Part.UNRELATED)) == 1


def test_a_unit_without_questions_is_refused() -> None:
    bare = unit(0)
    empty = EditUnit(id="bare", change=bare.change, narrative=None, questions=())
    with pytest.raises(SuiteError, match="bare has no examination questions"):
        build_suite([empty])


@pytest.mark.parametrize("store", ["memory", "file"])
def test_answers_are_never_computed_twice(store: str, tmp_path: Path) -> None:
    examined = suite(3)

    def open_store() -> AnswerStore:
        return FileAnswers(tmp_path / "answers.jsonl") if store == "file" else kept

    kept = MemoryAnswers()
    model = knowing(examined)
    told: list[tuple[int, int]] = []
    outputs = examine(model, examined, answers=open_store(), progress=lambda *at: told.append(at))
    assert len(model.asked) == len(set(model.asked))
    assert told[-1][0] == told[-1][1] == len(set(model.asked))
    again = knowing(examined)
    assert examine(again, examined, answers=open_store()) == outputs
    assert again.asked == []
    other = knowing(examined, digest="other")
    examine(other, examined, answers=open_store())
    assert len(other.asked) == len(model.asked)


def test_outputs_stand_in_the_order_of_the_suite() -> None:
    examined = suite(2)
    outputs = examine(knowing(examined), examined)
    assert [o.probe for o in outputs] == [p.id for p in examined.probes]
    assert [o.text for o in outputs] == [p.question.reference for p in examined.probes]


def test_an_engine_that_loses_answers_is_told() -> None:
    class Lossy(ScriptedModel):
        def generate(self, chats: list[Chat], sampling: Sampling) -> list[list[Generation]]:  # type: ignore[override]
            return super().generate(chats, sampling)[:-1]

    examined = suite(1)
    with pytest.raises(EvaluatorError, match="nothing of this batch was stored"):
        examine(Lossy("lossy", {}), examined)


def test_a_torn_last_line_is_forgotten_and_a_broken_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "judgements.jsonl"
    FileJudgements(path).put("a", "1")
    with path.open("a") as handle:
        handle.write('["b", "2')
    store = FileJudgements(path)
    assert (store.get("a"), store.get("b")) == ("1", None)
    store.put("c", "3")
    assert FileJudgements(path).get("c") == "3"
    path.write_text('["a"\n["b", "2"]\n')
    with pytest.raises(Permanent, match="line 1"):
        FileJudgements(path)
