"""Questions to the embedded base model, closed and open book, and how its answers are judged.

Owns the draw of cases: stories of the legacy world, changes that never happened, articles in the
drafter's and in held-out constructions, own and held-out wordings. Judging is `evaluator`'s alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from evaluator.examine import Output
from evaluator.judge import judge_output
from evaluator.probes import Part, Probe
from evaluator.refutation import PROBED, refutation
from evaluator.verdicts import Verdict
from knowledge import questions as ask
from knowledge.facts import Entity
from knowledge.model import Chat, Generation, LanguageModel, Sampling
from knowledge.narrative import digest_of
from knowledge.properties import CATALOGUE
from knowledge.questions import Question, QuestionKind, Use
from knowledge.rendering import Story, closed_book, narrative_prose, open_book
from trainer.embedded import wordings
from trainer.embedded.corpus import Corpus

STYLES = ("short", "long", "check", "verify", "why", "two-hop")
"""The columns of the table: `check` judges a true claim, `verify` a false one."""
_SHORT_TOKENS, _LONG_TOKENS = 28, 130
_CHUNK = 256
_SHORT = (QuestionKind.DIRECT, QuestionKind.PARAPHRASE, QuestionKind.CLOZE, QuestionKind.UNRELATED)


@dataclass(frozen=True, slots=True)
class Case:
    """One question, with an article before it or none."""

    probe: Probe
    article: str = ""

    @property
    def chat(self) -> Chat:
        text = self.probe.question.text
        return open_book(self.article, text) if self.article else closed_book(text)


@dataclass(frozen=True, slots=True)
class Judged:
    """A case with what was said and the verdict."""

    case: Case
    text: str
    row: Verdict

    @property
    def right(self) -> bool:
        """The answer is right and does not take itself back."""
        return self.row.right and refutation(self.row) is None

    @property
    def probed(self) -> bool:
        """Whether the output can refute itself at all."""
        return self.row.kind in PROBED

    @property
    def refutes(self) -> bool:
        return refutation(self.row) is not None


def case(story: Story, question: Question, article: str = "") -> Case:
    """A question about the story as a probe of its own."""
    probe = Probe(
        id=digest_of([article, question.text, question.answers])[:16],
        part=Part.EDIT,
        cluster=question.item,
        question=question,
        new=story.holder.names,
        old=story.previous.names if story.previous else (),
        subject=story.subject.label,
        persons=CATALOGUE[story.property].wording.wh == "Who",
    )
    return Case(probe, article)


def asked(model: LanguageModel, cases: Sequence[Case]) -> list[Judged]:
    """The model's greedy answers, judged, in the order of the cases. Equal chats are asked once."""
    budgets: dict[Chat, int] = {}
    for item in cases:
        short = item.probe.kind in _SHORT
        budgets.setdefault(item.chat, _SHORT_TOKENS if short else _LONG_TOKENS)
    order = sorted(budgets, key=lambda chat: (budgets[chat], sum(len(m.content) for m in chat)))
    said: dict[Chat, Generation] = {}
    for start in range(0, len(order), _CHUNK):
        chosen = order[start : start + _CHUNK]
        most = max(budgets[chat] for chat in chosen)
        replies = model.generate(chosen, Sampling(max_new_tokens=most))
        said |= {chat: reply[0] for chat, reply in zip(chosen, replies, strict=True)}
    return [_judged(item, said[item.chat]) for item in cases]


def _judged(item: Case, reply: Generation) -> Judged:
    output = Output(
        probe=item.probe.id, text=reply.text, finished=reply.finished, tokens=reply.tokens
    )
    return Judged(item, reply.text, judge_output(item.probe, output))


def share(judged: Iterable[Judged]) -> float:
    """Share of right answers, in percent; 0 without answers."""
    rights = [j.right for j in judged]
    return 100 * sum(rights) / len(rights) if rights else 0.0


# ---------------------------------------------------------------------------------------------
# Drawing cases
# ---------------------------------------------------------------------------------------------

Draw = Callable[[random.Random], Story]


@dataclass(frozen=True, slots=True)
class Reading:
    """How an article is written and its question put: the construction is the `drafter`'s, one of
    his `held` ones or of a held-out `family` of the corpus's grammar; the wording `own` (that of
    the examination), `held`, or of a held-out `family`."""

    construction: str
    wording: str


