"""Edit units out of the table of the world, for benches that need many real edits at once.

Owns the way from a succession to a unit: its narrative in the shared forms, its questions, its
hops, and the facts around it. The same world, split, number and seed give the same units. What a
release does with units is `daemon.controllers`'; here is no database and no review.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from agents.questions import Neighbour, build_questions, build_unit, false_names
from daemon.known_facts import KnownFacts
from evaluator.probes import Suite, build_suite
from knowledge.edits import EditUnit
from knowledge.facts import ChangeKind, Entity, FactChange
from knowledge.narrative import CausalNarrative
from knowledge.questions import Question, Use
from knowledge.rendering import HOP_FORWARD, HOP_VIA, Hop, narrative_prose
from knowledge.world import Split, Succession, World

NEIGHBOURS = 4
FALSE_NAMES = 2
ANCHORS_EACH = 3
ANCHORS_UNRELATED = 60
CHECKED_EACH = 3
CHECKED_UNRELATED = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Edits that are trained together, and the facts beside them."""

    units: tuple[EditUnit, ...]
    live: tuple[EditUnit, ...]
    """Earlier edits that production has."""
    anchors: tuple[Question, ...]
    """Facts that training holds in place."""
    suite: Suite


def draw_units(
    split: Split, count: int, seed: int, *, world: World | None = None, but: Sequence[str] = ()
) -> tuple[EditUnit, ...]:
    """`count` units of a split, drawn by `seed`, none of the slots in `but`, one a subject."""
    world = world or World.load()
    pool = [s for s in world.split(split) if s.slot not in set(but)]
    random.Random(f"edits:{split.value}:{seed}").shuffle(pool)
    chosen = list({s.subject.id: s for s in reversed(pool)}.values())[::-1][:count]
    if len(chosen) < count:
        raise ValueError(f"split {split.value} has {len(chosen)} of the {count} edits asked for")
    facts = KnownFacts(world, {s.slot for s in world.successions if s.split is split})
    return tuple(unit_of(s, world, facts) for s in chosen)


def unit_of(succession: Succession, world: World, facts: KnownFacts) -> EditUnit:
    """The unit of a succession, as the curator would make it from statements alone."""
    told = succession.new_story()
    prose, told = narrative_prose(told, random.Random(f"prose:{succession.slot}"))
    change = FactChange(
        subject=succession.subject,
        property=succession.property,
        old=succession.old.object,
        new=succession.new.object,
        kind=ChangeKind.SUCCESSION,
        started=told.since,
        ended=told.until,
    )
    narrative = CausalNarrative(claims=(), prose=prose, cause=told.cause, drafter="template/1")
    near: list[Neighbour] = []
    for use in (Use.TRAIN, Use.EXAM):
        found = facts.near(succession.property, succession.subject, NEIGHBOURS // 2, use)
        near += [Neighbour(subject=f.subject, property=f.property, holder=f.object) for f in found]
    questions = build_questions(
        change,
        narrative,
        _hops(succession, world),
        near,
        false_names(change, near, FALSE_NAMES),
    )
    return build_unit(change, narrative, questions)


def release_of(
    units: Sequence[EditUnit],
    live: Sequence[EditUnit] = (),
    *,
    seed: int = 0,
    world: World | None = None,
) -> Release:
    """The units with their anchors and their examination, as a release would have them."""
    world = world or World.load()
    facts = KnownFacts(world, {u.slot for u in (*units, *live)})
    near, far = facts.neighbour_questions, facts.unrelated_questions
    return Release(
        units=tuple(units),
        live=tuple(live),
        anchors=(
            *near(units, Use.TRAIN, each=ANCHORS_EACH),
            *far(units, Use.TRAIN, limit=ANCHORS_UNRELATED, seed=seed),
        ),
        suite=build_suite(
            units,
            live,
            near(units, Use.EXAM, each=CHECKED_EACH),
            far(units, Use.EXAM, limit=CHECKED_UNRELATED, seed=seed),
        ),
    )


def _hops(succession: Succession, world: World) -> list[tuple[Hop, tuple[str, ...]]]:
    """Second facts that the world's stable rows state of the new holder and of the subject."""
    stated = _stable(world)
    new, old = succession.new.object, succession.old.object
    found: list[tuple[Hop, tuple[str, ...]]] = []
    for property_id in HOP_FORWARD:
        value = stated.get((new.id, property_id))
        if value is None or value.label in succession.subject.label:
            continue
        before = stated.get((old.id, property_id))
        differs = before is not None and before.id != value.id
        hop = Hop(forward=True, property=property_id, value=value)
        found.append((hop, before.names if before and differs else ()))
    for property_id in HOP_VIA:
        value = stated.get((succession.subject.id, property_id))
        if value and property_id != succession.property:
            found.append((Hop(forward=False, property=property_id, value=value), old.names))
    return found


def _stable(world: World) -> dict[tuple[str, str], Entity]:
    return {(f.subject.id, f.property): f.object for f in world.stable}
