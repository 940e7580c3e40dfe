"""Noise about facts: edits of a statement's value or dates while the world stands still.

Owns one planner per kind. Each plans one story and returns how many edits it planned, 0 when the
drawn target has no room. After each story its fact says of the world what it said before.
`chores` has the kinds that do not touch what a fact says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.demo.wikidata import snaks, vocabulary
from daemon.demo.wikidata.editors import Editor
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
    find,
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


def _slot(fact: Fact) -> Slot:
    return fact.subject.id, fact.property


def _bounds(plan: Plan, slot: Slot) -> tuple[int, int]:
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
    slot = _slot(plan.rng.choice(targets.holders))
    length = plan.rng.choice((plan.rng.randint(4, 90) * MINUTE, plan.rng.randint(2, 30) * HOUR))
    first = plan.agenda.place(plan.rng, slot[:1], length, *_bounds(plan, slot))
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
    slot = _slot(plan.rng.choice(targets.holders))
    if slot in plan.expected:
        return 0
    flips = plan.rng.choice((4, 4, 6))
    gaps = [plan.rng.randint(40 * MINUTE, 14 * HOUR) for _ in range(flips - 1)]
    first = plan.agenda.place(plan.rng, slot[:1], sum(gaps), *_bounds(plan, slot))
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


def granularity(plan: Plan, targets: Targets) -> int:
    """A place is made more exact or less: a district of it, or the area around it."""
    fact = plan.rng.choice(targets.places)
    slot = _slot(fact)
    if slot in plan.taken:
        return _coarsened(plan, slot)
    first = plan.agenda.place(plan.rng, slot[:1], MINUTE, *_bounds(plan, slot))
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
    """A slot whose place was made finer or coarser goes back and forth once more."""
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
    *,
    editor: Editor | None = None,
    summary: str = "",
) -> None:
    """Plan an in-place change of the slot's own statement to another value."""
    guid = plan.catalogue.statements[slot]

    def change(entity: Json) -> None:
        made = find(entity, slot[1], guid)
        if made and expected in (None, snaks.value_of(made)):
            set_value(made, value)

    comment = about("wbsetclaim-update", slot[1], value, args="2||1|1")
    by = editor or plan.cast.regular()
    plan.edit(at, slot[0], by, comment + summary, truth, change)


def link_fix(plan: Plan, targets: Targets) -> int:
    """A link to a homonym of another kind is put right: a film becomes the city of that name."""
    fact = plan.rng.choice(targets.stable)
    slot = _slot(fact)
    if slot in plan.taken or is_person(fact.object.kind):
        return 0
    first = plan.agenda.place(plan.rng, slot[:1], MINUTE, *_bounds(plan, slot))
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
    slot = _slot(fact)
    if not is_person(fact.object.kind):
        return 0
    corrected = plan.rng.random() < 0.4 and slot not in plan.expected and slot not in plan.taken
    length = MINUTE if corrected else plan.rng.randint(30 * MINUTE, 40 * HOUR)
    first = plan.agenda.place(plan.rng, slot[:1], length, *_bounds(plan, slot))
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


def future_start(plan: Plan, targets: Targets) -> int:
    """A successor-elect is entered with a start far ahead; the present holder stays."""
    slot = _slot(plan.rng.choice(targets.holders))
    mark = (slot[0], f"{slot[1]} next")
    if mark in plan.taken:
        return 0
    first = plan.agenda.place(plan.rng, slot[:1], MINUTE, *_bounds(plan, slot))
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
    slot = _slot(fact)
    stays = slot not in plan.expected and slot not in plan.taken and plan.rng.random() < 0.5
    length = MINUTE if stays else plan.rng.randint(2 * HOUR, 4 * DAY)
    first = plan.agenda.place(plan.rng, slot[:1], length, *_bounds(plan, slot))
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
    slot = _slot(fact)
    if slot[1] == "P54" or not is_person(fact.object.kind):
        return 0
    stays = slot not in plan.expected and slot not in plan.taken and plan.rng.random() < 0.3
    length = MINUTE if stays else plan.rng.randint(6 * HOUR, 5 * DAY)
    first = plan.agenda.place(plan.rng, slot[:1], length, *_bounds(plan, slot))
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


def time_format(plan: Plan, targets: Targets) -> int:
    """A start date is given more exactly, or the same date in another spelling."""
    fact = plan.rng.choice(targets.holders)
    slot = _slot(fact)
    mark = (slot[0], f"{slot[1]} date")
    if mark in plan.taken or not fact.start:
        return 0
    first = plan.agenda.place(plan.rng, slot[:1], MINUTE, *_bounds(plan, slot))
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
    Kind.VANDALISM: (vandalism, 0.11),
    Kind.GRANULARITY: (granularity, 0.04),
    Kind.LINK_FIX: (link_fix, 0.04),
    Kind.FUTURE_START: (future_start, 0.035),
    Kind.DUPLICATE: (duplicate, 0.05),
    Kind.EDIT_WAR: (edit_war, 0.10),
    Kind.ACTING: (acting, 0.05),
    Kind.SAME_NAME: (same_name, 0.045),
    Kind.TIME_FORMAT: (time_format, 0.04),
}
"""Kind -> its planner and its share of all noise edits."""
