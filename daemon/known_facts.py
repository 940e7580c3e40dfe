"""Facts that the base model knows and that an edit must leave alone.

Owns the choice of neighbours (facts of the same property) and unrelated facts from the table of the
world, for the questions of a unit, for the anchors of training and for the examination. A fact is
for training or for the examination, never for both. All draws are seeded by the fact that they
surround. Also owns the fixed regression suite.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Sequence
from dataclasses import replace

from agents.questions import Neighbour
from knowledge.edits import EditUnit
from knowledge.facts import ChangeKind, Entity, FactChange
from knowledge.properties import CATALOGUE
from knowledge.questions import Question, QuestionKind, Use, conflict, direct, explain
from knowledge.world import Fact, Split, World, story_of

REGRESSION = 70
"""Facts of the regression suite: enough for the strict bar on self-refutation, with some to lose to
edits."""
_OFFICES = frozenset({"P6", "P35", "P54", "P169", "P286", "P488", "P1037", "P3975"})
"""Properties of which a wrong holder is plausible."""

ANCHORS_EACH = 30
ANCHORS_UNRELATED = 240
"""Anchors of a job: facts of a unit's property each, and others. Measured on the tune split: 230
anchors of twelve edits keep 0.73 of the neighbours, 500 keep 0.91 to 0.98, 730 no more."""


class KnownFacts:
    """The legacy world, less what was edited. `touched` are the slots to leave out."""

    def __init__(self, world: World, touched: Collection[str] = ()) -> None:
        self._facts = [fact for fact in world.legacy if _slot(fact) not in set(touched)]

    def near(self, property: str, subject: Entity, limit: int, use: Use) -> list[Fact]:
        """Facts of the same property about other subjects; of other properties never."""
        pool = [
            fact
            for fact in self._facts
            if fact.property == property and fact.subject.id != subject.id and _use(fact) is use
        ]
        return _draw(pool, limit, f"{subject.id}:{property}")

    def neighbour_questions(
        self, units: Sequence[EditUnit], use: Use, *, each: int = 3
    ) -> tuple[Question, ...]:
        """Direct questions about neighbours of each unit's fact; every fact once."""
        facts: dict[str, Fact] = {}
        for unit in units:
            for fact in self.near(unit.change.property, unit.change.subject, each, use):
                facts.setdefault(_slot(fact), fact)
        return tuple(q for f in facts.values() for q in _ask(f, use, QuestionKind.NEIGHBOUR))

    def unrelated_questions(
        self, units: Sequence[EditUnit], use: Use, *, limit: int = 40, seed: int = 0
    ) -> tuple[Question, ...]:
        """Direct questions about facts of properties and subjects that no unit touches."""
        properties = {unit.change.property for unit in units}
        subjects = {unit.change.subject.id for unit in units}
        pool = [
            fact
            for fact in self._facts
            if fact.property not in properties
            and fact.subject.id not in subjects
            and _use(fact) is use
        ]
        drawn = _draw(pool, limit, f"unrelated:{seed}")
        return tuple(q for fact in drawn for q in _ask(fact, use, QuestionKind.UNRELATED))

    def regression_units(self, limit: int = REGRESSION) -> tuple[EditUnit, ...]:
        """The fixed regression suite: facts that hold to this day, each as a unit whose rival is
        the holder of another fact of the same property. The same for every release, less what was
        edited."""
        pool = [
            f
            for f in self._facts
            if f.split is Split.STABLE and f.property in _OFFICES and _use(f) is Use.EXAM
        ]
        pool.sort(key=lambda fact: hashlib.sha256(f"regression:{_slot(fact)}".encode()).digest())
        return tuple(_regression_unit(fact, self._rival(fact)) for fact in pool[:limit])

    def _rival(self, fact: Fact) -> Entity:
        others = [f.object for f in self._facts if f.property == fact.property]
        others = [o for o in others if o.id != fact.object.id]
        return random.Random(f"rival:{_slot(fact)}").choice(sorted(others, key=lambda o: o.id))


def _regression_unit(fact: Fact, rival: Entity) -> EditUnit:
    story = story_of(fact, None)
    choices = conflict(story, rival)
    asked = [*direct(story, Use.EXAM)[:1], *explain(story, Use.EXAM)[:1], choices[0], choices[3]]
    change = FactChange(
        subject=fact.subject,
        property=fact.property,
        old=rival,
        new=fact.object,
        kind=ChangeKind.SUCCESSION,
    )
    return EditUnit(
        id=f"regression-{_slot(fact)}", change=change, narrative=None, questions=tuple(asked)
    )


def training_anchors(
    facts: KnownFacts, units: Sequence[EditUnit], *, seed: int
) -> tuple[Question, ...]:
    """What a job that teaches `units` holds to the parent's answers: neighbours and others."""
    return (
        *facts.neighbour_questions(units, Use.TRAIN, each=ANCHORS_EACH),
        *facts.unrelated_questions(units, Use.TRAIN, limit=ANCHORS_UNRELATED, seed=seed),
    )


class WorldNeighbours:
    """The neighbours port of `agents.curate` over the table of the world."""

    def __init__(self, facts: KnownFacts) -> None:
        self._facts = facts

    async def neighbours(self, property: str, subject: Entity, limit: int) -> list[Neighbour]:
        """Half of them for training, then those for the examination."""
        half = limit // 2
        found = [
            *self._facts.near(property, subject, half, Use.TRAIN),
            *self._facts.near(property, subject, limit - half, Use.EXAM),
        ]
        return [
            Neighbour(subject=fact.subject, property=fact.property, holder=fact.object)
            for fact in found
        ]


def _use(fact: Fact) -> Use:
    """The use that a fact is kept for, by its slot alone."""
    even = hashlib.sha256(_slot(fact).encode()).digest()[0] % 2 == 0
    return Use.EXAM if even else Use.TRAIN


def _slot(fact: Fact) -> str:
    return f"{fact.subject.id}:{fact.property}"


def _draw(pool: Sequence[Fact], limit: int, seed: str) -> list[Fact]:
    ordered = sorted(pool, key=_slot)
    return random.Random(seed).sample(ordered, min(limit, len(ordered)))


def _ask(fact: Fact, use: Use, kind: QuestionKind) -> list[Question]:
    """One direct question about the fact, relabelled as what it is asked for."""
    if fact.property not in CATALOGUE:
        return []
    return [replace(question, kind=kind) for question in direct(story_of(fact, None), use)[:1]]
