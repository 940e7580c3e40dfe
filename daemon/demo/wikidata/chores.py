"""Noise that does not touch what a fact says: terms, references, bot runs, merges, junk items.

Owns one planner per kind, with the same contract as those of `noise`: one story, the number of
edits planned, 0 when there was no room.
"""

from __future__ import annotations

from collections.abc import Callable

from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.edits import EditKind, Kind
from daemon.demo.wikidata.noise import Targets
from daemon.demo.wikidata.plan import (
    DAY,
    HOUR,
    LAST,
    MINUTE,
    Change,
    Plan,
    about,
    find,
    in_force,
    set_value,
)
from daemon.demo.wikidata.snaks import Json

RUN_ITEMS = 56
"""Items of one bulk run: more than fifty within the hour."""

_LANGUAGES = ("sv", "da", "pl", "pt", "tr", "fi", "cs", "hu", "ca", "ro")


def _place(plan: Plan, item: str) -> int | None:
    return plan.agenda.place(plan.rng, (item,), MINUTE, HOUR, LAST)


def label(plan: Plan, targets: Targets) -> int:
    """A label is added in some language, or moves from `en` to `mul`."""
    item = plan.rng.choice(targets.holders + targets.stable).subject.id
    at = _place(plan, item)
    if at is None:
        return 0
    truth, text = plan.story(Kind.LABEL), plan.catalogue.label(item)
    if plan.rng.random() < 0.15:
        comment = "/* wbeditentity-update-languages-short:0||mul, en */ default label"
        plan.edit(at, item, plan.cast.bots["LabelSyncBot"], comment, truth, _to_mul)
        return 1
    language = plan.rng.choice(_LANGUAGES)

    def change(entity: Json) -> None:
        entity["labels"][language] = snaks.term(language, text)

    comment = f"/* wbsetlabel-add:1|{language} */ {text}"
    plan.edit(at, item, plan.cast.regular(), comment, truth, change)
    return 1


def _to_mul(entity: Json) -> None:
    english = entity["labels"].pop("en", None)
    if english:
        entity["labels"]["mul"] = snaks.term("mul", english["value"])


def terms(plan: Plan, targets: Targets) -> int:
    """A description, an alias or a sitelink."""
    item = plan.rng.choice(targets.holders + targets.stable).subject.id
    at = _place(plan, item)
    if at is None:
        return 0
    text = plan.catalogue.label(item)
    language = plan.rng.choice(_LANGUAGES)
    comment, change = plan.rng.choice((_description, _alias, _sitelink))(language, text)
    plan.edit(at, item, plan.cast.regular(), comment, plan.story(Kind.TERMS), change)
    return 1


def _description(language: str, text: str) -> tuple[str, Change]:
    def change(entity: Json) -> None:
        entity["descriptions"][language] = snaks.term(language, f"({text})")

    return f"/* wbsetdescription-add:1|{language} */ ({text})", change


def _alias(language: str, text: str) -> tuple[str, Change]:
    def change(entity: Json) -> None:
        entity["aliases"].setdefault(language, []).append(snaks.term(language, text.upper()))

    return f"/* wbsetaliases-add:1|{language} */ {text.upper()}", change


def _sitelink(language: str, text: str) -> tuple[str, Change]:
    site = f"{language}wiki"

    def change(entity: Json) -> None:
        entity["sitelinks"][site] = {"site": site, "title": text, "badges": []}

    return f"/* wbsetsitelink-add:1|{site} */ {text}", change


def references(plan: Plan, targets: Targets) -> int:
    """A reference is given to the statement in force."""
    fact = plan.rng.choice(targets.holders + targets.stable)
    item, property_id = fact.subject.id, fact.property
    at = _place(plan, item)
    if at is None:
        return 0
    ref = plan.reference(at)
    comment = about("wbsetreference-add", property_id, fact.object.id, args="2|")
    truth = plan.story(Kind.REFERENCE, (item, property_id))
    plan.edit(at, item, plan.cast.regular(), comment, truth, _referring(property_id, ref))
    return 1


def _referring(property_id: str, ref: Json) -> Change:
    def change(entity: Json) -> None:
        made = in_force(entity, property_id)
        if made:
            snaks.add_reference(made, ref)

    return change


