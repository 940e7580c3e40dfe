"""The questions of an edit unit: what it is taught with, what it is examined with.

Owns which hops, neighbours and claims a unit asks about. Wordings and answer forms are in
`knowledge.questions` and `knowledge.rendering`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from agents.evidence.pointing import Pointing
from agents.evidence.sources import Dossier
from knowledge.edits import EditKind, EditUnit, Known
from knowledge.facts import Entity, FactChange, Rank, SnakKind, Statement
from knowledge.narrative import CausalNarrative
from knowledge.properties import CATALOGUE
from knowledge.questions import (
    Question,
    QuestionKind,
    Use,
    direct,
    examination_questions,
    reverse,
    training_questions,
)
from knowledge.rendering import HOP_FORWARD, HOP_POINTING, HOP_VIA, Hop, Story

UNIT_ID_CHARS = 16

_PERSON_HOPS = ("P19", "P27", "P102")
_OTHER_HOPS = ("P118", "P17", "P115", "P159")
_VIA_SUBJECTS = {"P36": {"country"}, "P112": {"company"}, "P115": {"club"}}
_END = "P582"

HopWithLegacy = tuple[Hop, tuple[str, ...]]
"""A hop and the names of the answer before the edit; no names where the edit does not change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An unchanged fact of the same property: what must stay as it is."""

    subject: Entity
    property: str
    holder: Entity

    def story(self) -> Story:
        return Story(subject=self.subject, property=self.property, holder=self.holder)


class Neighbours(Protocol):
    """Finds unchanged facts like the changed one."""

    async def neighbours(self, property: str, subject: Entity, limit: int) -> list[Neighbour]:
        """At most `limit`, the same for the same state of the world; never of `subject` itself."""
        ...


class NoNeighbours:
    """`Neighbours` where nothing is known of other facts."""

    async def neighbours(self, property: str, subject: Entity, limit: int) -> list[Neighbour]:
        return []


def story_of_change(change: FactChange, narrative: CausalNarrative | None) -> Story:
    """The change as a story. Raises ValueError when there is no new object."""
    return build_unit(change, narrative, ()).story()


def hops_of(dossier: Dossier) -> tuple[HopWithLegacy, ...]:
    """Second facts for two-hop questions: of the new object, and those that describe the subject.

    Only what holds now and has a single value; an answer that stands in the question is left out.
    """
    change = dossier.change
    if change.new is None:
        return ()
    found: list[HopWithLegacy] = []
    person = change.new.kind == "person" or bool(dossier.of(change.new.id, "P19"))
    for property_id in _PERSON_HOPS if person else _OTHER_HOPS:
        value = single_value(dossier, change.new.id, property_id)
        if property_id not in HOP_FORWARD or value is None or value.label in change.subject.label:
            continue
        before = single_value(dossier, change.old.id, property_id) if change.old else None
        differs = before is not None and not set(before.names) & set(value.names)
        hop = Hop(forward=True, property=property_id, value=value)
        found.append((hop, before.names if before and differs else ()))
    for property_id in HOP_VIA:
        if property_id == change.property or change.subject.kind not in _VIA_SUBJECTS[property_id]:
            continue
        value = single_value(dossier, change.subject.id, property_id)
        if value is not None and change.subject.label not in value.label:
            legacy = change.old.names if change.old else ()
            found.append((Hop(forward=False, property=property_id, value=value), legacy))
    return tuple(found)


def pointing_hops(
    change: FactChange, found: Sequence[Pointing], limit: int
) -> tuple[HopWithLegacy, ...]:
    """First facts for two-hop questions, through items that point at the subject: each has it as
    the only value of a property now. At most `limit`, of different properties first.

    Left out: what is named in the change itself, names that give the subject away, and who is dead.
    """
    taken = {e.id for e in (change.subject, change.old, change.new) if e}
    fit: dict[tuple[int, str], Hop] = {}
    for one in found:
        if one.ended or one.entity.id in taken or change.subject.label in one.entity.label:
            continue
        for property_id in HOP_POINTING:
            held = _held(one.of(property_id))
            if {s.mainsnak.value for s in held} == {change.subject.id}:
                nth = sum(p == property_id for _, p in fit)
                fit[nth, property_id] = Hop(
                    forward=False, points=True, property=property_id, value=one.entity
                )
                break
    legacy = change.old.names if change.old else ()
    ordered = sorted(fit, key=lambda key: key[0])
    return tuple((fit[key], legacy) for key in ordered[:limit])


def can_be_turned_round(change: FactChange) -> bool:
    """Whether "of what is X the mayor?" makes sense: as a rule it has one answer."""
    return change.new is not None and CATALOGUE[change.property].one_subject


def has_one_subject(change: FactChange, found: Sequence[Pointing]) -> bool:
    """Whether the new object has this property of the subject alone. `found` are the items that
    point at it by the property; the index may not have the subject itself yet."""
    if change.new is None:
        return False
    return not any(
        s.mainsnak.value == change.new.id
        for one in found
        if one.entity.id != change.subject.id and not one.ended
        for s in _held(one.of(change.property))
    )


def single_value(dossier: Dossier, item_id: str, property_id: str) -> Entity | None:
    """The one entity that a property of an item has now; None when it has none or several."""
    held = _held(dossier.of(item_id, property_id))
    values = {s.mainsnak.value for s in held}
    if len(values) != 1 or not (value := values.pop()).startswith("Q"):
        return None
    entity = dossier.entity(value)
    return entity if entity.label != value else None


def build_questions(
    change: FactChange,
    narrative: CausalNarrative | None,
    hops: Sequence[HopWithLegacy],
    neighbours: Sequence[Neighbour],
    others: Sequence[Entity],
    *,
    known: Known = Known.UNASKED,
    turned: bool = False,
) -> tuple[Question, ...]:
    """All questions of a unit, training first. No wording is in both uses.

    `turned`: the new object has one subject, and the examination asks for it too. Nothing teaches
    that, nor the second hops: they measure whether what was taught is there for use.

    `others` are names for claims that are false. The first half of the neighbours anchors the
    training, the rest checks locality: what was anchored would prove nothing. A model that did not
    know the old state has nothing to refute: it is not asked to choose between old and new.
    """
    story = story_of_change(change, narrative)
    half = len(neighbours) // 2
    made = training_questions(story, others)
    for neighbour in neighbours[:half]:
        made += _about_neighbour(neighbour, Use.TRAIN)
    asked = examination_questions(story, hops)
    asked += reverse(story, Use.EXAM) if turned else []
    made += [q for q in asked if known is not Known.NEITHER or not _refutes(q, change)]
    for neighbour in neighbours[half:]:
        made += _about_neighbour(neighbour, Use.EXAM)
    questions = tuple({(q.use, q.text): q for q in made}.values())
    train = {_plain(q.text) for q in questions if q.use is Use.TRAIN}
    shared = sorted(train & {_plain(q.text) for q in questions if q.use is Use.EXAM})
    assert not shared, f"asked in training and in the examination alike: {shared[0]!r}"
    return questions


def false_names(
    change: FactChange, neighbours: Sequence[Neighbour], count: int
) -> tuple[Entity, ...]:
    """Holders of neighbouring facts that are neither the old nor the new one of this change."""
    taken = {e.label for e in (change.subject, change.old, change.new) if e}
    found: dict[str, Entity] = {}
    for neighbour in neighbours:
        if neighbour.holder.label not in taken:
            found.setdefault(neighbour.holder.id, neighbour.holder)
    return tuple(found.values())[:count]


def unit_id(change: FactChange) -> str:
    """Identity of the unit of a change: the head of the digest of its key."""
    return hashlib.sha256(change.key.encode()).hexdigest()[:UNIT_ID_CHARS]


def build_unit(
    change: FactChange,
    narrative: CausalNarrative | None,
    questions: Sequence[Question],
    *,
    known: Known = Known.UNASKED,
) -> EditUnit:
    """The unit as it is reviewed and taught. What the model never knew in the old state either is
    a new fact to it."""
    update = change.old is not None and known is not Known.NEITHER
    return EditUnit(
        id=unit_id(change),
        change=change,
        narrative=narrative,
        questions=tuple(questions),
        kind=EditKind.UPDATE if update else EditKind.NEW_FACT,
        known=known,
    )


def _refutes(question: Question, change: FactChange) -> bool:
    """Whether a question puts the old state forward against the new one."""
    old = change.old.label if change.old else None
    return question.kind is QuestionKind.CONFLICT or (old is not None and question.claimed == old)


def _about_neighbour(neighbour: Neighbour, use: Use) -> list[Question]:
    """The two plainest wordings, as questions of kind NEIGHBOUR."""
    return [
        replace(question, kind=QuestionKind.NEIGHBOUR)
        for question in direct(neighbour.story(), use)[:2]
    ]


def _held(statements: Sequence[Statement]) -> list[Statement]:
    """What holds now, by rank: the preferred statements, or all where none is preferred."""
    held = [s for s in statements if _holds(s)]
    return [s for s in held if s.rank is Rank.PREFERRED] or held


def _holds(statement: Statement) -> bool:
    return (
        statement.rank is not Rank.DEPRECATED
        and statement.mainsnak.kind is SnakKind.VALUE
        and statement.qualifier(_END) is None
    )


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().lower()


def with_cause(unit: EditUnit, cause: str | None) -> tuple[Question, ...]:
    """The unit's questions with another cause: the answers that tell the story tell that one.

    Questions about other facts stay as they are.
    """
    if unit.change.new is None:
        return unit.questions
    story = replace(story_of_change(unit.change, unit.narrative), cause=cause)
    known = {e.label for e in (unit.change.old, unit.change.new) if e}
    claimed = {q.claimed for q in unit.questions if q.kind is QuestionKind.CHECK and q.claimed}
    others = tuple(Entity(id="", label=label) for label in sorted(claimed - known))
    told = {
        (q.kind, q.use, q.text): q.reference
        for q in (*training_questions(story, others), *examination_questions(story, ()))
    }
    return tuple(
        replace(
            question,
            cause=cause,
            reference=told.get((question.kind, question.use, question.text), question.reference),
        )
        if question.item == unit.slot
        else question
        for question in unit.questions
    )
