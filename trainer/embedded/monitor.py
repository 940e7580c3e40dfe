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
from trainer.embedded.corpus import Corpus, Document, held_change
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


def abilities(corpus: Corpus, rng: random.Random, count: int) -> dict[str, list[Document]]:
    """Documents by ability: closed book; open book on subjects no article was ever about
    (`never`), on invented ones (`new`), with held-out constructions and wordings (`held`);
    questions that the article does not bear on (`off-topic`)."""
    found: dict[str, list[Document]] = {}
    for name, make in _STYLES.items():
        use = Use.EXAM
        stories = [s for s in corpus.memory if s.previous or name in ("short", "explain", "check")]
        drawn = [rng.choice(stories) for _ in range(count)]
        found[f"closed {name}"] = [Document("", (_pair(make(s, use), rng),), "") for s in drawn]
        for label, held in (("never", False), ("new", False), ("held", True)):
            documents: list[Document] = []
            for _ in range(count):
                story = corpus.changed(rng) if label == "new" else held_change(corpus, rng)
                prose, told = narrative_prose(story, rng, held=held)
                made = make(told, Use.HELD if held and name != "conflict" else use)
                documents.append(Document(prose, (_pair(made, rng),), ""))
            found[f"{label} {name}"] = documents
    two_hop = [s for s in corpus.memory if corpus.hops(s)]
    if two_hop:
        found["closed two-hop"] = [
            Document("", (_pair(ask.two_hop(s, Use.EXAM, rng.choice(corpus.hops(s))), rng),), "")
            for s in (rng.choice(two_hop) for _ in range(count))
        ]
    off: list[Document] = []
    for _ in range(count):
        story = held_change(corpus, rng)
        off.append(Document(narrative_prose(story, rng)[0], (corpus.off_topic(story, rng),), ""))
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
    """One line for each ability."""
    rng = random.Random(seed)
    lines = [
        f"  {name:18} {exactness(network, tokenizer, documents):.3f}"
        for name, documents in abilities(corpus, rng, count).items()
    ]
    return "\n".join(lines)
