"""A quick look at what the network can do, during and after pre-training.

Owns teacher-forced exactness on drawn documents: a pair counts when the model's most likely token
is right at every place of the answer, which is the same as greedy decoding being exact. It steers
a build; the scores that are published are the evaluator's, on free generation.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from tokenizers import Tokenizer

from knowledge import questions as ask
from knowledge.questions import Question, Use
from knowledge.rendering import Story, narrative_prose
from trainer.embedded import wordings
from trainer.embedded.corpus import Corpus, Document
from trainer.embedded.network import Network, packed_mask
from trainer.embedded.packing import Packer

_STYLES: dict[str, Callable[[Story, Use], list[Question]]] = {
    "short": ask.direct,
    "explain": ask.explain,
    "check": lambda s, use: ask.check(s, use, s.holder),
    "deny": lambda s, use: ask.check(s, use, s.previous or s.holder),
    "why": ask.why,
    "before": ask.before,
    "conflict": lambda s, use: ask.conflict(s, s.previous or s.holder),
}


def _pair(made: list[Question], rng: random.Random) -> tuple[str, str]:
    question = rng.choice(made)
    return question.text, question.reference


def _article(
    corpus: Corpus, story: Story, rng: random.Random, construction: str
) -> tuple[str, Story]:
    """Prose and what it tells: the `drafter`'s, his `drafter-held` forms, `wide` or `wide-held`."""
    held = construction.endswith("held")
    if construction.startswith("drafter"):
        return narrative_prose(story, rng, held=held)
    while True:
        prose, told, _ = corpus.articles.change(story, rng, held=held, room=1)
        if told.previous:
            return prose, told


def _asked(name: str, story: Story, rng: random.Random, wording: str) -> tuple[str, str]:
    """A question of the ability: `own` wordings of the examination, `held` ones, or `wide` ones."""
    if name == "conflict" or wording == "own":
        return _pair(_STYLES[name](story, Use.EXAM), rng)
    if wording == "held" and rng.random() < 0.5:
        return _pair(_STYLES[name](story, Use.HELD), rng)
    other = story.previous if name == "deny" else None
    style = {"short": "direct", "deny": "check"}.get(name, name)
    return wordings.question(style, story, rng, held=wording == "held", other=other)


READING = {
    "never": ("drafter", "own"),
    "new": ("drafter", "own"),
    "wide": ("wide", "wide"),
    "wording": ("drafter", "held"),
    "construction": ("drafter-held", "own"),
    "family": ("wide-held", "own"),
    "held": ("drafter-held", "held"),
}
"""Construction of the article and wording of the question, by kind of reading: what is held out is
measured apart, construction (the drafter's, and families of the wide grammar) and wording."""


def abilities(corpus: Corpus, rng: random.Random, count: int) -> dict[str, list[Document]]:
    """Documents by ability: closed book; open book as in `READING`, on subjects no article was ever
    about (`new`: invented ones); questions that the article does not bear on (`off-topic`)."""
    found: dict[str, list[Document]] = {}
    changes = corpus.changes
    for name, make in _STYLES.items():
        stories = [s for s in corpus.memory if s.previous or name in ("short", "explain", "check")]
        drawn = [rng.choice(stories) for _ in range(count)]
        found[f"closed {name}"] = [
            Document("", (_pair(make(s, Use.EXAM), rng),), "") for s in drawn
        ]
        for label, (construction, wording) in READING.items():
            documents: list[Document] = []
            for _ in range(count):
                story = changes.changed(rng) if label == "new" else changes.held_change(rng)
                prose, told = _article(corpus, story, rng, construction)
                documents.append(Document(prose, (_asked(name, told, rng, wording),), ""))
            found[f"{label} {name}"] = documents
    two_hop = [s for s in corpus.memory if corpus.hops(s)]
    if two_hop:
        found["closed two-hop"] = [
            Document("", (_pair(ask.two_hop(s, Use.EXAM, rng.choice(corpus.hops(s))), rng),), "")
            for s in (rng.choice(two_hop) for _ in range(count))
        ]
    off: list[Document] = []
    for _ in range(count):
        story = changes.held_change(rng)
        off.append(Document(narrative_prose(story, rng)[0], (corpus.off_topic([story], rng),), ""))
    found["off-topic"] = off
    return found


@torch.no_grad()
def exactness(network: Network, tokenizer: Tokenizer, documents: list[Document]) -> float:
    """Share of answers that greedy decoding would give exactly."""
    device = next(network.parameters()).device
    right = 0
    for begin in range(0, len(documents), 32):
        rows = Packer(tokenizer, 384).alone(documents[begin : begin + 32])
        ids, position, group, segment, answer = (
            torch.from_numpy(a).long().to(device)
            for a in (rows.ids, rows.position, rows.group, rows.segment, rows.answer)
        )
        hidden = network.hidden(ids, position, packed_mask(group, segment))
        best = torch.nn.functional.linear(hidden, network.model.embed_tokens.weight).argmax(-1)
        wrong = (best[:, :-1] != ids[:, 1:]) & (answer[:, 1:] == 1)
        right += int((~wrong.any(-1)).sum())
    return right / max(len(documents), 1)


def survey(network: Network, tokenizer: Tokenizer, corpus: Corpus, seed: int, count: int) -> str:
    """A table: a line for each kind of reading, a column for each style."""
    scores = {
        name: exactness(network, tokenizer, documents)
        for name, documents in abilities(corpus, random.Random(seed), count).items()
    }
    lines = [f"{'':14}" + "".join(f"{style:>9}" for style in _STYLES)]
    for kind in ("closed", *READING):
        cells = "".join(f"{scores[f'{kind} {style}']:9.3f}" for style in _STYLES)
        lines.append(f"{kind:14}{cells}")
    rest = [name for name in ("closed two-hop", "off-topic") if name in scores]
    return "\n".join([*lines, *(f"{name:23}{scores[name]:.3f}" for name in rest)])
