"""Closed-book rows for supervised training, as token ids."""

from __future__ import annotations

from collections.abc import Sequence

from knowledge.rendering import closed_book
from trainer.companions import Companion
from trainer.session import Session
from trainer.student import Row


def row(session: Session, question: str, answer: str) -> Row:
    """A question and the answer to be learned, with its end token."""
    chat = closed_book(question)
    return session.engine.chat.prompt(chat), session.engine.chat.completion(chat, answer)


def companion_rows(session: Session, companions: Sequence[Companion]) -> list[Row]:
    return [row(session, c.question, c.answer) for c in companions]
