"""Edit sets for benches: cases of units that are trained together and examined together.

Owns making units of the table of the world as the product makes them (narrative by the template
forms, questions by `agents.questions`, anchors and locality probes by `daemon.known_facts`), and
cutting them into cases. MQuAKE files become the same kind of case in `daemon.bench.mquake_sets`.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from agents.questions import (
    HopWithLegacy,
    Neighbour,
    build_questions,
    build_unit,
    false_names,
)
from daemon.known_facts import KnownFacts, training_anchors
from evaluator.probes import Suite, build_suite
from knowledge.edits import EditUnit
from knowledge.facts import ChangeKind, Entity, FactChange
from knowledge.narrative import CausalNarrative, digest_of
from knowledge.questions import Question, Use, two_hop
from knowledge.rendering import HOP_FORWARD, HOP_VIA, Hop, Story, narrative_prose
from knowledge.world import Split, Succession, World

NEIGHBOURS_EACH = 6
PROBES_EACH = 4
"""Locality probes of each unit: facts of the same property."""
PROBES_UNRELATED = 56
DRAFTER = "bench/1"

_VIA_SUBJECTS = {"P36": "country", "P112": "company", "P115": "club"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EditCase:
    """Units that one job trains, the anchors of that job, and its examination."""

    name: str
    units: tuple[EditUnit, ...]
    anchors: tuple[Question, ...]
    suite: Suite = field(repr=False)

    @property
    def digest(self) -> str:
        """Identity of what is trained and asked."""
        units = [unit.digest for unit in self.units]
        return digest_of([units, [q.text for q in self.anchors], self.suite.digest])


def world_units(split: Split, *, with_cake: bool = False) -> tuple[EditUnit, ...]:
    """The units of a split of the table, in a fixed mixed order; `with_cake` also with training
    questions that use the fact as one step of two."""
    world = World.load()
    units = [_unit(world, one, with_cake) for one in world.split(split)]
    random.Random(f"order:{split.value}").shuffle(units)
    return tuple(units)


def world_cases(
    split: Split, batch: int = 12, most: int | None = None, *, with_cake: bool = False
) -> tuple[EditCase, ...]:
    """The split in whole batches; what is left over at the end is left out."""
    units = world_units(split, with_cake=with_cake)
    whole = len(units) // batch if most is None else min(most, len(units) // batch)
    parts = [units[i * batch : (i + 1) * batch] for i in range(whole)]
    return tuple(case_of(f"{split.value}-{i}", part) for i, part in enumerate(parts))


def case_of(
    name: str, units: Sequence[EditUnit], live: Sequence[EditUnit] = (), seed: int = 0
) -> EditCase:
    """A case of units over the table of the world; `live` are earlier units still in force."""
    touched = {unit.slot for unit in (*units, *live)}
    facts = KnownFacts(World.load(), touched)
    suite = build_suite(
        units,
        live,
        facts.neighbour_questions(units, Use.EXAM, each=PROBES_EACH),
        facts.unrelated_questions(units, Use.EXAM, limit=PROBES_UNRELATED, seed=seed),
    )
    anchors = training_anchors(facts, units, seed=seed)
    return EditCase(name=name, units=tuple(units), anchors=anchors, suite=suite)


def _unit(world: World, succession: Succession, with_cake: bool) -> EditUnit:
    rng = random.Random(f"narrative:{succession.slot}")
    prose, story = narrative_prose(succession.new_story(), rng)
    change = FactChange(
        subject=succession.subject,
        property=succession.property,
        old=succession.old.object,
        new=succession.new.object,
        kind=ChangeKind.SUCCESSION,
        ended=story.until,
        started=story.since,
    )
    narrative = CausalNarrative(claims=(), prose=prose, cause=story.cause, drafter=DRAFTER)
    found = _neighbours(world, change)
    hops = _hops(story)
    questions = build_questions(change, narrative, hops, found, false_names(change, found, 1))
    if with_cake:
        used = [q for hop, old in hops for q in two_hop(story, Use.TRAIN, hop, legacy=old)]
        questions = (*used, *questions)
    return build_unit(change, narrative, questions)


def _neighbours(world: World, change: FactChange) -> list[Neighbour]:
    facts = KnownFacts(world, {change.slot})
    half = NEIGHBOURS_EACH // 2
    found = [
        *facts.near(change.property, change.subject, half, Use.TRAIN),
        *facts.near(change.property, change.subject, NEIGHBOURS_EACH - half, Use.EXAM),
    ]
    return [Neighbour(subject=f.subject, property=f.property, holder=f.object) for f in found]


def _hops(story: Story) -> tuple[HopWithLegacy, ...]:
    """Second facts of the table about the new holder and about the subject."""
    facts, old = _stable_facts(), story.previous
    found: list[HopWithLegacy] = []
    for property_id, value in facts.get(story.holder.id, {}).items():
        if property_id not in HOP_FORWARD or value.label in story.subject.label:
            continue
        before = facts.get(old.id, {}).get(property_id) if old else None
        differs = before is not None and not set(before.names) & set(value.names)
        hop = Hop(forward=True, property=property_id, value=value)
        found.append((hop, before.names if before and differs else ()))
    for property_id, value in facts.get(story.subject.id, {}).items():
        fits = _VIA_SUBJECTS.get(property_id) == story.subject.kind
        if property_id in HOP_VIA and fits and property_id != story.property:
            hop = Hop(forward=False, property=property_id, value=value)
            found.append((hop, old.names if old else ()))
    return tuple(found)


@lru_cache(maxsize=1)
def _stable_facts() -> dict[str, dict[str, Entity]]:
    found: dict[str, dict[str, Entity]] = defaultdict(dict)
    for fact in World.load().stable:
        found[fact.subject.id][fact.property] = fact.object
    return found
