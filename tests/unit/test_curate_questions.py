"""Questions of a unit: complete, disjoint, and only about what has one answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from agents.drafting.draft import DraftRequest
from agents.drafting.template import write
from agents.evidence.extract import extract
from agents.questions import (
    Neighbour,
    build_questions,
    build_unit,
    false_names,
    hops_of,
    unit_id,
)
from daemon.bench.curator_wiki import GAVRILITA, MOLDOVA, RECEAN, Wiki, moldova
from knowledge.facts import Entity
from knowledge.questions import Question, QuestionKind, Use

LATVIA = Neighbour(
    subject=Entity(id="Q211", label="Latvia", kind="country"),
    property="P6",
    holder=Entity(id="Q1", label="Evika Siliņa", kind="person"),
)


ESTONIA = Neighbour(
    subject=Entity(id="Q191", label="Estonia", kind="country"),
    property="P6",
    holder=Entity(id="Q5", label="Kristen Michal", kind="person"),
)


def asked(wiki: Wiki, change, neighbours=(LATVIA, ESTONIA)) -> tuple[Question, ...]:
    dossier = asyncio.run(wiki.source().gather(change))
    made = write(DraftRequest(change=dossier.change, extraction=extract(dossier)))
    others = false_names(dossier.change, neighbours, 1)
    return build_questions(dossier.change, made, hops_of(dossier), neighbours, others, turned=True)


def test_every_kind_is_asked_and_no_wording_twice() -> None:
    questions = asked(*moldova())
    train = {q.text for q in questions if q.use is Use.TRAIN}
    exam = {q.text for q in questions if q.use is Use.EXAM}
    assert not train & exam
    kinds = {q.kind for q in questions if q.use is Use.EXAM}
    assert kinds == set(QuestionKind) - {QuestionKind.UNRELATED}
    taught = {q.kind for q in questions if q.use is Use.TRAIN}
    assert not taught & {QuestionKind.TWO_HOP, QuestionKind.REVERSE}
    assert {q.kind for q in questions if q.use is Use.TRAIN} >= {
        QuestionKind.DIRECT,
        QuestionKind.NEIGHBOUR,
        QuestionKind.CHECK,
        QuestionKind.BEFORE,
    }


def test_neighbours_that_anchor_the_training_are_not_examined() -> None:
    found = [q for q in asked(*moldova()) if q.kind is QuestionKind.NEIGHBOUR]
    assert {(q.use, q.item) for q in found} == {(Use.TRAIN, "Q211:P6"), (Use.EXAM, "Q191:P6")}
    holders = {"Q211:P6": ("Evika Siliņa",), "Q191:P6": ("Kristen Michal",)}
    assert all(q.answers == holders[q.item] and not q.legacy for q in found)


def test_a_false_claim_names_a_neighbours_holder() -> None:
    checks = [q for q in asked(*moldova()) if q.kind is QuestionKind.CHECK and q.use is Use.TRAIN]
    assert {q.claimed: q.verdict for q in checks} == {
        "Dorin Recean": True,
        "Natalia Gavrilița": False,
        "Evika Siliņa": False,
    }


def test_hops_take_single_values_and_say_what_the_answer_was() -> None:
    wiki, change = moldova()
    dossier = asyncio.run(wiki.source().gather(change))
    hops = {(h.forward, h.property): (h.value.label, legacy) for h, legacy in hops_of(dossier)}
    # citizenship is left out: its answer, Moldova, stands in the question
    assert hops == {
        (True, "P19"): ("Dondușeni", ("Mălăiești",)),
        (False, "P36"): ("Chișinău", ("Natalia Gavrilița",)),
    }


def test_a_property_with_two_values_gives_no_hop() -> None:
    wiki, change = moldova()
    wiki.state(RECEAN, "P19", "Q21197")
    dossier = asyncio.run(wiki.source().gather(change))
    assert [h.property for h, _ in hops_of(dossier)] == ["P36"]


def test_an_ended_value_does_not_count() -> None:
    wiki, change = moldova()
    wiki.item("Q77", "Party A")
    wiki.item("Q78", "Party B")
    wiki.state(RECEAN, "P102", "Q77", P582="2020")
    wiki.state(RECEAN, "P102", "Q78")
    wiki.state(GAVRILITA, "P102", "Q78")
    dossier = asyncio.run(wiki.source().gather(change))
    hops = {h.property: legacy for h, legacy in hops_of(dossier)}
    assert hops["P102"] == ()  # the same party before and after: the edit changes nothing here


def test_the_unit_is_named_by_its_change() -> None:
    wiki, change = moldova()
    unit = build_unit(change, None, asked(wiki, change))
    assert unit.id == unit_id(change) and len(unit.id) == 16
    assert unit.slot == f"{MOLDOVA}:P6"


def test_kinds_come_from_what_an_item_is_an_instance_of() -> None:
    wiki, change = moldova()
    bare = replace(change, subject=replace(change.subject, kind=""))
    assert asyncio.run(wiki.source().gather(bare)).change.subject.kind == "country"
    wiki.item("Q15284", "municipality")
    wiki.items[MOLDOVA]["claims"]["P31"] = []
    wiki.state(MOLDOVA, "P31", "Q15284")
    assert asyncio.run(wiki.source().gather(bare)).change.subject.kind == "municipality"
