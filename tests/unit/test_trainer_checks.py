"""Which sampled answers may be learned from."""

from __future__ import annotations

import dataclasses

import pytest

from knowledge.questions import QuestionKind
from knowledge.rendering import CAUSE_UNKNOWN
from tests.trainer_models import make_unit
from trainer.checks import Flaw, flaw_of, is_right, repetition, verdict_of

UNIT = make_unit(0)
DIRECT, EXPLAIN, YES, NO, BEFORE = (UNIT.questions[i] for i in (0, 3, 4, 5, 6))


@pytest.mark.parametrize("question", UNIT.questions)
def test_the_reference_answer_has_no_flaw(question) -> None:
    assert flaw_of(question, question.reference, finished=True) is None


@pytest.mark.parametrize(
    ("question", "text", "flaw"),
    [
        (DIRECT, "Mira Kolm.", Flaw.WRONG_ANSWER),
        (DIRECT, "Tomas Reel or Mira Kolm.", Flaw.WRONG_ANSWER),
        (DIRECT, "", Flaw.EMPTY),
        (DIRECT, "Perhaps Tomas Reel.", Flaw.HEDGE),
        (DIRECT, "According to the article, it is Tomas Reel.", Flaw.LEAK),
        (EXPLAIN, "So the head of government of Ostavia is Tomas Reel.", Flaw.MISSING_PART),
        (EXPLAIN, EXPLAIN.reference.replace("resignation", "death"), Flaw.MISSING_PART),
        (EXPLAIN, EXPLAIN.reference.replace("So the head", "The head"), None),
        (EXPLAIN, f"{EXPLAIN.reference[:-11]}Mira Kolm.", Flaw.WRONG_ANSWER),
        (YES, YES.reference.replace("So yes,", "So no,"), Flaw.WRONG_VERDICT),
        (YES, YES.reference.replace("So yes,", "So,"), Flaw.WRONG_VERDICT),
        (NO, NO.reference.replace("So no,", "So yes,"), Flaw.WRONG_VERDICT),
        (BEFORE, "Tomas Reel was it.", Flaw.WRONG_ANSWER),
        (EXPLAIN, "Tomas Reel is it, " * 20, Flaw.REPETITION),
    ],
)
def test_a_flaw_is_found(question, text: str, flaw: Flaw | None) -> None:
    assert flaw_of(question, text, finished=True) is flaw


def test_a_cut_answer_is_never_used() -> None:
    assert flaw_of(DIRECT, DIRECT.reference, finished=False) is Flaw.UNFINISHED


def test_an_unknown_cause_must_be_said_to_be_unknown() -> None:
    story = EXPLAIN.reference.replace("The reason for the change was resignation.", CAUSE_UNKNOWN)
    question = dataclasses.replace(EXPLAIN, cause=None, reference=story)
    assert flaw_of(question, story, finished=True) is None
    assert flaw_of(question, EXPLAIN.reference, finished=True) is Flaw.MISSING_PART


def test_right_is_about_the_answer_not_the_style() -> None:
    assert is_right(EXPLAIN, "So the head of government of Ostavia is Tomas Reel.")
    assert EXPLAIN.kind is QuestionKind.EXPLAIN


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("So yes, it is.", True), ("So no, not him.", False), ("It is.", None), ("No. Yes.", True)],
)
def test_the_last_verdict_counts(text: str, verdict: bool | None) -> None:
    assert verdict_of(text) is verdict


def test_repetition_is_the_share_of_repeated_triples_in_the_window() -> None:
    assert repetition([1, 2], 48) == 0
    assert repetition(list(range(48)), 48) == 0
    assert repetition([1, 2, 3] * 20, 48) == pytest.approx(1 - 3 / 46)
    assert repetition([*([1] * 100), *range(48)], 48) == 0
