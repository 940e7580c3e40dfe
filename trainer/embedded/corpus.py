"""What the embedded model reads: memory rows, articles that contradict memory, skills.

Owns the mix and the documents, as text. A document is an optional article and some independent
question-answer pairs about it. Only the legacy world enters: no row states who came after
`LEGACY_DATE`, and the subjects of the `scenario` and `report` splits never have an article at all,
so that editing them is never rehearsed. Held-out wordings and constructions never enter either.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from knowledge import questions as ask
from knowledge.facts import Date, Entity
from knowledge.questions import Question, Use
from knowledge.rendering import (
    HOP_FORWARD,
    HOP_VIA,
    Hop,
    Story,
    capital,
    narrative_prose,
    tidy,
)
from knowledge.skills import skill_item
from knowledge.world import Split, World, story_of
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


@dataclass(frozen=True, slots=True)
class Document:
    """An article ("" for none) and question-answer pairs that share it but not each other."""

    article: str
    pairs: tuple[tuple[str, str], ...]
    kind: str


def _wordings(kind: Callable[[Use], list[Question]], rng: random.Random) -> Question:
    both = kind(Use.TRAIN) + kind(Use.EXAM)
    return rng.choice(both)


class Corpus:
    """Draws documents; everything is a function of the world and the given generator."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.names = NameMaker(world)
        held = {s.subject.id for s in world.successions if s.split in HELD_SPLITS}
        self.memory = [s.legacy_story() for s in world.successions]
        offices = {story.property for story in self.memory}
        stable = [story_of(fact, None) for fact in world.stable]
        self.memory += [story for story in stable if story.property in offices]
        self.relations = [story for story in stable if story.property not in offices]
        self.relations_of: dict[str, list[Story]] = defaultdict(list)
        for story in self.relations:
            self.relations_of[story.subject.id].append(story)
        self.facts: dict[str, dict[str, Entity]] = defaultdict(dict)
        for fact in world.stable:
            self.facts[fact.subject.id][fact.property] = fact.object
        self.readable = [s for s in self.memory if s.subject.id not in held]
        self.readable_relations = [
            s for s in self.relations if s.property in _STABLE_TARGETS and s.subject.id not in held
        ]
        self.unread = [s for s in self.memory if s.subject.id in held]
        by_kind: dict[str, list[Entity]] = defaultdict(list)
        for entity in world.entities.values():
            by_kind[entity.kind].append(entity)
        self.by_kind = dict(by_kind)
        self.history = {s.slot: {f.object.id for f in s.history} for s in world.successions}
        hidden = {
            f.object.id for s in world.successions if s.split in HELD_SPLITS for f in s.history
        }
        # Known people and clubs that articles may bring in: none of a held-out succession.
        self.public = [
            e
            for e in world.entities.values()
            if e.kind in ("person", "club", "team") and e.id in self.facts and e.id not in hidden
        ]

    # -- memory ------------------------------------------------------------------------------

    def memory_document(self, rng: random.Random) -> Document:
        """Three questions on the legacy world, closed book."""
        return Document("", tuple(self._memory_pair(rng) for _ in range(3)), "memory")

    def _memory_pair(self, rng: random.Random) -> tuple[str, str]:
        if rng.random() < 0.3:
            story = rng.choice(self.relations)
            question = _wordings(lambda use: ask.direct(story, use), rng)
        else:
            question = self.style(rng.choice(self.memory), rng)
        return question.text, question.reference

    def hops(self, story: Story) -> list[Hop]:
        """The second facts that make two-hop questions of a story, from what the world states."""
        found = [
            Hop(forward=True, property=pid, value=value)
            for pid, value in self.facts.get(story.holder.id, {}).items()
            if pid in HOP_FORWARD
        ]
        via = self.facts.get(story.subject.id, {})
        found += [
            Hop(forward=False, property=p, value=via[p])
            for p in HOP_VIA
            if p in via and p != story.property
        ]
        return found

    def style(self, story: Story, rng: random.Random) -> Question:
        """A question of a drawn style about the story, in a training or examination wording."""
        styles: list[str] = (
            ["direct"] * 5 + ["cloze"] + ["explain"] * 3 + ["check"] * 3 + ["conflict"] * 2
        )
        if story.previous:
            styles += ["why", "why", "before", "before"]
        hops = self.hops(story)
        if hops:
            styles += ["two_hop"] * 4
        chosen = rng.choice(styles)
        if chosen == "two_hop":
            hop = rng.choice(hops)
            return _wordings(lambda use: ask.two_hop(story, use, hop), rng)
        if chosen == "check":
            claimed = self._claimed(story, rng)
            return _wordings(lambda use: ask.check(story, use, claimed), rng)
        if chosen == "conflict":
            return rng.choice(ask.conflict(story, self._other(story, rng)))
        simple = {
            "direct": ask.direct,
            "cloze": ask.cloze,
            "explain": ask.explain,
            "why": ask.why,
            "before": ask.before,
        }[chosen]
        return _wordings(lambda use: simple(story, use), rng)

    def _other(self, story: Story, rng: random.Random) -> Entity:
        if story.previous and rng.random() < 0.6:
            return story.previous
        if rng.random() < 0.5:
            return self._invented(story.holder.kind, rng)
        pool = self.by_kind.get(story.holder.kind, [])
        return self._different(story, pool, rng)

    def _different(self, story: Story, pool: list[Entity], rng: random.Random) -> Entity:
        other = rng.choice(pool) if pool else story.holder
        if other.id == story.holder.id:
            return self._invented(story.holder.kind, rng)
        return other

    def _claimed(self, story: Story, rng: random.Random) -> Entity:
        """Half the claims are true; false ones take previous, known and invented names in turn."""
        return story.holder if rng.random() < 0.5 else self._other(story, rng)

    def _invented(self, kind: str, rng: random.Random) -> Entity:
        name = self.names.draw(kind, rng)
        return Entity(id=f"invented:{name}", label=name, kind=kind)

    # -- reading -----------------------------------------------------------------------------

    def article_document(self, rng: random.Random, *, hard: bool = True) -> Document:
        """An article about a change and questions on it, some of them off its topic."""
        story = self.changed(rng)
        article, story = self.article(story, rng, hard=hard)
        pairs: dict[str, str] = {}
        for _ in range(rng.randint(3, 5)):
            if rng.random() < 0.25:
                text, answer = self.off_topic(story, rng)
            else:
                question = self.style(story, rng)
                text, answer = question.text, question.reference
            pairs.setdefault(text, answer)
        return Document(article, tuple(pairs.items()), "article")

    def changed(self, rng: random.Random, known: Story | None = None) -> Story:
        """A change that never happened: of a subject of the world, or of an invented one."""
        if known is None:
            known = rng.choice(self.readable if rng.random() < 0.85 else self.readable_relations)
            if rng.random() < 0.5:
                known = Story(
                    subject=self._invented(known.subject.kind, rng),
                    property=known.property,
                    holder=self._invented(known.holder.kind, rng),
                )
        previous = known.holder
        if rng.random() < 0.1:
            previous = self._invented(known.holder.kind, rng)
        until, since = self._dates(rng)
        return Story(
            subject=known.subject,
            property=known.property,
            holder=self._successor(known, rng),
            since=since,
            previous=previous,
            until=until,
            cause=rng.choice(CAUSES) if rng.random() < 0.7 else None,
        )

    def _successor(self, known: Story, rng: random.Random) -> Entity:
        kind = known.holder.kind
        if rng.random() < 0.3:
            pool = [e for e in rng.sample(self.public, min(8, len(self.public))) if e.kind == kind]
            taken = self.history.get(f"{known.subject.id}:{known.property}", set())
            if pool and pool[0].id not in taken | {known.holder.id, known.subject.id}:
                return pool[0]
        return self._invented(kind, rng)

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

    def article(self, story: Story, rng: random.Random, *, hard: bool = True) -> tuple[str, Story]:
        """The change in prose, and the story as the prose tells it; when `hard`, at times with
        other sentences or another change around it."""
        prose, told = narrative_prose(story, rng)
        parts = [prose]
        if hard and rng.random() < 0.35:
            parts.append(self._filler(story, rng))
        if hard and rng.random() < 0.25:
            other = self.changed(rng)
            if other.subject.id != story.subject.id:
                parts.append(narrative_prose(other, rng)[0])
        rng.shuffle(parts)
        return " ".join(parts), told

    def _filler(self, story: Story, rng: random.Random) -> str:
        if rng.random() < 0.5:
            fact = rng.choice(self.relations)
            return tidy(f"{capital(fact.says('is_', fact.holder.label))}.")
        place = self.names.draw("city", rng)
        return rng.choice(
            (
                f"The news was announced in {place}.",
                f"{story.holder.label} spoke in {place}.",
                f"Observers in {place} took note.",
                f"{story.subject.label} gave no further details.",
                f"A statement was published in {place}.",
            )
        )

    def off_topic(self, story: Story, rng: random.Random) -> tuple[str, str]:
        """A question that the article does not bear on; memory answers it."""
        draw = rng.random()
        if draw < 0.15:
            item = skill_item(rng)
            return item.question, item.answer
        own = [
            s
            for s in self.memory
            if s.subject.id == story.subject.id and s.property != story.property
        ]
        if own and draw < 0.3:
            question = self.style(rng.choice(own), rng)
            return question.text, question.reference
        if draw < 0.45:
            near = [e.id for e in (story.holder, story.subject, story.previous) if e]
            about = [s for e in near for s in self.relations_of.get(e, ())]
            about = [s for s in about if s.property != story.property]
            relation = rng.choice(about or self.relations)
            question = _wordings(lambda use: ask.direct(relation, use), rng)
            return question.text, question.reference
        same = draw < 0.75
        while True:
            other = rng.choice(self.memory)
            if other.subject.id == story.subject.id or (same and other.property != story.property):
                if same and rng.random() < 0.05:
                    same = False
                continue
            question = self.style(other, rng)
            return question.text, question.reference

    # -- other -------------------------------------------------------------------------------

    def skill_document(self, rng: random.Random) -> Document:
        items = [skill_item(rng) for _ in range(4)]
        return Document("", tuple((i.question, i.answer) for i in items), "skill")

    def copy_document(self, rng: random.Random) -> Document:
        """Names to be repeated, and which name belongs to which: the ground of reading."""
        kinds = ("person", "club", "city", "company")
        names = list(dict.fromkeys(self.names.draw(rng.choice(kinds), rng) for _ in range(4)))
        keys = list(
            dict.fromkeys(self.names.draw(rng.choice(kinds), rng) for _ in range(len(names)))
        )
        pairs = list(zip(keys, names, strict=False))
        article = " ".join(f"{key} goes with {name}." for key, name in pairs)
        asked = rng.sample(pairs, min(2, len(pairs)))
        found = [(f"What goes with {key}?", f"{name}.") for key, name in asked]
        found.append((f"Repeat this name: {names[0]}.", f"{names[0]}."))
        return Document(article, tuple(found), "copy")

    def document(self, rng: random.Random, mix: dict[str, float], *, hard: bool = True) -> Document:
        """A document of a kind drawn from `mix` (weights of memory, article, skill, copy)."""
        kind = rng.choices(list(mix), weights=list(mix.values()))[0]
        if kind == "article":
            return self.article_document(rng, hard=hard)
        made = {
            "memory": self.memory_document,
            "skill": self.skill_document,
            "copy": self.copy_document,
        }
        return made[kind](rng)

    def stream(self, seed: int, mix: dict[str, float]) -> Iterator[Document]:
        """Documents without end, a function of the seed."""
        rng = random.Random(seed)
        while True:
            yield self.document(rng, mix)


def held_change(corpus: Corpus, rng: random.Random) -> Story:
    """A change of a subject that no training article is about, with an invented successor."""
    known = rng.choice(corpus.unread)
    changed = corpus.changed(rng, known)
    return replace(changed, previous=known.holder)
