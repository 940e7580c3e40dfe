"""Rows that stand beside the edits in every batch: earlier units, and facts that must stay.

Both are held to what the parent version (the base where there is none) answers closed-book. Its
greedy answers are stage 1's rows; the same prompts are stage 2's, with the parent as their teacher.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from knowledge.codec import from_json, to_json
from knowledge.questions import Question, Use
from trainer.checks import is_right, style_flaw
from trainer.job import JobSpec
from trainer.journal import write_atomic
from trainer.pairs import KEPT_KINDS, training_pairs
from trainer.session import Session

T = TypeVar("T")

_ANSWER_TOKENS = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """A question and the parent's own answer to it."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Companions:
    replay: tuple[Companion, ...]
    anchors: tuple[Companion, ...]

    def at_most(self, most: int, seed: int) -> Companions:
        """These, or where there are more of a kind, so many of it, drawn."""
        replay, anchors = (_drawn(rows, most, seed) for rows in (self.replay, self.anchors))
        return Companions(replay=tuple(replay), anchors=tuple(anchors))


def companions(session: Session, most_rows: int) -> Companions:
    """Ask the parent; at most `most_rows` of each kind. Read back on resume.

    Answers about earlier units that the parent does not get right are left out, those to anchors
    only when cut or empty: an anchor keeps what the model says, right or not.
    """
    path = session.directory / "companions.json"
    if path.is_file():
        found = from_json(Companions, path.read_bytes())
    else:
        found = _ask_all(session, most_rows)
        write_atomic(path, to_json(found).encode())
    session.metrics["companions"] = {
        "replay_rows": len(found.replay),
        "anchor_rows": len(found.anchors),
    }
    return found


def _ask_all(session: Session, most_rows: int) -> Companions:
    replay = [q for u in session.spec.replay for _, q in training_pairs(u)]
    anchors = anchor_questions(session.spec)
    replay = _drawn(replay, most_rows, session.seed("companions", "replay"))
    anchors = _drawn(anchors, most_rows, session.seed("companions", "anchors"))
    return Companions(
        replay=_ask(session, replay, must_be_right=True),
        anchors=_ask(session, anchors, must_be_right=False),
    )


def anchor_questions(spec: JobSpec) -> list[Question]:
    """The job's anchors and the units' own neighbours, without those that this job changes."""
    edited = {unit.slot for unit in spec.units}
    own = [q for u in spec.units for q in u.asked(Use.TRAIN) if q.kind in KEPT_KINDS]
    found = {q.text: q for q in (*spec.anchors, *own) if q.item not in edited}
    return list(found.values())


def _drawn(rows: Sequence[T], most: int, seed: int) -> Sequence[T]:
    return rows if len(rows) <= most else random.Random(seed).sample(rows, most)


def _ask(
    session: Session, questions: Sequence[Question], *, must_be_right: bool
) -> tuple[Companion, ...]:
    answers = session.greedy(list(questions), session.parent, _ANSWER_TOKENS)
    kept: list[Companion] = []
    for question, answer in zip(questions, answers, strict=True):
        if answer is None or style_flaw(answer, finished=True):
            continue
        if must_be_right and not is_right(question, answer):
            continue
        kept.append(Companion(question=question.text, answer=answer))
    return tuple(kept)
