"""Changes that never happened: what the embedded model's articles are about.

Owns the draw of subject, new holder, dates and cause. Subjects of the `scenario` and `report`
splits are never drawn, nobody who ever held a fact is its new holder, and half of the subjects are
invented, so that reading does not hang on memory.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace

from knowledge.facts import Date, Entity
from knowledge.rendering import Story
from knowledge.world import Split, World
from trainer.embedded import lexicon
from trainer.embedded.names import NameMaker

HELD_SPLITS = frozenset({Split.SCENARIO, Split.REPORT})
"""Splits whose subjects never occur in an article."""

_CAUSES = (
    "resignation|death|end of term|election defeat|dismissal|retirement|transfer|coup|abdication|"
    "coalition change|promotion|vote of no confidence|end of contract|impeachment|term limit|sale|"
    "merger|illness|injury|scandal|reorganisation|poor results|a new mandate|relegation|bankruptcy|"
    "disagreement|family reasons|a strike|a court ruling|budget cuts|a referendum|restructuring|"
    "a better offer|loss of majority|a leadership contest|expiry of the mandate|a swap deal|"
    "a board decision|move abroad|snap election|suspension|disqualification|a takeover|demolition"
)
CAUSES = tuple(_CAUSES.split("|"))

_STABLE_TARGETS = ("P36", "P159", "P115", "P118", "P38", "P112")
"""Stable properties that an article may contradict as well, for the breadth of the reading rule."""


class ChangeMaker:
    """Draws changes; everything is a function of the world and the given generator."""

    def __init__(
        self, world: World, names: NameMaker, memory: list[Story], relations: list[Story]
    ) -> None:
        self.names = names
        held = {s.subject.id for s in world.successions if s.split in HELD_SPLITS}
        self.readable = [s for s in memory if s.subject.id not in held]
        self.readable_relations = [
            s for s in relations if s.property in _STABLE_TARGETS and s.subject.id not in held
        ]
        self.unread = [s for s in memory if s.subject.id in held]
        by_kind: dict[str, list[Entity]] = defaultdict(list)
        for entity in world.entities.values():
            by_kind[entity.kind].append(entity)
        self._by_kind = dict(by_kind)
        self._history = {s.slot: {f.object.id for f in s.history} for s in world.successions}
        hidden = {
            f.object.id for s in world.successions if s.split in HELD_SPLITS for f in s.history
        }
        known = {fact.subject.id for fact in world.stable}
        # Known people and clubs that articles may bring in: none of a held-out succession.
        public = [
            e
            for e in world.entities.values()
            if e.kind in ("person", "club", "team") and e.id in known and e.id not in hidden
        ]
        self._public = {kind: [e for e in public if e.kind == kind] for kind in ("person", "club")}

    def invented(self, kind: str, rng: random.Random) -> Entity:
        """An entity that does not exist."""
        name = self.names.draw(kind, rng)
        return Entity(id=f"invented:{name}", label=name, kind=kind)

    def subject(self, rng: random.Random) -> Story:
        """A fact that may change: one of memory, or one of an invented subject."""
        known = rng.choice(self.readable if rng.random() < 0.85 else self.readable_relations)
        if rng.random() < 0.5:
            return known
        return Story(
            subject=self.invented(known.subject.kind, rng),
            property=known.property,
            holder=self.invented(known.holder.kind, rng),
        )

    def changed(self, rng: random.Random, known: Story | None = None) -> Story:
        """A change that never happened: of a subject of the world, or of an invented one."""
        known = known or self.subject(rng)
        previous = known.holder
        if rng.random() < 0.1:
            previous = self.invented(known.holder.kind, rng)
        until, since = self._dates(rng)
        return Story(
            subject=known.subject,
            property=known.property,
            holder=self._successor(known, rng),
            since=since,
            previous=previous,
            until=until,
            cause=self.cause(rng) if rng.random() < 0.7 else None,
        )

    def held_change(self, rng: random.Random) -> Story:
        """A change of a subject that no training article is about."""
        known = rng.choice(self.unread)
        return replace(self.changed(rng, known), previous=known.holder)

    def other_name(self, story: Story, rng: random.Random, bystanders: tuple[str, ...]) -> Entity:
        """Somebody who does not hold the fact: the previous holder, somebody known, a bystander of
        the article, or nobody at all, about as often each."""
        kind = story.holder.kind
        draw = rng.random()
        if story.previous and draw < 0.35:
            return story.previous
        if bystanders and kind == "person" and draw < 0.55:
            name = rng.choice(bystanders)
            return Entity(id=f"invented:{name}", label=name, kind=kind)
        pool = self._by_kind.get(kind, ()) if draw < 0.8 else ()
        other = rng.choice(pool) if pool else self.invented(kind, rng)
        return self.invented(kind, rng) if other.id == story.holder.id else other

    def cause(self, rng: random.Random) -> str:
        """A cause: one of the usual ones, or a phrase that no list has, to be copied."""
        if rng.random() < 0.6:
            return rng.choice(CAUSES)
        return lexicon.fresh_cause(
            rng, lambda name: self.names.draw("city" if name == "place" else "company", rng)
        )

    def _successor(self, known: Story, rng: random.Random) -> Entity:
        kind = known.holder.kind
        pool = self._public.get(kind)
        if pool and rng.random() < 0.3:
            chosen = rng.choice(pool)
            taken = self._history.get(f"{known.subject.id}:{known.property}", set())
            if chosen.id not in taken | {known.holder.id, known.subject.id}:
                return chosen
        return self.invented(kind, rng)

    def _dates(self, rng: random.Random) -> tuple[Date | None, Date | None]:
        draw = rng.random()
        if draw < 0.1:
            return None, None
        year, month, day = rng.randint(2021, 2026), rng.randint(1, 12), rng.randint(1, 28)
        since = Date(year, month, day)
        if draw < 0.3:
            return Date(year), Date(year)
        if draw < 0.4:
            return Date(year, month), Date(year, month)
        same = rng.random() < 0.5
        until = since if same else Date(year, max(1, month - rng.randint(0, 2)), rng.randint(1, 28))
        if draw < 0.5:
            return None, since
        return until, since
