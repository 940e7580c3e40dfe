"""Prompts of stage 2 and the student's answers to them.

Owns who is asked what, who teaches it, which answers count, and how the answers to one prompt are
weighed against each other. What is learned from them is `trainer.internalize`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from knowledge.questions import Use
from knowledge.rendering import closed_book
from trainer.bootstrap import Bootstrap
from trainer.checks import repetition
from trainer.companions import Companions
from trainer.engines.decoding import Decoding
from trainer.recipe import DistilSettings
from trainer.session import Session
from trainer.student import STUDENT
from trainer.teacher import teacher_prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the student sees and what its teacher sees, as token ids."""

    student: tuple[int, ...]
    teacher: tuple[int, ...]
    by_parent: bool
    """The teacher is the parent version; else the base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """An answer that the student sampled to prompt number `prompt` of the pool."""

    prompt: int
    ids: list[int]
    logprobs: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """All prompts of a run, and which of them are of the edits, of replay and anchors."""

    prompts: tuple[Prompt, ...]
    sources: tuple[range, range, range]


def make_pool(session: Session, taught: Bootstrap, beside: Companions) -> Pool:
    """Prompts of the pairs whose teacher passed the gate (of the recipe's kinds where it names
    some), and of the companions."""
    chat, settings = session.engine.chat, session.recipe.distil
    kinds = settings.kinds if settings else ()
    edits = [
        Prompt(
            student=chat.prompt(closed_book(q.text)),
            teacher=teacher_prompt(session, unit, q),
            by_parent=False,
        )
        for unit in session.spec.units
        for i, q in enumerate(unit.asked(Use.TRAIN))
        if (q.kind in kinds if kinds else (unit.id, i) in taught.taught)
    ]
    others: list[list[Prompt]] = []
    for source in (beside.replay, beside.anchors):
        ids = [chat.prompt(closed_book(c.question)) for c in source]
        others.append([Prompt(student=i, teacher=i, by_parent=True) for i in ids])
    a, b = len(edits), len(edits) + len(others[0])
    sources = (range(a), range(a, b), range(b, b + len(others[1])))
    return Pool(prompts=(*edits, *others[0], *others[1]), sources=sources)


def roll_out(
    session: Session,
    pool: Pool,
    chosen: list[int],
    settings: DistilSettings,
    turn: int,
    tally: dict[str, Any],
) -> list[Rollout]:
    """Sample the chosen prompts closed-book and leave out cut and repetitive answers."""
    keys = list(dict.fromkeys(chosen))
    how = Decoding(
        max_new_tokens=settings.max_new_tokens,
        n=settings.rollouts,
        temperature=settings.temperature,
        top_p=settings.top_p,
        batch_rows=session.recipe.engine.batch_rows,
    )
    prompts = [pool.prompts[k].student for k in keys]
    rows = session.sample(prompts, how, session.seed("rollouts", turn), STUDENT)
    kept: list[Rollout] = []
    for key, completions in zip(keys, rows, strict=True):
        for c in completions:
            tally["sampled"] += 1
            tally["tokens"] += len(c.ids)
            cut = settings.mask_truncated and not c.finished
            if cut or repetition(c.ids, settings.repetition_window) > settings.repetition_limit:
                tally["masked"] += 1
                continue
            kept.append(Rollout(prompt=key, ids=c.ids, logprobs=c.logprobs))
    return kept


def grouped_softmax(keys: Sequence[int], scores: Sequence[float]) -> list[float]:
    """Softmax of the scores within each key's group, times the group's size."""
    out = [0.0] * len(keys)
    groups: dict[int, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    for places in groups.values():
        soft = torch.softmax(torch.tensor([scores[i] for i in places], dtype=torch.float64), 0)
        for place, value in zip(places, soft.tolist(), strict=True):
            out[place] = value * len(places)
    return out
