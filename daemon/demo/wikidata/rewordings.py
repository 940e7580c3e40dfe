"""Noise that says the same fact in another way: finer or coarser places, mended links, dates.

Owns one planner per kind, with the same contract as those of `noise`.
"""

from __future__ import annotations

from collections.abc import Callable

from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.edits import Kind, Truth
from daemon.demo.wikidata.noise import Slot, Targets, bounds, slot_of
from daemon.demo.wikidata.plan import (
    HOUR,
    LAST,
    MINUTE,
    Plan,
    about,
    find,
    is_person,
    set_value,
)
from daemon.demo.wikidata.snaks import Json
from knowledge.facts import Date


def granularity(plan: Plan, targets: Targets) -> int:
    """A place is made more exact or less: a district of it, or the area around it."""
    fact = plan.rng.choice(targets.places)
    slot = slot_of(fact)
    if slot in plan.taken:
        return _coarsened(plan, slot)
    first = plan.agenda.place(plan.rng, slot[:1], MINUTE, *bounds(plan, slot))
    if first is None:
        return 0
    plan.taken.add(slot)
    place = fact.object.id
    label = plan.catalogue.label(place)
    if plan.rng.random() < 0.6:
        name = plan.rng.choice(("Old Town of {}", "Central {}", "{} Harbour District"))
        value = plan.catalogue.new_item(name.format(label), "district", f"district of {label}")
        plan.catalogue.add(value, plan.rng.choice(("P131", "P131", "P361")), place)
    else:
        name = plan.rng.choice(("Greater {}", "{} Region"))
        value = plan.catalogue.new_item(name.format(label), "region", f"area around {label}")
        plan.catalogue.add(place, "P131", value)
    truth = plan.story(Kind.GRANULARITY, slot)
    _overwrite(plan, first, slot, value, truth, place)
    return 1


def _coarsened(plan: Plan, slot: Slot) -> int:
    """A slot whose place was made finer or coarser goes back to what it said."""
    for step in plan.steps:
        told = step.truth
        if told.kind is Kind.GRANULARITY and told.slot == f"{slot[0]}:{slot[1]}":
            break
    else:
        return 0
    original = next(
        f for f in plan.catalogue.world.by_slot[slot] if f.property == slot[1]
    ).object.id
    first = plan.agenda.place(plan.rng, slot[:1], 2 * HOUR, step.at + MINUTE, LAST)
    if first is None:
        return 0
    truth = plan.story(Kind.GRANULARITY, slot)
    _overwrite(plan, first, slot, original, truth, None)
    return 1


def _overwrite(
    plan: Plan,
    at: int,
    slot: Slot,
    value: str,
    truth: Truth,
    expected: str | None,
) -> None:
    """Plan an in-place change of the slot's statement from `expected` (None: any) to `value`."""
    guid = plan.catalogue.statements[slot]

    def change(entity: Json) -> None:
        made = find(entity, slot[1], guid)
        if made and expected in (None, snaks.value_of(made)):
            set_value(made, value)

    comment = about("wbsetclaim-update", slot[1], value, args="2||1|1")
    plan.edit(at, slot[0], plan.cast.regular(), comment, truth, change)


def link_fix(plan: Plan, targets: Targets) -> int:
    """A link to a homonym of another kind is put right: a film becomes the city of that name."""
    fact = plan.rng.choice(targets.stable)
    slot = slot_of(fact)
    if slot in plan.taken or is_person(fact.object.kind):
        return 0
    first = plan.agenda.place(plan.rng, slot[:1], MINUTE, *bounds(plan, slot))
    if first is None:
        return 0
    plan.taken.add(slot)
    label = plan.catalogue.label(fact.object.id)
    kind, description = plan.rng.choice(
        (("film", "film"), ("family name", "family name"), ("ship", "ship"), ("album", "album"))
    )
    wrong = plan.catalogue.new_item(label, kind, description)
    _seed(plan, slot, wrong)
    truth = plan.story(Kind.LINK_FIX, slot)
    _overwrite(plan, first, slot, fact.object.id, truth, wrong)
    return 1


