"""Noise about facts: edits of a statement's value or dates while the world stands still.

Owns what noise may hit, and a planner for each kind that puts a rival beside a holder or in place
of one. Each plans one story and returns how many edits it planned, 0 when the drawn target has no
room. After each story its fact says of the world what it said before. `rewordings` has the kinds
that say the same in another way, `chores` those that do not touch what a fact says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.demo.wikidata import snaks, vocabulary
from daemon.demo.wikidata.edits import Kind, Truth
from daemon.demo.wikidata.plan import (
    DAY,
    FACTS_SETTLED,
    HOUR,
    LAST,
    MINUTE,
    Change,
    Plan,
    about,
    append,
    created,
    in_force,
    is_person,
    remove,
    set_value,
)
from daemon.demo.wikidata.snaks import Json
from knowledge.facts import Date
from knowledge.world import Fact

Slot = tuple[str, str]


@dataclass(kw_only=True)
class Targets:
    """What noise may hit: slots by what is held in them, and who could pass for a holder."""

    holders: list[Fact]
    """Facts with a person or a club that can change, in force before the scenario."""
    places: list[Fact]
    stable: list[Fact]
    candidates: dict[str, list[str]]
    """Property -> ids that hold such a post somewhere."""
    histories: dict[Slot, frozenset[str]]
    """Slot -> everybody who ever held it by the table: nobody of them is a false holder."""


def slot_of(fact: Fact) -> Slot:
    """The slot of a fact as (subject id, property)."""
    return fact.subject.id, fact.property


def bounds(plan: Plan, slot: Slot) -> tuple[int, int]:
    """When noise may touch a fact: expected ones must settle before the end."""
    return HOUR, FACTS_SETTLED if slot in plan.expected else LAST


def _impostor(plan: Plan, targets: Targets, slot: Slot) -> str:
    """Somebody plausible who never held the post."""
    pool = targets.candidates[slot[1]]
    known = targets.histories[slot]
    for _ in range(50):
        drawn = plan.rng.choice(pool)
        if drawn not in known and drawn != slot[0]:
            return drawn
    return plan.catalogue.new_item("Alex Example", "person", "public figure")


def _replacing(property_id: str, value: str) -> Change:
    def change(entity: Json) -> None:
        made = in_force(entity, property_id)
        if made:
            set_value(made, value)

    return change


def _adding(plan: Plan, slot: Slot, value: str, *qualifiers: Json, rank: str = "normal") -> Change:
    guid = plan.catalogue.guid(slot[0])

    def change(entity: Json) -> None:
        snak = snaks.item_snak(slot[1], value)
        append(entity, slot[1], snaks.statement(guid, snak, rank=rank, qualifiers=qualifiers))

    return change


def _ending(property_id: str, day: Date) -> Change:
    def change(entity: Json) -> None:
        made = in_force(entity, property_id)
        if made:
            snaks.set_qualifier(made, snaks.time_snak("P582", day))

    return change


def vandalism(plan: Plan, targets: Targets) -> int:
    """A stranger puts somebody plausible into a post; rolled back within minutes to 30 hours."""
    slot = slot_of(plan.rng.choice(targets.holders))
    length = plan.rng.choice((plan.rng.randint(4, 90) * MINUTE, plan.rng.randint(2, 30) * HOUR))
    first = plan.agenda.place(plan.rng, slot[:1], length, *bounds(plan, slot))
    if first is None:
        return 0
    vandal, value = plan.cast.stranger(first), _impostor(plan, targets, slot)
    truth = plan.story(Kind.VANDALISM, slot)
    edits = _vandal_edits(plan, slot, value, plan.day_of(first))
    for index, (comment, change) in enumerate(edits):
        plan.edit(first + index * 70, slot[0], vandal, comment, truth, change)
    plan.restore(first + length, slot[0], plan.cast.patroller(), truth, 0)
    return len(edits) + 1


def _vandal_edits(plan: Plan, slot: Slot, value: str, day: Date) -> list[tuple[str, Change]]:
    property_id = slot[1]
    draw = plan.rng.random()
    in_place = about("wbsetclaim-update", property_id, value, args="2||1|1")
    if draw < 0.45:
        return [(in_place, _replacing(property_id, value))]
    dated = (snaks.time_snak("P580", day),)
    if draw < 0.7:
        rank = plan.rng.choice(("normal", "preferred"))
        return [(created(property_id, value, 1), _adding(plan, slot, value, *dated, rank=rank))]
    ended = about("wbsetclaim-update-qualifiers", property_id, value, args="1||1")
    return [
        (ended, _ending(property_id, day)),
        (created(property_id, value, 1), _adding(plan, slot, value, *dated)),
    ]


def edit_war(plan: Plan, targets: Targets) -> int:
    """Two accounts flip a holder at least four times in days; the original state remains."""
    slot = slot_of(plan.rng.choice(targets.holders))
    if slot in plan.expected:
        return 0
    flips = plan.rng.choice((4, 4, 6))
    gaps = [plan.rng.randint(40 * MINUTE, 14 * HOUR) for _ in range(flips - 1)]
    first = plan.agenda.place(plan.rng, slot[:1], sum(gaps), *bounds(plan, slot))
    if first is None:
        return 0
    attacker, defender = plan.cast.stranger(first), plan.cast.regular()
    value, truth = _impostor(plan, targets, slot), plan.story(Kind.EDIT_WAR, slot)
    comment = about("wbsetclaim-update", slot[1], value, args="2||1|1")
    plan.edit(first, slot[0], attacker, comment, truth, _replacing(slot[1], value))
    at = first
    for index, gap in enumerate(gaps):
        at += gap
        if index % 2 == 0:
            plan.restore(at, slot[0], defender, truth, 0, "undo")
        else:
            plan.restore(at, slot[0], attacker, truth, 1, "undo")
    return flips


def future_start(plan: Plan, targets: Targets) -> int:
    """A successor-elect is entered with a start far ahead; the present holder stays."""
    slot = slot_of(plan.rng.choice(targets.holders))
    mark = (slot[0], f"{slot[1]} next")
    if mark in plan.taken:
        return 0
    first = plan.agenda.place(plan.rng, slot[:1], MINUTE, *bounds(plan, slot))
    if first is None:
        return 0
    plan.taken.add(mark)
    value = _impostor(plan, targets, slot)
    year, month = plan.start.year + plan.rng.randint(3, 5), plan.rng.randint(1, 12)
    date = Date(year, month, plan.rng.randint(1, 28)) if plan.rng.random() < 0.7 else Date(year)
    change = _adding(plan, slot, value, snaks.time_snak("P580", date))
    truth = plan.story(Kind.FUTURE_START, slot)
    plan.edit(first, slot[0], plan.cast.regular(), created(slot[1], value, 1), truth, change)
    return 1


def duplicate(plan: Plan, targets: Targets) -> int:
    """The same value once more, or an undated rival beside it that stays or is taken out again."""
    same = plan.rng.random() < 0.4
    facts = targets.stable if same and plan.rng.random() < 0.6 else targets.holders
    fact = plan.rng.choice(facts)
    slot = slot_of(fact)
    stays = slot not in plan.expected and slot not in plan.taken and plan.rng.random() < 0.5
    length = MINUTE if stays else plan.rng.randint(2 * HOUR, 4 * DAY)
    first = plan.agenda.place(plan.rng, slot[:1], length, *bounds(plan, slot))
    if first is None:
        return 0
    truth = plan.story(Kind.DUPLICATE, slot)
    value = fact.object.id if same else _impostor(plan, targets, slot)
    if stays:
        plan.taken.add(slot)
    _beside(plan, slot, value, first, None if stays else first + length, truth)
    return 1 if stays else 2


def acting(plan: Plan, targets: Targets) -> int:
    """An interim holder, said to be acting, beside the holder; mostly taken out again."""
    fact = plan.rng.choice(targets.holders)
    slot = slot_of(fact)
    if slot[1] == "P54" or not is_person(fact.object.kind):
        return 0
    stays = slot not in plan.expected and slot not in plan.taken and plan.rng.random() < 0.3
    length = MINUTE if stays else plan.rng.randint(6 * HOUR, 5 * DAY)
    first = plan.agenda.place(plan.rng, slot[:1], length, *bounds(plan, slot))
    if first is None:
        return 0
    if stays:
        plan.taken.add(slot)
    truth = plan.story(Kind.ACTING, slot)
    value = _impostor(plan, targets, slot)
    said = (
        snaks.item_snak("P5102", vocabulary.ACTING),
        snaks.time_snak("P580", plan.day_of(first)),
    )
    _beside(plan, slot, value, first, None if stays else first + length, truth, *said)
    return 1 if stays else 2


def _beside(
    plan: Plan,
    slot: Slot,
    value: str,
    first: int,
    last: int | None,
    truth: Truth,
    *qualifiers: Json,
) -> None:
    """Add a statement beside the one in force, and remove it at `last` if that is given."""
    guid = plan.catalogue.guid(slot[0])

    def add(entity: Json) -> None:
        snak = snaks.item_snak(slot[1], value)
        append(entity, slot[1], snaks.statement(guid, snak, qualifiers=qualifiers))

    comment = created(slot[1], value, len(qualifiers))
    plan.edit(first, slot[0], plan.cast.regular(), comment, truth, add)
    if last is not None:
        gone = about("wbremoveclaims-remove", slot[1], value)
        plan.edit(
            last,
            slot[0],
            plan.cast.regular(),
            gone,
            truth,
            lambda entity: remove(entity, slot[1], guid),
        )


PLANNERS: dict[Kind, tuple[Callable[[Plan, Targets], int], float]] = {
    Kind.VANDALISM: (vandalism, 0.11),
    Kind.FUTURE_START: (future_start, 0.035),
    Kind.DUPLICATE: (duplicate, 0.05),
    Kind.EDIT_WAR: (edit_war, 0.10),
    Kind.ACTING: (acting, 0.05),
}
"""Kind -> its planner and its share of all noise edits."""
