"""Stage 1, second half: supervised fine-tuning, loss on the answers' tokens only.

Takes rows as they are; where they come from is `bootstrap`, `companions` and the methods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from trainer.divergence import cross_entropy_from_hidden, head_chunk
from trainer.errors import BadJob
from trainer.recipe import SftSettings
from trainer.seeds import Shuffled, shares
from trainer.session import Session
from trainer.student import (
    STUDENT,
    Optimizer,
    Row,
    answer_hidden,
    answer_targets,
    check_loss,
    micro_batches,
)

STAGE = "sft"


@dataclass(frozen=True, slots=True, kw_only=True)
class SftRows:
    """Rows of the three sources, as token ids."""

    edits: Sequence[Row]
    replay: Sequence[Row] = ()
    anchors: Sequence[Row] = ()


def fine_tune(session: Session, rows: SftRows, settings: SftSettings, then: str) -> None:
    """Train the student on the rows; leaves a checkpoint at the beginning of stage `then`.

    Raises BadJob for fewer rows than the edits take of a batch, TrainingDiverged for a loss that
    is no number.
    """
    if session.is_past(STAGE):
        return
    mix = settings.mix
    have = (bool(rows.replay), bool(rows.anchors))
    counts = shares(settings.batch_rows, mix.replay_share, mix.anchor_share, have=have)
    if len(rows.edits) < counts[0]:
        raise BadJob(
            f"stage 1 has {len(rows.edits)} rows of its units, fewer than the {counts[0]} of a "
            "batch: lower sft.batch_rows or sample more"
        )
    batches = math.ceil(len(rows.edits) / counts[0])
    steps = settings.total_steps(len(session.spec.units), batches)
    optimizer = Optimizer(session.engine, settings.optim, steps)
    at = session.enter(STAGE, optimizer)
    first = at.step if at else 0
    below = int(at.state["below"]) if at else 0
    streams = [
        Shuffled(source, session.seed(STAGE, name))
        for name, source in (("e", rows.edits), ("r", rows.replay), ("a", rows.anchors))
    ]
    loss = float(at.state["loss"]) if at else 0.0
    done = first
    for step in range(first, steps):
        batch = [r for s, n in zip(streams, counts, strict=True) for r in s.take(step * n, n)]
        loss = _update(session, batch, settings, optimizer, step)
        done = step + 1
        below = below + 1 if loss < settings.stop_loss else 0
        tokens = sum(len(p) + len(a) for p, a in batch)
        session.journal.progress(STAGE, step + 1, steps, loss=round(loss, 4), tokens=tokens)
        recall = _recall(session, settings, step)
        session.journal.metric(stage=STAGE, step=step + 1, loss=loss, recall=recall)
        if below >= 2 or (recall is not None and recall >= settings.stop_recall):
            break
        if (step + 1) % session.recipe.checkpoint_every == 0:
            session.save(STAGE, step + 1, optimizer, {"below": below, "loss": loss})
    session.metrics[STAGE] = {"steps": done, "last_loss": round(loss, 6)}
    session.save(then, 0)


def _recall(session: Session, settings: SftSettings, step: int) -> float | None:
    if not settings.check_every or (step + 1) % settings.check_every:
        return None
    return session.recall()


def _update(
    session: Session, rows: list[Row], settings: SftSettings, optimizer: Optimizer, step: int
) -> float:
    """One optimizer step on the mean over all answer tokens, or over the rows; the loss."""
    engine = session.engine
    session.training(STAGE, step)
    by_row = settings.mean_over == "sequence"
    whole = len(rows) if by_row else sum(len(answer) for _, answer in rows)
    total = 0.0
    lengths = [len(p) + len(a) for p, a in rows]
    with engine.using(STUDENT), torch.enable_grad():
        network = engine.network
        chunk = head_chunk(engine.model.config.vocab_size)
        for part in micro_batches(lengths, session.recipe.engine.micro_tokens):
            chosen = [rows[i] for i in part]
            with session.products():
                hidden = answer_hidden(network, chosen)
            targets = answer_targets(chosen, network.device)
            each = [1 / (len(a) * whole if by_row else whole) for _, a in chosen for _ in a]
            weights = torch.tensor(each, device=network.device)
            loss = cross_entropy_from_hidden(
                hidden.to(network.dtype), network.head, targets, chunk=chunk, weights=weights
            )
            loss.backward()
            total += float(loss.detach())
        check_loss(total, STAGE, step + 1)
        optimizer.step(step, STAGE)
    return total
