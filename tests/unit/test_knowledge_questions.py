"""Wordings, surface forms and the values around them."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge import questions as ask
from knowledge.codec import from_json, to_json
from knowledge.edits import ConflictError, EditUnit, conflicts, freeze, live_units
from knowledge.facts import ChangeKind, Date, Entity, FactChange
from knowledge.properties import CATALOGUE, Tier
from knowledge.questions import Question, QuestionKind, Use
from knowledge.rendering import Hop, Story, narrative_prose
from knowledge.world import World

_STORY = Story(
    subject=Entity(id="Q1", label="Ruritania", kind="country"),
    property="P6",
    holder=Entity(id="Q3", label="Rupert Hentzau", aliases=("Count Hentzau",)),
    since=Date.parse("2024-05-07"),
    previous=Entity(id="Q2", label="Rudolf Rassendyll"),
    until=Date.parse("2024-04"),
    cause="resignation",
)


def _texts(use: Use) -> set[str]:
    made: list[Question] = []
    for story in [s.new_story() for s in World.load().successions[::9]]:
        for kind in (ask.direct, ask.cloze, ask.explain, ask.why, ask.before):
            made += kind(story, use)
        made += ask.check(story, use, story.holder)
        hop = Hop(forward=True, property="P19", value=Entity(id="Q9", label="Strelsau"))
        made += ask.two_hop(story, use, hop)
    return {q.text for q in made}


def test_wordings_of_the_three_uses_never_meet() -> None:
    train, exam, held = (_texts(use) for use in Use)
    assert train and exam and held
    assert not train & exam
    assert not (train | exam) & held


@pytest.mark.parametrize(
    "property_id", [p.id for p in CATALOGUE.values() if p.tier in (Tier.A, Tier.B)]
)
def test_every_watched_office_and_state_is_asked_about_in_its_own_words(property_id: str) -> None:
    story = replace(_STORY, property=property_id)
    train = {q.text for q in ask.training_questions(story)}
    exam = {q.text for q in ask.examination_questions(story, ())}
    plain = {re.sub(r"\W+", " ", text).lower() for text in train}
    assert not plain & {re.sub(r"\W+", " ", text).lower() for text in exam}
    short = (QuestionKind.DIRECT, QuestionKind.PARAPHRASE)
    for use, generic in ((Use.TRAIN, 4), (Use.EXAM, 5)):
        made = [*ask.direct(story, use), *ask.in_own_words(story, use)]
        texts = {q.text for q in made if q.kind in short}
        assert len(texts) == generic + 1, property_id
        assert not any("Rupert" in text for text in texts)


def test_the_eight_conflict_probes_differ_and_name_both() -> None:
    assert _STORY.previous
    probes = ask.conflict(_STORY, _STORY.previous)
    assert len({q.text for q in probes}) == 8
    for probe in probes:
        assert "Rupert Hentzau" in probe.text and "Rudolf Rassendyll" in probe.text


def test_before_asks_for_the_previous_holder_and_calls_nobody_legacy() -> None:
    for question in ask.before(_STORY, Use.EXAM):
        assert question.kind is QuestionKind.BEFORE
        assert question.answers == ("Rudolf Rassendyll",)
        assert question.legacy == ()


@given(st.integers(0, 10_000))
def test_prose_tells_only_the_dates_that_stand_in_it(seed: int) -> None:
    prose, told = narrative_prose(_STORY, random.Random(seed))
    for date in (told.since, told.until):
        assert date is None or date.text() in prose
    assert "Rupert Hentzau" in prose and "Rudolf Rassendyll" in prose


@given(st.dates(), st.sampled_from([4, 7, 10]))
def test_dates_round_trip_at_every_precision(day: object, length: int) -> None:
    text = str(day)[:length]
    date = Date.parse(text)
    assert date.iso() == text
    assert Date.from_wikibase(date.to_wikibase(), date.precision) == date
    assert date.earliest() <= date.latest()


@pytest.mark.parametrize("text", ["2024-13", "2024-02-30", "May 2024", "24-5", ""])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Date.parse(text)


def _unit(unit_id: str, new: str) -> EditUnit:
    change = FactChange(
        subject=_STORY.subject,
        property="P6",
        old=_STORY.previous,
        new=Entity(id=new, label=new),
        kind=ChangeKind.SUCCESSION,
    )
    return EditUnit(
        id=unit_id, change=change, narrative=None, questions=tuple(ask.direct(_STORY, Use.TRAIN))
    )


def test_contradicting_units_are_never_frozen_together() -> None:
    first, second = _unit("a", "Q3"), _unit("b", "Q4")
    assert conflicts([first, second]) == [(first, second)]
    with pytest.raises(ConflictError, match="units a and b"):
        freeze([second, first])


def test_a_later_unit_of_a_fact_supersedes_the_earlier() -> None:
    first, second = _unit("a", "Q3"), _unit("b", "Q4")
    assert live_units([first, second]) == [second]


def test_a_unit_round_trips_and_keeps_its_digest() -> None:
    unit = _unit("a", "Q3")
    again = from_json(EditUnit, to_json(unit))
    assert again == unit
    assert again.digest == unit.digest