OWN = Reading("drafter", "own")
HELD = {
    "construction": Reading("held", "own"),
    "wording": Reading("drafter", "held"),
    "both": Reading("held", "held"),
    "families": Reading("family", "family"),
}
"""What is held out, measured apart; a row pools the two that hold out both."""


class Cases:
    """Draws cases over one corpus; deterministic in the given generators."""

    def __init__(self, corpus: Corpus, pieces: Callable[[str], int]) -> None:
        self.corpus = corpus
        self.pieces = pieces

    def in_world(self, rng: random.Random) -> Story:
        """A change of a subject that no article of the corpus is about, with an unseen name."""
        story = self.corpus.changes.held_change(rng)
        return replace(story, holder=self.corpus.changes.invented(story.holder.kind, rng))

    def in_world_public(self, rng: random.Random) -> Story:
        """The same with a holder or a subject of whom memory knows more: for two hops."""
        while True:
            story = self.corpus.changes.held_change(rng)
            if self.corpus.hops(story):
                return story

    def unseen(self, rng: random.Random) -> Story:
        """A change of an invented subject, with names of 2 to 5 pieces."""
        known = rng.choice(self.corpus.changes.readable)
        bare = Story(
            subject=self._name(known.subject.kind, rng),
            property=known.property,
            holder=self._name(known.holder.kind, rng),
        )
        story = self.corpus.changes.changed(rng, bare)
        return replace(story, holder=self._name(known.holder.kind, rng), previous=bare.holder)

    def _name(self, kind: str, rng: random.Random) -> Entity:
        while True:
            entity = self.corpus.changes.invented(kind, rng)
            if 2 <= self.pieces(entity.label) <= 5:
                return entity

    def open_book(self, style: str, reading: Reading, draw: Draw, rng: random.Random) -> Case:
        """An article about a drawn change and a question of the style on it."""
        while True:
            story = draw(rng)
            article, told = self._article(story, reading.construction, rng)
            if style != "why" or told.previous:
                break
        return case(told, self._question(style, told, reading.wording, rng), article)

    def _article(self, story: Story, construction: str, rng: random.Random) -> tuple[str, Story]:
        if construction != "family":
            return narrative_prose(story, rng, held=construction == "held")
        article, told, _ = self.corpus.articles.change(
            story, rng, held=True, room=1, remembered=True
        )
        return article, told

    def _question(self, style: str, story: Story, wording: str, rng: random.Random) -> Question:
        use = Use.HELD if wording == "held" else Use.EXAM
        hop = rng.choice(self.corpus.hops(story)) if style == "two-hop" else None
        other = self._false_claim(story, rng) if style == "verify" else story.holder
        match style:
            case "short":
                made = ask.direct(story, use)
            case "long":
                made = ask.explain(story, use)
            case "why":
                made = ask.why(story, use)
            case "two-hop":
                assert hop is not None
                made = ask.two_hop(story, use, hop)
            case _:
                made = ask.check(story, use, other)
        question = rng.choice(made)
        if wording != "family":
            return question
        name = {"short": "direct", "long": "explain", "two-hop": "two_hop", "why": "why"}
        text, _ = wordings.question(
            name.get(style, "check"), story, rng, held=True, hop=hop, other=other
        )
        return replace(question, text=text)

    def _false_claim(self, story: Story, rng: random.Random) -> Entity:
        return self.corpus.changes.other_name(story, rng, ())

    def closed_book(self, style: str, rng: random.Random) -> Case:
        """A question of the style about the legacy world."""
        hops = style == "two-hop"
        while True:
            story = rng.choice(self.corpus.memory)
            if (story.previous or style != "why") and (not hops or self.corpus.hops(story)):
                return case(story, self._question(style, story, "own", rng))

    def off_topic(self, style: str, rng: random.Random) -> Case:
        """An article, and a question about another subject of the same property where one is."""
        about = self.in_world(rng)
        article, _ = narrative_prose(about, rng)
        while True:
            closed = self.closed_book(style, rng)
            subject, _, property_id = closed.probe.cluster.partition(":")
            near = property_id == about.property or rng.random() < 0.2
            if subject != about.subject.id and near:
                return Case(closed.probe, article)