def _seed(plan: Plan, slot: Slot, value: str) -> None:
    """Let the slot's statement have had another value before the scenario."""
    entity = plan.catalogue.items[slot[0]]
    made = find(entity, slot[1], plan.catalogue.statements[slot])
    if made:
        set_value(made, value)


def same_name(plan: Plan, targets: Targets) -> int:
    """A person is mixed up with a namesake; put right by hand, hours later or at last."""
    fact = plan.rng.choice(targets.holders)
    slot = slot_of(fact)
    if not is_person(fact.object.kind):
        return 0
    corrected = plan.rng.random() < 0.4 and slot not in plan.expected and slot not in plan.taken
    length = MINUTE if corrected else plan.rng.randint(30 * MINUTE, 40 * HOUR)
    first = plan.agenda.place(plan.rng, slot[:1], length, *bounds(plan, slot))
    if first is None:
        return 0
    label = plan.catalogue.label(fact.object.id)
    born = plan.rng.randint(1890, 1985)
    calling = plan.rng.choice(("ice hockey player", "painter", "botanist", "jazz drummer"))
    namesake = plan.catalogue.new_item(label, "person", f"{calling} (born {born})")
    truth = plan.story(Kind.SAME_NAME, slot)
    if corrected:
        plan.taken.add(slot)
        _seed(plan, slot, namesake)
        _overwrite(plan, first, slot, fact.object.id, truth, namesake)
        return 1
    guid = plan.catalogue.statements[slot]
    _overwrite(plan, first, slot, namesake, truth, fact.object.id)

    def back(entity: Json) -> None:
        made = find(entity, slot[1], guid)
        if made and snaks.value_of(made) == namesake:
            set_value(made, fact.object.id)

    comment = about("wbsetclaim-update", slot[1], fact.object.id, args="2||1|1")
    note = comment + ", namesake linked by mistake"
    plan.edit(first + length, slot[0], plan.cast.regular(), note, truth, back)
    return 2


def time_format(plan: Plan, targets: Targets) -> int:
    """A start date is given more exactly, or the same date in another spelling."""
    fact = plan.rng.choice(targets.holders)
    slot = slot_of(fact)
    mark = (slot[0], f"{slot[1]} date")
    if mark in plan.taken or not fact.start:
        return 0
    first = plan.agenda.place(plan.rng, slot[:1], MINUTE, *bounds(plan, slot))
    if first is None:
        return 0
    plan.taken.add(mark)
    guid = plan.catalogue.statements[slot]
    seeded = find(plan.catalogue.items[slot[0]], slot[1], guid)
    if seeded and fact.start.day and plan.rng.random() < 0.8:
        coarse = plan.rng.choice((Date(fact.start.year), Date(fact.start.year, fact.start.month)))
        snaks.set_qualifier(seeded, snaks.time_snak("P580", coarse))
    exact = snaks.time_snak("P580", fact.start, filled=True)

    def change(entity: Json) -> None:
        made = find(entity, slot[1], guid)
        if made:
            snaks.set_qualifier(made, exact)

    key, args = "wbsetclaim-update-qualifiers", "1||1"
    comment = about(key, slot[1], fact.object.id, args=args)
    truth = plan.story(Kind.TIME_FORMAT, slot)
    plan.edit(first, slot[0], plan.cast.regular(), comment, truth, change)
    return 1


PLANNERS: dict[Kind, tuple[Callable[[Plan, Targets], int], float]] = {
    Kind.GRANULARITY: (granularity, 0.04),
    Kind.LINK_FIX: (link_fix, 0.04),
    Kind.SAME_NAME: (same_name, 0.045),
    Kind.TIME_FORMAT: (time_format, 0.04),
}
"""Kind -> its planner and its share of all noise edits."""
