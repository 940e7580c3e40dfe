"""What bench-embedded asks, and that a right answer is judged right in every style and reading."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.bench import (
    embedded_free,
    embedded_pathology,
    embedded_record,
    embedded_snapshot,
)
from daemon.bench.embedded_cases import HELD, OWN, STYLES, Case, Cases, asked, share
from daemon.bench.rows import Op, Row
from knowledge.model import Chat, Generation, Likelihood, Sampling
from knowledge.questions import QuestionKind, Use
from knowledge.rendering import held_texts
from knowledge.world import Split, World
from trainer.embedded import WEIGHTS
from trainer.embedded.corpus import Corpus
from trainer.fingerprint import base_digest


class Oracle:
    """A model that gives each case's reference answer, or one and the same answer to all."""

    digest = "oracle"

    def __init__(self, cases: Sequence[Case], always: str | None = None) -> None:
        self.known = {case.chat: always or case.probe.question.reference for case in cases}
        self.asked = 0

    def generate(self, chats: Sequence[Chat], sampling: Sampling) -> list[list[Generation]]:
        self.asked += len(chats)
        return [[Generation(text=self.known[chat], finished=True, tokens=1)] for chat in chats]

    def loglikelihood(self, requests: Sequence[tuple[Chat, str]]) -> list[Likelihood]:
        raise NotImplementedError


@pytest.fixture(scope="module")
def cases() -> Cases:
    return Cases(Corpus(World.load()), lambda name: len(name) // 4)


@pytest.mark.parametrize("reading", [OWN, *HELD.values()], ids=["own", *HELD])
def test_the_reference_is_judged_right(cases: Cases, reading: object) -> None:
    rng = random.Random(3)
    drawn = [
        cases.open_book(style, reading, draw, rng)  # pyright: ignore
        for style in STYLES
        for draw in (cases.in_world_public, *(() if style == "two-hop" else (cases.unseen,)))
        for _ in range(25)
    ]
    judged = asked(Oracle(drawn), drawn)
    wrong = [(j.case.article, j.case.probe.question.text, j.text) for j in judged if not j.right]
    assert share(judged) >= 99, wrong[:3]
    assert share(asked(Oracle(drawn, "I could not say."), drawn)) == 0


def test_closed_book_and_off_topic_references_are_judged_right(cases: Cases) -> None:
    rng = random.Random(4)
    closed = [cases.closed_book(style, rng) for style in STYLES for _ in range(25)]
    off = [cases.off_topic(style, rng) for style in STYLES for _ in range(10)]
    assert share(asked(Oracle(closed), closed)) >= 99
    assert share(asked(Oracle(off), off)) >= 99
    assert all(case.article and case.probe.subject not in case.article for case in off)


def test_held_out_readings_use_held_out_constructions_and_wordings(cases: Cases) -> None:
    rng = random.Random(5)
    drawn = [cases.open_book("short", HELD["both"], cases.in_world, rng) for _ in range(20)]
    assert all(case.probe.question.use is Use.HELD for case in drawn)
    assert all(any(text in case.article for text in held_texts()) for case in drawn)
    plain = [cases.open_book("short", OWN, cases.in_world, rng) for _ in range(20)]
    assert not any(text in case.article for case in plain for text in held_texts())


def test_equal_chats_are_asked_once(cases: Cases) -> None:
    case = cases.closed_book("short", random.Random(6))
    oracle = Oracle([case])
    assert len(asked(oracle, [case, case, case])) == 3
    assert oracle.asked == 1


def test_free_articles_are_read_and_judged() -> None:
    for name, articles, questions in (("test", 60, 300), ("dev", 30, 150)):
        read = embedded_free.read(embedded_free.FOLDER / f"free-{name}.jsonl")
        assert len({q.article for q in read}) == articles
        assert len(read) >= questions
    by_kind = {q.kind: q for q in read}
    for kind, right, wrong in (
        ("short", "Imogen Tattersall.", "Hartwig Fischer."),
        ("before", "Hartwig Fischer.", "Imogen Tattersall."),
    ):
        question = next(q for q in read if q.kind == kind)
        assert _right(question, right), by_kind[kind]
        assert not _right(question, wrong)
    check = next(q for q in read if q.kind == "check")
    assert _right(check, "Imogen Tattersall is the director. So no, not Hartwig Fischer.")
    assert not _right(check, "Hartwig Fischer is the director. So yes.")
    why = next(q for q in read if q.kind == "why")
    assert _right(why, "The reason was missing gems.")
    assert not _right(why, "The reason was a storm.")


def _right(question: embedded_free.FreeQuestion, answer: str) -> bool:
    found = embedded_free.answered(Oracle(question.cases, answer), [question])
    return any(judged.right for judged in found[0])


def test_the_committed_test_articles_are_the_ones_that_were_written() -> None:
    assert embedded_free.digest() == embedded_free.DIGEST


def test_snapshot_rows_become_stories(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"uniq_id": 1, "subject": "Q1", "subject_label": "Ruritania", "property": "P6", '
        '"kind": "current", "template": "Who?", "answers": '
        '{"Dec2021": [{"id": "Q2", "label": "Rudolf Rassendyll"}], '
        '"Dec2023": [{"id": "Q3", "label": "Rupert Hentzau"}]}}\n'
        '{"uniq_id": 2, "subject": "Q1", "subject_label": "Ruritania", "property": "P6", '
        '"kind": "previous", "template": "Who?", "answers": {"Dec2021": [], "Dec2023": []}}\n',
        encoding="utf-8",
    )
    (story,) = embedded_snapshot.read(rows)
    assert story.subject.label == "Ruritania" and story.since and story.since.year == 2023
    assert story.holder.label == "Rupert Hentzau"
    assert story.previous and story.previous.label == "Rudolf Rassendyll"


def test_the_edits_of_the_pathology_are_whole_units() -> None:
    units = embedded_pathology.edit_units(Split.TUNE, 12)
    assert len({unit.slot for unit in units}) == 12
    for unit in units:
        assert unit.narrative and unit.story().holder.label in unit.narrative.prose
        kinds = {q.kind for q in unit.asked(Use.EXAM)}
        assert {QuestionKind.DIRECT, QuestionKind.CHECK, QuestionKind.CONFLICT} <= kinds


def test_scores_are_compared_with_those_of_the_same_weights_alone(tmp_path: Path) -> None:
    rows = [Row(what="recall", value=98.0, unit="%", bar=99, op=Op.AT_LEAST)]
    scores = tmp_path / "scores.json"
    scores.write_text(
        json.dumps({"weights": base_digest(WEIGHTS), "scores": {"recall": 98.7}}), encoding="utf-8"
    )
    found = embedded_record.reproduced(rows, WEIGHTS, quick=False, scores=scores)
    assert found.value == 0.7 and not found.holds
    scores.write_text(
        json.dumps({"weights": "other", "scores": {"recall": 98.0}}), encoding="utf-8"
    )
    assert embedded_record.reproduced(rows, WEIGHTS, quick=False, scores=scores).value is None
    missing = embedded_record.reproduced(rows, WEIGHTS, quick=False, scores=tmp_path / "none.json")
    assert missing.value is None and "embedded_record" in missing.detail
