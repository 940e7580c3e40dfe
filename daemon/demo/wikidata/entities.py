"""The items of the local Wikidata as they stand before the scenario: the table of the world, built.

Owns which items there are, their labels, classes, statements and ids, and the numbering of new
items and statements. What is edited afterwards is `patterns` and `noise`.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Mapping

from daemon.demo.wikidata import snaks, vocabulary
from daemon.demo.wikidata.snaks import Json
from knowledge.facts import Date, Entity
from knowledge.properties import CATALOGUE, noun_phrase
from knowledge.world import LEGACY_DATE, Fact, World

_HOSTS = ("gazette", "courier", "press-office", "bulletin", "herald", "register")
_MUL_SHARE = 0.2
_REFERENCE_SHARE = 0.6
_OTHER_LANGUAGES = ("de", "fr", "es", "nl", "it")


class Catalogue:
    """Every item by id, in storage form, with the statement of each fact of the table.

    `statements[subject id, property]` is the id of the statement that holds on `LEGACY_DATE`;
    `offices` maps such a pair to its office item.
    """

    def __init__(
        self, world: World, rng: random.Random, ranks: Mapping[tuple[str, str], str]
    ) -> None:
        self.world = world
        self.items: dict[str, Json] = {}
        self.statements: dict[tuple[str, str], str] = {}
        self.offices: dict[tuple[str, str], str] = {}
        self._rng = rng
        self._next_id = vocabulary.FIRST_HELPER_ID
        self._classes: dict[str, str] = {}
        self._causes: dict[str, str] = {}
        self._titles: set[str] = set()
        self._successions = {(s.subject.id, s.property): s for s in world.successions}
        self._add_classes()
        self._add_entities()
        self.sources = tuple(
            self.new_item(f"The {name}", "organisation", "news agency")
            for name in ("Statesman's Record", "World Officeholders", "Company Yearbook")
        )
        for (subject, property_id), facts in world.by_slot.items():
            self._state(subject, property_id, facts, ranks.get((subject, property_id)))

    # -- numbering ---------------------------------------------------------------------------

    def guid(self, item_id: str) -> str:
        """A fresh statement id of that item."""
        return f"{item_id}${str(uuid.UUID(int=self._rng.getrandbits(128), version=4)).upper()}"

    def new_item(self, label: str, kind: str, description: str) -> str:
        """Add an item of the local range, classed by its kind word; returns its id."""
        item_id = self._fresh_id()
        self._fill(Entity(id=item_id, label=label, kind=kind), description)
        return item_id

    def reserve_item(self) -> str:
        """The id of an item that somebody creates later."""
        return self._fresh_id()

    def _fresh_id(self) -> str:
        self._next_id += 1
        return f"Q{self._next_id}"

    # -- pieces ------------------------------------------------------------------------------

    def label(self, item_id: str) -> str:
        labels = self.items[item_id]["labels"]
        return next((labels[x]["value"] for x in ("en", "mul") if x in labels), item_id)

    def cause(self, text: str) -> str:
        """The item of an end cause such as `resignation`."""
        if text not in self._causes:
            self._causes[text] = self.new_item(text, "end cause", "reason for leaving a post")
        return self._causes[text]

    def add(self, item_id: str, property_id: str, value: str, *qualifiers: Json) -> str:
        """Add a statement to an item as it stands before the scenario; returns its id."""
        guid = self.guid(item_id)
        made = snaks.statement(
            guid, snaks.item_snak(property_id, value), qualifiers=tuple(qualifiers)
        )
        self.items[item_id]["claims"].setdefault(property_id, []).append(made)
        return guid

    def reference(self, retrieved: dt.date) -> Json:
        """A reference to a source item or to a web page, with the day it was looked up."""
        day = Date(retrieved.year, retrieved.month, retrieved.day)
        if self._rng.random() < 0.3:
            return snaks.reference(
                snaks.item_snak("P248", self._rng.choice(self.sources)),
                snaks.time_snak("P813", day),
            )
        host = self._rng.choice(_HOSTS)
        page = f"{retrieved:%Y/%m}/{self._rng.randrange(10**5, 10**6)}"
        return snaks.reference(
            snaks.url_snak("P854", f"https://www.{host}.example/{page}"),
            snaks.time_snak("P813", day),
        )

    # -- building ----------------------------------------------------------------------------

    def _add_classes(self) -> None:
        for word, (class_id, label) in vocabulary.CLASSES.items():
            self._classes[word] = class_id
            self._name(class_id, label)
        self._name(vocabulary.ACTING, "acting")

    def _name(self, item_id: str, label: str) -> None:
        made = self.items[item_id] = snaks.item(item_id)
        made["labels"]["en"] = snaks.term("en", label)

    def _class(self, kind: str) -> str:
        word = vocabulary.class_word(kind)
        if word not in self._classes:
            self._classes[word] = self._fresh_id()
            self._name(self._classes[word], word)
        return self._classes[word]

    def _add_entities(self) -> None:
        callings = {
            f.object.id: vocabulary.CALLINGS[f.property]
            for f in self.world.facts
            if f.property in vocabulary.CALLINGS and f.property != "P54"
        }
        callings |= {f.subject.id: "athlete" for f in self.world.facts if f.property == "P54"}
        kinds = {e.id: e.kind for e in self.world.entities.values()}
        for entity in self.world.entities.values():
            if entity.id in self.items:
                continue
            kind = kinds[entity.id] or ("person" if entity.id in callings else "")
            word = callings.get(entity.id) or kind or "organisation"
            named = Entity(id=entity.id, label=entity.label, aliases=entity.aliases, kind=kind)
            self._fill(named, word)

    def _fill(self, entity: Entity, description: str) -> None:
        made = self.items[entity.id] = snaks.item(entity.id)
        person = vocabulary.class_word(entity.kind) == "human"
        language = "mul" if person and self._rng.random() < _MUL_SHARE else "en"
        made["labels"][language] = snaks.term(language, entity.label)
        for other in _OTHER_LANGUAGES:
            if language == "en" and self._rng.random() < 0.4:
                made["labels"][other] = snaks.term(other, entity.label)
        if description:
            made["descriptions"]["en"] = snaks.term("en", description)
        if entity.aliases:
            made["aliases"]["en"] = [snaks.term("en", a) for a in entity.aliases]
        self.add(entity.id, "P31", self._class(entity.kind))
        if entity.id in self.world.entities:
            title = self._title(entity)
            made["sitelinks"]["enwiki"] = {"site": "enwiki", "title": title, "badges": []}

    def _title(self, entity: Entity) -> str:
        """The title of the item's article: its label, told apart where two share one."""
        title = entity.label
        if title in self._titles:
            title = f"{entity.label} ({entity.kind or entity.id})"
        if title in self._titles:
            title = f"{entity.label} ({entity.id})"
        self._titles.add(title)
        return title

    def _state(
        self, subject: str, property_id: str, facts: tuple[Fact, ...], rank: str | None
    ) -> None:
        """The statements of one slot on `LEGACY_DATE`: past holders ended, the holder in force."""
        succession = self._successions.get((subject, property_id))
        known = facts[: facts.index(succession.old) + 1] if succession else facts
        past, current = (known[:-1], known[-1:]) if succession else ((), known)
        claims = self.items[subject]["claims"].setdefault(property_id, [])
        for index, fact in enumerate(past):
            claims.append(self.past_statement(fact, known[index + 1]))
        for fact in current:
            self.statements.setdefault((subject, property_id), self.guid(subject))
            guid = self.statements[subject, property_id]
            taken = any(made["id"] == guid for made in claims)
            claims.append(
                snaks.statement(
                    self.guid(subject) if taken else guid,
                    snaks.item_snak(property_id, fact.object.id),
                    rank=rank or "normal",
                    qualifiers=started(fact, past[-1] if past else None),
                    references=self._references(),
                )
            )
        if succession:
            self._office(subject, property_id, succession.old)

    def past_statement(self, fact: Fact, following: Fact) -> Json:
        """The statement of a holder who has left, with everything that the table knows."""
        return snaks.statement(
            self.guid(fact.subject.id),
            snaks.item_snak(fact.property, fact.object.id),
            qualifiers=(*started(fact, None), *self.ending(fact, following)),
            references=self._references(),
        )

    def ending(self, fact: Fact, following: Fact) -> tuple[Json, ...]:
        """The qualifiers that end a statement: end time, replaced by, end cause."""
        when = snaks.time_snak("P582", fact.end) if fact.end else snaks.unknown_snak("P582")
        found = [when]
        if vocabulary.class_word(following.object.kind) == "human":
            found.append(snaks.item_snak("P1366", following.object.id))
        if fact.end_cause:
            found.append(snaks.item_snak("P1534", self.cause(fact.end_cause)))
        return tuple(found)

    def _references(self) -> tuple[Json, ...]:
        if self._rng.random() > _REFERENCE_SHARE:
            return ()
        return (self.reference(LEGACY_DATE - dt.timedelta(days=self._rng.randrange(30, 900))),)

    def _office(self, subject: str, property_id: str, holder: Fact) -> None:
        """The office item of a slot, with its holder, and the holder's own statement of it."""
        start = started(holder, None)
        person = holder.object.id
        if property_id == "P54":
            self.add(person, "P527", subject, *start)
            return
        if property_id not in vocabulary.OFFICE_PROPERTIES:
            self.add(person, "P6087", subject, *start)
            return
        known = CATALOGUE.get(property_id)
        title = noun_phrase(property_id, self.label(subject)) if known else "office"
        office = self.new_item(title.removeprefix("the "), "position", "office")
        self.offices[subject, property_id] = office
        self.add(subject, vocabulary.OFFICE_PROPERTIES[property_id], office)
        self.add(office, "P1308", person, *start)
        self.add(person, "P39", office, *start)


def started(fact: Fact, before: Fact | None) -> tuple[Json, ...]:
    """The qualifiers that start a statement: start time, replaces."""
    found = [snaks.time_snak("P580", fact.start)] if fact.start else []
    if before and vocabulary.class_word(before.object.kind) == "human":
        found.append(snaks.item_snak("P1365", before.object.id))
    return tuple(found)
