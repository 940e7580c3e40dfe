"""Asking the model first: does the version in production know the new state, the old one, neither?

Owns the questions and the reading of the answers. The model itself is behind a port. A model that
cannot be asked leaves the matter open; nothing is dismissed unasked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from knowledge.answers import final_answer, mentions
from knowledge.edits import Known
from knowledge.facts import FactChange
from knowledge.questions import Use, direct
from knowledge.rendering import Story

WORDINGS = 3
"""Of the wordings of the examination so many are asked: one right answer may be luck."""


class Production(Protocol):
    """The version of the model that users are answered by now."""

    async def answers(self, questions: Sequence[str]) -> Sequence[str]:
        """One short answer a question, greedy, each asked by itself. Raises Retryable when the
        model cannot be asked now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What production knows of a fact, with what it was asked and said."""

    known: Known
    asked: tuple[tuple[str, str], ...] = ()
    """Questions and answers."""
    reason: str = ""


async def probe(production: Production, change: FactChange) -> Probe:
    """Ask about the fact of a change. It is `known` where every answer gives the new state, and
    `unknown` where none gives the old one. Raises Retryable."""
    if change.new is None:
        return Probe(known=Known.UNASKED, reason="the fact ended, there is nothing to ask for")
    story = Story(subject=change.subject, property=change.property, holder=change.new)
    questions = [question.text for question in direct(story, Use.EXAM)[:WORDINGS]]
    said = [text.strip() for text in await production.answers(questions)]
    new = change.new.names
    old = change.old.names if change.old else ()
    stated = [final_answer(text) for text in said]
    gives_new = [mentions(text, new) and not mentions(text, old) for text in stated]
    gives_old = [mentions(text, old) and not mentions(text, new) for text in stated]
    if all(gives_new):
        known = Known.NEW
    elif any(gives_old):
        known = Known.OLD
    else:
        known = Known.NEITHER
    return Probe(known=known, asked=tuple(zip(questions, said, strict=True)))