def bulk_run(plan: Plan, targets: Targets, items: int = RUN_ITEMS) -> int:
    """One bot does one thing to many items within the hour."""
    facts = {f.subject.id: f for f in targets.holders + targets.stable}
    drawn = plan.rng.sample(sorted(facts), min(items, len(facts)))
    first = plan.rng.randint(HOUR, LAST - HOUR)
    bot = plan.cast.bots[plan.rng.choice(("AlmaRefBot", "ImportBot", "DateTidyBot"))]
    truth = plan.story(Kind.BULK_RUN)
    note = plan.rng.choice(("add reference", "add reference, spell dates alike"))
    comment = f"/* wbeditentity-update:0| */ {note}, [[Wikidata:Requests for permissions/Bot]]"
    planned = 0
    for index, item in enumerate(drawn):
        at = first + index * 50
        if not plan.agenda.free(item, at, at):
            continue
        plan.agenda.book((item,), at, at)
        fact = facts[item]
        change = _referring(fact.property, plan.reference(at))
        if "spell" in note:
            change = _spelling(change)
        plan.edit(at, item, bot, comment, truth, change)
        planned += 1
    return planned


def _spelling(also: Change) -> Change:
    """Write 01 for the month and the day that a coarse start date does not know, and do `also`."""

    def change(entity: Json) -> None:
        for statements in entity["claims"].values():
            for made in statements:
                for snak in made.get("qualifiers", {}).get("P580", ()):
                    snaks.fill_date(snak)
        also(entity)

    return change


def merge(plan: Plan, targets: Targets) -> int:
    """A duplicate item is merged into its original; a bot mends the statement that used it."""
    fact = plan.rng.choice(targets.stable)
    slot = (fact.subject.id, fact.property)
    used = plan.rng.random() < 0.7 and slot not in plan.taken
    target = fact.object.id
    length = plan.rng.randint(2, 26) * HOUR if used else 5 * MINUTE
    busy = (target, slot[0]) if used else (target,)
    first = plan.agenda.place(plan.rng, busy, length, HOUR, LAST)
    if first is None:
        return 0
    double = plan.catalogue.new_item(plan.catalogue.label(target), fact.object.kind, "")
    truth = plan.story(Kind.MERGE, slot if used else None)
    human = plan.cast.regular()
    tail = "[[MediaWiki:Gadget-Merge.js|merge.js]]"
    plan.edit(first, double, human, f"/* wbmergeitems-to:0||{target} */ {tail}", truth, _emptied)
    plan.edit(
        first + 1, target, human, f"/* wbmergeitems-from:0||{double} */ {tail}", truth, _merged
    )
    plan.edit(
        first + 2,
        double,
        human,
        f"/* wbcreateredirect:0||{double}|{target} */ {tail}",
        truth,
        _emptied,
        redirect=target,
    )
    if not used:
        return 3
    plan.taken.add(slot)
    guid = plan.catalogue.statements[slot]
    seeded = find(plan.catalogue.items[slot[0]], slot[1], guid)
    if seeded:
        set_value(seeded, double)

    def mend(entity: Json) -> None:
        made = find(entity, slot[1], guid)
        if made:
            set_value(made, target)

    comment = about("wbsetclaim-update", slot[1], target, args="2||1|1") + ", redirect resolved"
    bot = plan.cast.bots["MergeFixBot"]
    plan.edit(first + length, slot[0], bot, comment, truth, mend)
    return 4


def _emptied(entity: Json) -> None:
    for part in ("labels", "descriptions", "aliases", "claims", "sitelinks"):
        entity[part] = {}


def _merged(entity: Json) -> None:
    aliases = entity["aliases"].setdefault("en", [])
    name = next(iter(entity["labels"].values()))["value"]
    aliases.append(snaks.term("en", f"{name} (duplicate)"))


def junk_item(plan: Plan, targets: Targets) -> int:
    """Somebody makes a nonsense item; an administrator deletes it."""
    item = plan.catalogue.reserve_item()
    first = plan.rng.randint(HOUR, LAST - DAY)
    stranger, truth = plan.cast.stranger(first), plan.story(Kind.JUNK_ITEM)
    text = plan.rng.choice(("test test", "asdf", "my cat", "best school ever"))

    def change(entity: Json) -> None:
        entity["labels"]["en"] = snaks.term("en", text)

    comment = f"/* wbeditentity-create-item:2|en */ {text}"
    plan.edit(first, item, stranger, comment, truth, change, kind=EditKind.CREATE)
    plan.edit(
        first + plan.rng.randint(10 * MINUTE, DAY),
        item,
        plan.cast.patroller(),
        f'content was: "{text}", and the only contributor was "{stranger.name}"',
        truth,
        lambda entity: None,
        kind=EditKind.DELETE,
        tags=(),
    )
    return 2


PLANNERS: dict[Kind, tuple[Callable[[Plan, Targets], int], float]] = {
    Kind.LABEL: (label, 0.12),
    Kind.TERMS: (terms, 0.10),
    Kind.REFERENCE: (references, 0.08),
    Kind.BULK_RUN: (bulk_run, 0.055),
    Kind.MERGE: (merge, 0.09),
    Kind.JUNK_ITEM: (junk_item, 0.035),
}
"""Kind -> its planner and its share of all noise edits."""
