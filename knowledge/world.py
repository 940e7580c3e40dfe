"""The one table of facts and successions behind demo, local Wikidata and embedded corpus.

Owns reading `world.csv` (one statement a row) and the views on it: the legacy world as of
`LEGACY_DATE`, the successions after it, the stable facts. Does not render text.
"""

from __future__ import annotations

import builtins
import csv
import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path

from knowledge.facts import Date, Entity
from knowledge.rendering import Story

LEGACY_DATE = dt.date(2021, 12, 1)
"""The day up to which the embedded model's world reaches."""

WORLD_CSV = Path(__file__).with_name("world.csv")


class Split(StrEnum):
    """What a succession may be used for. Nothing is tuned on `scenario` or `report`."""

    SCENARIO = "scenario"
    TUNE = "tune"
    REPORT = "report"
    SPARE = "spare"
    STABLE = "stable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One row: `property` of `subject` is `object` from `start` (None: not known) to `end`."""

    subject: Entity
    property: str
    object: Entity
    start: Date | None
    end: Date | None
    end_cause: str | None
    split: Split
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """A fact whose holder on `LEGACY_DATE` has since been replaced. `history` is the whole row
    list in order of time; its last two rows are the legacy holder `old` and the latest one, `new`;
    `before` is who preceded `old`, where that is known."""

    subject: Entity
    property: str
    history: tuple[Fact, ...]
    old: Fact
    new: Fact
    split: Split

    @builtins.property
    def slot(self) -> str:
        return f"{self.subject.id}:{self.property}"

    @builtins.property
    def before(self) -> Fact | None:
        index = self.history.index(self.old)
        return self.history[index - 1] if index else None

    def legacy_story(self) -> Story:
        """How the legacy holder came to hold the fact."""
        return story_of(self.old, self.before)

    def new_story(self) -> Story:
        """How the latest holder came after the legacy one."""
        return story_of(self.new, self.old)


def story_of(fact: Fact, before: Fact | None) -> Story:
    """The story of a row, given the row that it replaced."""
    return Story(
        subject=fact.subject,
        property=fact.property,
        holder=fact.object,
        since=fact.start,
        previous=before.object if before else None,
        until=before.end if before else None,
        cause=before.end_cause if before else None,
    )


class World:
    """The table and its views. Immutable once built; `World.load()` reads the shipped table."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self.facts = tuple(facts)

    @classmethod
    def load(cls, path: Path = WORLD_CSV) -> World:
        return _load(path)

    @cached_property
    def entities(self) -> dict[str, Entity]:
        """Every entity of the table by item id."""
        found: dict[str, Entity] = {}
        for fact in self.facts:
            for entity in (fact.subject, fact.object):
                known = found.get(entity.id)
                if known is None or len(entity.aliases) > len(known.aliases):
                    found[entity.id] = entity
        return found

    @cached_property
    def by_slot(self) -> dict[tuple[str, str], tuple[Fact, ...]]:
        """Rows of one (subject id, property) in the order of the table, which is that of time."""
        slots: dict[tuple[str, str], list[Fact]] = defaultdict(list)
        for fact in self.facts:
            slots[fact.subject.id, fact.property].append(fact)
        return {slot: tuple(rows) for slot, rows in slots.items()}

    @cached_property
    def successions(self) -> tuple[Succession, ...]:
        return tuple(s for rows in self.by_slot.values() if (s := _succession(rows)))

    def split(self, split: Split) -> tuple[Succession, ...]:
        return tuple(s for s in self.successions if s.split is split)

    @cached_property
    def stable(self) -> tuple[Fact, ...]:
        """Facts that held on `LEGACY_DATE` and still hold."""
        return tuple(f for f in self.facts if f.split is Split.STABLE)

    @cached_property
    def legacy(self) -> tuple[Fact, ...]:
        """The world as of `LEGACY_DATE`: each succession's legacy holder, and the stable facts."""
        return tuple(s.old for s in self.successions) + self.stable


def _succession(rows: tuple[Fact, ...]) -> Succession | None:
    if rows[0].split is Split.STABLE or len(rows) < 2:
        return None
    old, new = rows[-2:]
    if old.object.id == new.object.id:
        return None
    return Succession(
        subject=rows[0].subject,
        property=rows[0].property,
        history=rows,
        old=old,
        new=new,
        split=rows[0].split,
    )


@lru_cache(maxsize=4)
def _load(path: Path) -> World:
    with path.open(encoding="utf-8", newline="") as handle:
        return World(_fact(row) for row in csv.DictReader(handle))


def _fact(row: dict[str, str]) -> Fact:
    aliases = tuple(a for a in row["object_aliases"].split("|") if a)
    return Fact(
        subject=Entity(id=row["subject_id"], label=row["subject"], kind=row["subject_kind"]),
        property=row["property"],
        object=Entity(
            id=row["object_id"],
            label=row["object"],
            aliases=aliases,
            kind=row["object_kind"],
        ),
        start=Date.of(row["start"]),
        end=Date.of(row["end"]),
        end_cause=row["end_cause"] or None,
        split=Split(row["split"]),
        source=row["source"],
    )
