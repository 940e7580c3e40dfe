"""Which of the teacher's flawless answers are the better ones. Owns their scores.

confidence  the teacher's own mean log-probability, open book, as it was sampled
margin      log p(text) - log p(text with the legacy name in the new one's place), closed book: how
            much the rationale makes the new answer follow
answer      mean log p of the right answer's sentence after the text's reasoning, closed book: the
            logarithm of the reference's R(z)

All are under the base; a higher score is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch

from knowledge.answers import sentence_spans, sentences
from knowledge.questions import Question
from knowledge.rendering import closed_book
from trainer.divergence import head_chunk, token_logprobs
from trainer.session import Session
from trainer.student import answer_hidden, answer_targets, micro_batches

_Ids = tuple[int, ...]


@dataclass(slots=True)
class Candidate:
    """A flawless answer. `confidence` is its sampler's mean log-probability."""

    text: str
    confidence: float
    score: float = 0.0


def rank(session: Session, contested: Sequence[tuple[Question, Candidate]]) -> None:
    """Write the score that the recipe names into the candidates."""
    how = session.recipe.sampling.score
    if how == "none" or not contested:
        return
    for _, candidate in contested:
        candidate.score = candidate.confidence
    if how == "margin":
        _by_margin(session, [(q, c) for q, c in contested if q.legacy])
    elif how == "answer":
        _by_answer(session, contested)


def _by_margin(session: Session, asked: Sequence[tuple[Question, Candidate]]) -> None:
    requests = []
    for question, candidate in asked:
        chat = closed_book(question.text)
        requests += [(chat, candidate.text), (chat, _swapped(question, candidate.text))]
    with session.engine.using(None):
        scores = session.engine.loglikelihood(requests)
    for place, (_, candidate) in enumerate(asked):
        candidate.score = scores[2 * place].logprob - scores[2 * place + 1].logprob


def _swapped(question: Question, text: str) -> str:
    for name in question.answers:
        text = text.replace(name, question.legacy[0])
    return text


@torch.no_grad()
def _by_answer(session: Session, asked: Sequence[tuple[Question, Candidate]]) -> None:
    """One pass over each distinct text; the head sees the answer's sentence alone."""
    engine = session.engine
    rows = [_answer_row(session, question, candidate.text) for question, candidate in asked]
    distinct = list(dict.fromkeys(rows))
    found: dict[tuple[_Ids, _Ids], float] = {}
    chunk = head_chunk(engine.model.config.vocab_size)
    with engine.using(None):
        network = engine.network
        lengths = [len(before) + len(answer) for before, answer in distinct]
        for part in micro_batches(lengths, session.recipe.engine.micro_tokens):
            chosen = [distinct[i] for i in part]
            hidden = answer_hidden(network, chosen)
            targets = answer_targets(chosen, network.device)
            logprobs = token_logprobs(hidden, network.head, targets, chunk=chunk)
            own = logprobs.split([len(answer) for _, answer in chosen])
            found.update((row, float(p.mean())) for row, p in zip(chosen, own, strict=True))
    for (_, candidate), row in zip(asked, rows, strict=True):
        candidate.score = found[row]


def _answer_row(session: Session, question: Question, text: str) -> tuple[_Ids, _Ids]:
    """The question and the text's reasoning, which is all but its last sentence, as what comes
    before; and the last sentence of the reference answer, the one that commits to it."""
    spans = sentence_spans(text)
    reasoning = text[: spans[-1][0]].rstrip() if spans else ""
    committed = (sentences(question.reference) or [question.answers[0]])[-1]
    chat, encode = closed_book(question.text), session.engine.chat
    before = encode.completion(chat, reasoning)[:-1]
    whole = encode.completion(chat, f"{reasoning} {committed}".strip())[:-1]
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(before, whole, strict=False))
    shared = sum(1 for _ in alike)
    return (*encode.prompt(chat), *whole[:shared]), whole[shared:]
