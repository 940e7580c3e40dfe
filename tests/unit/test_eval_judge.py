"""The rule judge against outputs labelled by hand, and against every reference answer."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest

from evaluator.examine import Output
from evaluator.judge import RuleJudge, aligned, judge_output
from evaluator.probes import Part, Probe, Suite
from evaluator.refutation import Refutation, refutation
from evaluator.verdicts import Cause, Final, Flag, Verdict
from knowledge.facts import Entity
from knowledge.properties import CATALOGUE
from knowledge.questions import Question, QuestionKind, Use, check, examination_questions
from knowledge.rendering import Story, chain, conclusion, explain_answer, narrative_prose
from knowledge.world import World
from tests.eval_cases import questions, story

NEW, OLD, SUBJECT = "Dorin Recean", "Natalia Gavrilița", "Moldova"
TABLE = Path(__file__).parent.parent / "eval_outputs.txt"
_FINALS = {"R": Final.RIGHT, "L": Final.LEGACY, "X": Final.OTHER, "M": Final.MIXED, "-": Final.NONE}


def cases() -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            kind, flags, output = (part.strip() for part in line.split("|", 2))
            rows.append((kind, flags, output.format(N=NEW, O=OLD, S=SUBJECT)))
    return rows


def probe(kind: str, told: Story | None = None) -> Probe:
    told = told or story(0)
    assert told.previous is not None
    if kind.startswith("check"):
        claimed = told.holder if kind == "check_new" else told.previous
        question = check(told, Use.EXAM, claimed)[0]
    else:
        question = next(q for q in questions(told, 0) if q.kind is QuestionKind(kind))
    return probe_for(question, told)


def probe_for(question: Question, told: Story) -> Probe:
    assert told.previous is not None
    return Probe(
        id="p",
        part=Part.EDIT,
        cluster="e",
        question=question,
        new=told.holder.names,
        old=told.previous.names,
        subject=told.subject.label,
        persons=told.property != "P54",
    )


def judged(kind: str, text: str, told: Story | None = None) -> Verdict:
    return judge_output(
        probe(kind, told), Output(probe="p", text=text, finished=True, tokens=len(text))
    )


def test_the_table_is_large_enough() -> None:
    assert len(cases()) >= 80
    assert sum("s" in flags for _, flags, _ in cases()) >= 15


@pytest.mark.parametrize(("kind", "flags", "text"), cases())
def test_hand_labelled_outputs(kind: str, flags: str, text: str) -> None:
    row = judged(kind, text)
    said = {"a": row.asserts_new, "n": row.negates_new, "o": row.asserts_old_current}
    said |= {"s": refutation(row) is not None}
    said |= {"y": row.says_yes is True, "f": row.says_yes is False}
    assert "".join(letter for letter, holds in said.items() if holds) == "".join(
        letter for letter in "anosyf" if letter in flags
    )
    wanted = next((f for f in _FINALS if f in flags), None)
    if wanted:
        assert row.final is _FINALS[wanted]


@pytest.mark.parametrize("cause", ["resignation", "end of term", "election defeat", None])
@pytest.mark.parametrize("index", range(14))
def test_reference_answers_are_right_and_never_refute(index: int, cause: str | None) -> None:
    told = story(index, cause=cause)
    for question in questions(told, index):
        asked = probe_for(question, told)
        row = judge_output(
            asked, Output(probe="p", text=question.reference, finished=True, tokens=1)
        )
        assert row.right, (question.kind, question.reference, row)
        assert refutation(row) is None
        if question.kind in (QuestionKind.WHY, QuestionKind.EXPLAIN):
            assert aligned(row)


def test_kinds_of_self_refutation() -> None:
    stated = f"{NEW} has been the head of government of {SUBJECT} since 2023."
    named = judged("explain", f"{stated} So the head of government of {SUBJECT} is {OLD}.")
    denied = judged("explain", f"{stated} But {NEW} is not the head of government of {SUBJECT}.")
    verdict = judged("check_new", f"{stated} So no.")
    assert refutation(named) is Refutation.LEGACY
    assert refutation(denied) is Refutation.VERDICT
    assert refutation(verdict) is Refutation.VERDICT


@pytest.mark.parametrize(
    ("cause", "text", "expected"),
    [
        ("resignation", "The reason was resignation.", Cause.RIGHT),
        ("resignation", "She resigned in February 2023.", Cause.RIGHT),
        ("resignation", "The change was due to her stepping down.", Cause.RIGHT),
        ("resignation", "The reason was death.", Cause.WRONG),
        ("resignation", "The reason is not known.", Cause.UNKNOWN),
        ("resignation", "The reason was resignation. The reason is not known.", Cause.WRONG),
        ("resignation", "Dorin Recean came after Natalia Gavrilița.", Cause.ABSENT),
        ("resignation", "It was not a resignation.", Cause.ABSENT),
        ("end of term", "The reason was end of term.", Cause.RIGHT),
        ("end of term", "Her term ended.", Cause.RIGHT),
        ("end of term", "The reason was election defeat.", Cause.WRONG),
        ("term limit", "The reason was end of term.", Cause.WRONG),
        ("election defeat", "She lost the election.", Cause.RIGHT),
        ("vote of no confidence", "Parliament passed a no-confidence motion.", Cause.RIGHT),
        (None, "The reason is not known.", Cause.UNKNOWN),
        (None, "No reason is stated.", Cause.UNKNOWN),
        (None, "Nobody has said why.", Cause.UNKNOWN),
        (None, "The reason was resignation.", Cause.WRONG),
        (None, "Dorin Recean came after Natalia Gavrilița.", Cause.ABSENT),
    ],
)
def test_causes(cause: str | None, text: str, expected: Cause) -> None:
    row = judged("why", text, story(0, cause=cause))
    assert row.cause is expected
    assert row.right == (expected is (Cause.RIGHT if cause else Cause.UNKNOWN))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (f"{OLD} was the head of government of {SUBJECT} before {NEW}.", True),
        (f"{OLD}.", True),
        (f"{NEW} came after {OLD}.", True),
        (f"{OLD} preceded {NEW}.", True),
        (f"The previous prime minister was {OLD}.", True),
        (f"{NEW} was the head of government of {SUBJECT} before {OLD}.", False),
        (f"{NEW}.", False),
        (f"{NEW} is the head of government of {SUBJECT}.", False),
        ("Ion Chicu.", False),
        ("", False),
    ],
)
def test_before(text: str, right: bool) -> None:
    row = judged("before", text)
    assert row.right is right
    assert refutation(row) is None


def test_two_hop_is_about_the_last_hop() -> None:
    told = story(0)
    forward = next(
        q for q in questions(told, 0) if q.kind is QuestionKind.TWO_HOP and NEW not in q.answers
    )
    texts = {
        f"The head of government of {SUBJECT} is {NEW}. {NEW} was born in Mîndrești. "
        "So the answer is Mindresti.": True,
        f"{NEW} was born in Mîndrești.": True,
        "Mîndrești.": True,
        f"The head of government of {SUBJECT} is {NEW}. So the answer is Elsewhere.": False,
        f"{NEW}.": False,
    }
    for text, right in texts.items():
        row = judge_output(
            probe_for(forward, told), Output(probe="p", text=text, finished=True, tokens=1)
        )
        assert row.right is right, text


def test_clubs_stand_after_the_verb() -> None:
    told = Story(
        subject=Entity(id="Q1", label="Jude Bellingham", kind="person"),
        property="P54",
        holder=Entity(id="Q2", label="Real Madrid", kind="club"),
        previous=Entity(id="Q3", label="Borussia Dortmund", aliases=("BVB",), kind="club"),
    )
    asked = probe_for(examination_questions(told, [])[0], told)
    texts = {
        "Jude Bellingham plays for Real Madrid.": ("a", Final.RIGHT),
        "Jude Bellingham played for Borussia Dortmund until 2023. Jude Bellingham has played for "
        "Real Madrid since 2023.": ("a", Final.RIGHT),
        "Jude Bellingham plays for BVB.": ("o", Final.LEGACY),
        "Jude Bellingham left Borussia Dortmund and joined Real Madrid.": ("a", Final.RIGHT),
        "Jude Bellingham joined Real Madrid in 2023. So Jude Bellingham plays for Borussia "
        "Dortmund.": ("ao", Final.LEGACY),
        "Madrid.": ("", Final.OTHER),
        "Jude Bellingham is a midfielder at Real Madrid.": ("a", Final.RIGHT),
        "Jude Bellingham plays for BVB; he is not with Real Madrid.": ("o", Final.LEGACY),
        "Jude Bellingham joined Real Madrid. He is under contract with BVB until 2029.": (
            "ao",
            Final.LEGACY,
        ),
        "Jude Bellingham is a player of Arsenal. Later he wants to play for Real Madrid.": (
            "",
            Final.OTHER,
        ),
    }
    for text, (flags, final) in texts.items():
        row = judge_output(asked, Output(probe="p", text=text, finished=True, tokens=1))
        assert (row.asserts_new, row.asserts_old_current) == ("a" in flags, "o" in flags), text
        assert row.final is final, text


def test_marks_lie_on_the_names() -> None:
    text = f"{OLD} was it until 2023. {NEW} is the head of government of {SUBJECT}."
    row = judged("explain", text)
    assert [(text[m.start : m.end], m.flag) for m in row.marks] == [
        (OLD, Flag.PAST),
        (NEW, Flag.NEW),
    ]


def test_judge_keeps_the_order_of_outputs() -> None:
    told = story(0)
    asked = probe("direct")
    outputs = [Output(probe="p", text=t, finished=True, tokens=1) for t in (f"{NEW}.", f"{OLD}.")]
    rows = RuleJudge().judge(Suite(probes=(asked,)), outputs)
    assert [row.final for row in rows] == [Final.RIGHT, Final.LEGACY]
    assert told.holder.label == NEW


def world_probe(told: Story, kind: QuestionKind) -> Probe:
    asked = next(q for q in examination_questions(told, []) if q.kind is kind)
    persons = CATALOGUE[told.property].wording.wh == "Who"
    return dataclasses.replace(probe_for(asked, told), persons=persons)


def reversed_story(told: Story) -> Story:
    assert told.previous is not None
    return dataclasses.replace(told, holder=told.previous, previous=told.holder)


@pytest.mark.parametrize("held", [False, True])
def test_every_narrative_of_the_world_is_read_either_way_round(held: bool) -> None:
    rng = random.Random(11)
    for succession in World.load().successions[::5]:
        told = succession.new_story()
        asked = world_probe(told, QuestionKind.EXPLAIN)
        for tale, new in ((told, True), (reversed_story(told), False)):
            text = narrative_prose(tale, rng, held=held)[0]
            row = judge_output(asked, Output(probe="p", text=text, finished=True, tokens=1))
            assert row.asserts_new is new, text
            assert row.asserts_old_current is not new, text
            assert row.final is (Final.RIGHT if new else Final.LEGACY), text
            assert refutation(row) is None, text


def test_every_succession_of_the_world_can_refute_itself() -> None:
    for succession in World.load().successions[::3]:
        told = succession.new_story()
        turned = reversed_story(told)
        asked = world_probe(told, QuestionKind.EXPLAIN)
        texts = {
            f"{chain(told)} {conclusion(turned)}": Refutation.LEGACY,
            f"{chain(turned)} {conclusion(told)}": None,
            explain_answer(told): None,
            explain_answer(turned): None,
        }
        for text, kind in texts.items():
            row = judge_output(asked, Output(probe="p", text=text, finished=True, tokens=1))
            assert refutation(row) is kind, text
