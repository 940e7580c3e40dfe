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
from knowledge.facts import Entity
from knowledge.questions import Question, Use
from knowledge.rendering import (
    HOP_FORWARD,
    HOP_VIA,
    ORDERS,
    Hop,
    Story,
    as_told,
    capital,
    claim_sentences,
    narrative_prose,
    tidy,
)
from knowledge.skills import skill_item
from knowledge.world import World, story_of
from trainer.embedded import wordings
from trainer.embedded.articles import ArticleWriter
from trainer.embedded.blur import blurred, kept_names
from trainer.embedded.changes import ChangeMaker
from trainer.embedded.names import NameMaker

WIDE = 0.65
"""Share of articles and questions in the wide grammar; the rest is the drafter's and the trainer's
own. Drawn anew for each article and for each question."""
BLURRED = 0.2
"""Share of articles on one change in which words are exchanged (`trainer.embedded.blur`)."""

_STYLES = [*["direct"] * 5, "cloze", *["explain"] * 3, *["check"] * 4, *["conflict"] * 2]
"""Styles that any story can be asked in, as often as they are drawn."""


@dataclass(frozen=True, slots=True)
class Document:
    """An article ("" for none) and question-answer pairs that share it but not each other."""

    article: str
    pairs: tuple[tuple[str, str], ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Told:
    """A story as an article tells it, or as memory holds it, and the others whom the article
    names."""

    story: Story
    bystanders: tuple[str, ...] = ()


class Corpus:
    """Draws documents; everything is a function of the world and the given generator."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.names = NameMaker(world)
        self.articles = ArticleWriter(self.names)
        self.memory = [s.legacy_story() for s in world.successions]
        offices = {story.property for story in self.memory}
        stable = [story_of(fact, None) for fact in world.stable]
        self.memory += [story for story in stable if story.property in offices]
        self.relations = [story for story in stable if story.property not in offices]
        self.changes = ChangeMaker(world, self.names, self.memory, self.relations)
        self.relations_of: dict[str, list[Story]] = defaultdict(list)
        for story in self.relations:
            self.relations_of[story.subject.id].append(story)
        self.memory_of: dict[str, list[Story]] = defaultdict(list)
        for story in self.memory:
            self.memory_of[story.subject.id].append(story)
        self.facts: dict[str, dict[str, Entity]] = defaultdict(dict)
        for fact in world.stable:
            self.facts[fact.subject.id][fact.property] = fact.object

    # -- questions ---------------------------------------------------------------------------

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

    def pair(self, told: Told, rng: random.Random) -> tuple[str, str]:
        """A question of a drawn style about the story, and its answer."""
        story = told.story
        styles = list(_STYLES)
        if story.previous:
            styles += ["why", "why", "before", "before"]
        hops = self.hops(story)
        if hops:
            styles += ["two_hop"] * 4
        style = styles[int(rng.random() * len(styles))]
        hop = rng.choice(hops) if style == "two_hop" else None
        other = None
        if style == "conflict" or (style == "check" and rng.random() < 0.5):
            other = self.changes.other_name(story, rng, told.bystanders)
        if rng.random() < WIDE:
            return wordings.question(style, story, rng, hop=hop, other=other)
        return _own(style, story, rng, hop, other)

    def relation_pair(self, story: Story, rng: random.Random) -> tuple[str, str]:
        """A short question about a stable fact."""
        if rng.random() < WIDE:
            return wordings.question("direct", story, rng)
        return _own("direct", story, rng, None, None)

    # -- memory ------------------------------------------------------------------------------

    def memory_document(self, rng: random.Random) -> Document:
        """Three questions on the legacy world, closed book."""
        return Document("", tuple(self.memory_pair(rng) for _ in range(3)), "memory")

    def memory_pair(self, rng: random.Random) -> tuple[str, str]:
        if rng.random() < 0.3:
            return self.relation_pair(rng.choice(self.relations), rng)
        return self.pair(Told(rng.choice(self.memory)), rng)

    # -- reading -----------------------------------------------------------------------------

    def article_document(self, rng: random.Random) -> Document:
        """An article about changes and questions on them, some of them off its topic."""
        article, told = self.article(rng)
        pairs: dict[str, str] = {}
        for _ in range(rng.randint(3, 5)):
            if rng.random() < 0.25:
                text, answer = self.off_topic([t.story for t in told], rng)
            else:
                text, answer = self.pair(rng.choice(told), rng)
            pairs.setdefault(text, answer)
        return Document(article, tuple(pairs.items()), "article")

    def article(self, rng: random.Random) -> tuple[str, list[Told]]:
        """One article: of one to three changes, a list of them, or of something that stays."""
        draw = rng.random()
        if draw > WIDE:
            return self._own_article(self.changes.changed(rng), rng)
        share = draw / WIDE
        if share < 0.08:
            return self._listing(rng)
        if share < 0.15:
            return self._no_change(rng)
        count = 1 if share < 0.75 else 2 if share < 0.95 else 3
        stories = self._different(count, rng)
        room = rng.choice((0, 1, 1, 2, 3, 4)) if count == 1 else rng.choice((0, 1))
        if count == 1 and self._remembered(stories[0]) and rng.random() < BLURRED:
            return self._blurred(replace(stories[0], until=None), rng)
        parts: list[str] = []
        told: list[Told] = []
        for story in stories:
            text, read, bystanders = self.articles.change(
                story, rng, room=room, remembered=self._remembered(story)
            )
            parts.append((self.articles.link(rng) if parts else "") + text)
            told.append(Told(read, bystanders))
        return (" " if rng.random() < 0.8 else "\n").join(parts), told

    def _blurred(self, story: Story, rng: random.Random) -> tuple[str, list[Told]]:
        """An article of which words are exchanged: memory alone says who was the holder."""
        text, read, bystanders = self.articles.change(
            story, rng, room=rng.choice((0, 0, 1)), remembered=True
        )
        if not read.cause or read.cause in text:  # a cause told as a verb would be lost
            text = blurred(text, kept_names(story), rng.choice((0.15, 0.3, 0.5)), rng)
        return text, [Told(read, bystanders)]

    def blurred_claims(self, story: Story, rng: random.Random) -> tuple[str, Story]:
        """The drafter's four sentences with words of some exchanged. Where memory does not know who
        was before, one that says who is now stays as it is."""
        plain = None if self._remembered(story) else rng.choice("TN")
        claims = [key for key in "LCTN" if key != plain and rng.random() < 0.7]
        if "L" in claims:
            story = replace(story, until=None)
        sentences = claim_sentences(story, rng)
        told = as_told(story, sentences)
        for key in claims:
            rate = rng.choice((0.3, 0.6) if key == "C" else (0.3, 0.6, 0.9))
            sentences[key] = blurred(sentences[key], kept_names(story), rate, rng)
        return " ".join(sentences[key] for key in rng.choice(ORDERS)), told

    def _remembered(self, story: Story) -> bool:
        """Whether memory holds that the story's previous holder is the holder."""
        own = self.memory_of.get(story.subject.id, ()) or self.relations_of.get(
            story.subject.id, ()
        )
        return story.previous is not None and any(
            s.property == story.property and s.holder.id == story.previous.id for s in own
        )

    def _different(self, count: int, rng: random.Random) -> list[Story]:
        """That many changes of different subjects."""
        found: dict[str, Story] = {}
        while len(found) < count:
            story = self.changes.changed(rng)
            found.setdefault(story.subject.id, story)
        return list(found.values())

    def _listing(self, rng: random.Random) -> tuple[str, list[Told]]:
        article, told = self.articles.listing(self._different(rng.randint(2, 4), rng), rng)
        return article, [Told(story) for story in told]

    def _no_change(self, rng: random.Random) -> tuple[str, list[Told]]:
        """An article that confirms who holds a fact; what is asked of it is the present holder."""
        known = self.changes.subject(rng)
        bare = Story(subject=known.subject, property=known.property, holder=known.holder)
        article, read, bystanders = self.articles.change(bare, rng, room=2)
        invented = known.subject.id.startswith("invented:")
        return article, [Told(read if invented else known, bystanders)]

    def _own_article(self, story: Story, rng: random.Random) -> tuple[str, list[Told]]:
        """The drafter's prose, at times with other sentences or another change around it."""
        if rng.random() < BLURRED:
            prose, told = self.blurred_claims(story, rng)
            return prose, [Told(told)]
        prose, told = narrative_prose(story, rng)
        parts, stories = [prose], [Told(told)]
        if rng.random() < 0.35:
            parts.append(self._filler(story, rng))
        if rng.random() < 0.25:
            other = self.changes.changed(rng)
            if other.subject.id != story.subject.id:
                beside, read = narrative_prose(other, rng)
                parts.append(beside)
                stories.append(Told(read))
        rng.shuffle(parts)
        return " ".join(parts), stories

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

    def off_topic(self, stories: list[Story], rng: random.Random) -> tuple[str, str]:
        """A question that the article does not bear on; memory answers it."""
        draw = rng.random()
        subjects = {story.subject.id for story in stories}
        story = rng.choice(stories)
        if draw < 0.15:
            item = skill_item(rng)
            return item.question, item.answer
        own = [s for s in self.memory_of.get(story.subject.id, ()) if s.property != story.property]
        if own and draw < 0.3:
            return self.pair(Told(rng.choice(own)), rng)
        if draw < 0.45:
            near = [e.id for e in (story.holder, story.subject, story.previous) if e]
            about = [s for e in near for s in self.relations_of.get(e, ())]
            told = {(s.subject.id, s.property) for s in stories}
            about = [s for s in about if (s.subject.id, s.property) not in told]
            return self.relation_pair(rng.choice(about or self.relations), rng)
        same = draw < 0.75
        for _ in range(200):
            other = rng.choice(self.memory)
            if other.subject.id not in subjects and (not same or other.property == story.property):
                return self.pair(Told(other), rng)
        item = skill_item(rng)
        return item.question, item.answer

    # -- other -------------------------------------------------------------------------------

    def skill_document(self, rng: random.Random) -> Document:
        items = [skill_item(rng) for _ in range(4)]
        return Document("", tuple((i.question, i.answer) for i in items), "skill")

    def copy_document(self, rng: random.Random) -> Document:
        """Names and phrases to be repeated, and which belongs to which: the ground of reading."""
        kinds = ("person", "club", "city", "company")
        count = rng.randint(2, 7)
        names = dict.fromkeys(self.names.draw(rng.choice(kinds), rng) for _ in range(2 * count))
        drawn = list(names)
        values = drawn[1::2]
        if rng.random() < 0.3:
            values = list(dict.fromkeys(self.changes.cause(rng) for _ in values))
        pairs = list(zip(drawn[::2], values, strict=False))
        article, found = wordings.pair_document(pairs, rng)
        return Document(article, found, "copy")

    def document(self, rng: random.Random, mix: dict[str, float]) -> Document:
        """A document of a kind drawn from `mix` (weights of memory, article, skill, copy)."""
        kind = rng.choices(list(mix), weights=list(mix.values()))[0]
        made = {
            "memory": self.memory_document,
            "article": self.article_document,
            "skill": self.skill_document,
            "copy": self.copy_document,
        }
        return made[kind](rng)

    def stream(self, seed: int, mix: dict[str, float]) -> Iterator[Document]:
        """Documents without end, a function of the seed."""
        rng = random.Random(seed)
        while True:
            yield self.document(rng, mix)


def _own(
    style: str, story: Story, rng: random.Random, hop: Hop | None, other: Entity | None
) -> tuple[str, str]:
    """A question in the wordings that edits are trained and examined with."""
    use = Use.TRAIN if rng.random() < 0.5 else Use.EXAM
    if style == "conflict":
        made = ask.conflict(story, other or story.holder)
    elif style == "two_hop":
        assert hop is not None
        made = ask.two_hop(story, use, hop)
    elif style == "check":
        made = ask.check(story, use, other or story.holder)
    else:
        made = _SIMPLE[style](story, use)
    question = rng.choice(made)
    return question.text, question.reference


_SIMPLE: dict[str, Callable[[Story, Use], list[Question]]] = {
    "direct": ask.direct,
    "cloze": ask.cloze,
    "explain": ask.explain,
    "why": ask.why,
    "before": ask.before,
}
