"""Stage 2: causal internalisation by on-policy self-distillation.

The student answers closed-book by sampling; the teacher, the same base with the adapter off and the
narrative in its context, says at each sampled token what it would have said; the divergence between
the two is the loss. Questions of earlier units and anchors have the parent version, closed-book, as
their teacher. Rollouts are in `trainer.rollouts`, the divergence itself in `trainer.divergence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.divergence import (
    DivergenceSpec,
    divergence_from_hidden,
    head_chunk,
    token_logprobs,
)
from trainer.errors import BadJob
from trainer.recipe import DistilSettings
from trainer.rollouts import Pool, Rollout, grouped_softmax, roll_out
from trainer.seeds import Shuffled, shares
from trainer.session import Session
from trainer.student import (
    STUDENT,
    Optimizer,
    answer_hidden,
    answer_hidden_shared,
    answer_targets,
    check_loss,
    micro_batches,
)

STAGE = "distil"

_NOTHING_KEPT = "no answer of this round can be learned from: all are cut or repeat themselves"


def internalize(session: Session, pool: Pool, settings: DistilSettings) -> None:
    """Distil the teacher's answers into the student; leaves a checkpoint at the end.

    Raises BadJob for fewer prompts than the edits take of a batch, and when no answer of the whole
    stage could be learned from; TrainingDiverged for a loss that is no number.
    """
    if session.is_past(STAGE):
        return
    mix = settings.mix
    have = (bool(pool.sources[1]), bool(pool.sources[2]))
    counts = shares(settings.prompts, mix.replay_share, mix.anchor_share, have=have)
    if len(pool.sources[0]) < counts[0]:
        raise BadJob(
            f"stage 2 has {len(pool.sources[0])} prompts with a right teacher, fewer than the "
            f"{counts[0]} of a batch: lower distil.prompts or revise the narratives"
        )
    streams = [Shuffled(s, session.seed(STAGE, n)) for n, s in enumerate(pool.sources)]
    steps = settings.total_steps(len(session.spec.units))
    optimizer = Optimizer(session.engine, settings.optim, steps)
    at = session.enter(STAGE, optimizer)
    buffer = [Rollout(**r) for r in at.state["buffer"]] if at else []
    tally: dict[str, Any] = at.state["tally"] if at else {"sampled": 0, "masked": 0, "tokens": 0}
    loss = float(at.state["loss"]) if at else 0.0
    for step in range(at.step if at else 0, steps):
        turn, update = divmod(step, settings.updates_per_round)
        if update == 0:
            prompts = settings.updates_per_round
            chosen = [
                p
                for s, n in zip(streams, counts, strict=True)
                for p in s.take(turn * n * prompts, n * prompts)
            ]
            with session.journal.span("sampling"):
                buffer = roll_out(session, pool, chosen, settings, turn, tally)
        batch = _share(buffer, update, settings.updates_per_round)
        if batch:
            loss = _update(session, pool, batch, settings, optimizer, step)
            tally.setdefault("first_loss", round(loss, 6))
        tokens = sum(len(pool.prompts[r.prompt].student) + len(r.ids) for r in batch)
        session.journal.progress(
            STAGE,
            step + 1,
            steps,
            loss=round(loss, 4) if batch else None,
            tokens=tokens,
            warning=None if buffer else _NOTHING_KEPT,
        )
        learned = loss if batch else None
        session.journal.metric(stage=STAGE, step=step + 1, loss=learned, rollouts=len(batch))
        if (step + 1) % session.recipe.checkpoint_every == 0:
            state = {"buffer": [asdict(r) for r in buffer], "tally": tally, "loss": loss}
            session.save(STAGE, step + 1, optimizer, state)
    _check_learned(session, tally)
    session.metrics[STAGE] = {"steps": steps, "last_loss": round(loss, 6), **tally}
    session.save("end", 0)


def _check_learned(session: Session, tally: dict[str, Any]) -> None:
    if tally["sampled"] and tally["masked"] == tally["sampled"]:
        units = ", ".join(unit.id for unit in session.spec.units)
        raise BadJob(
            f"stage 2 learned nothing of {units}: all {tally['sampled']} answers of the student "
            "are cut or repeat themselves. Raise distil.max_new_tokens, or train stage 1 longer"
        )


def _share(buffer: list[Rollout], update: int, updates: int) -> list[Rollout]:
    """The part of a round's rollouts that one update takes; a prompt's rollouts stay together."""
    keys = list(dict.fromkeys(r.prompt for r in buffer))
    mine = set(keys[update::updates])
    return [r for r in buffer if r.prompt in mine]


def _update(
    session: Session,
    pool: Pool,
    batch: list[Rollout],
    settings: DistilSettings,
    optimizer: Optimizer,
    step: int,
) -> float:
    """One optimizer step; the loss, a weighted mean of the divergence over the answers' tokens."""
    engine = session.engine
    chunk = head_chunk(engine.model.config.vocab_size)
    with session.journal.span("teacher"):
        taught = _teach(session, pool, batch, chunk)
    weights = _weights(batch, taught.mean_logprobs, settings)
    total = sum(w * len(r.ids) for w, r in zip(weights, batch, strict=True))
    spec = DivergenceSpec(
        kind=settings.divergence,
        beta=settings.beta,
        top_k=settings.top_k,
        tail=settings.tail,
        temperature=settings.kd_temperature,
    )
    lengths = [len(pool.prompts[r.prompt].student) + len(r.ids) for r in batch]
    session.training(STAGE, step, dropout=settings.dropout)
    summed = 0.0
    with engine.using(STUDENT), torch.enable_grad(), session.journal.span("student"):
        network = engine.network
        for part in micro_batches(lengths, session.recipe.engine.micro_tokens):
            rows = [(pool.prompts[batch[i].prompt].student, batch[i].ids) for i in part]
            with session.products():
                hidden = answer_hidden(network, rows)
            out = divergence_from_hidden(
                hidden.to(network.dtype),
                torch.cat([taught.hidden[i] for i in part]),
                network.head,
                answer_targets(rows, network.device),
                spec,
                chunk=chunk,
            )
            scale = _per_token(batch, part, weights, out.logprob, settings) / total
            loss = (out.divergence * scale).sum()
            loss.backward()
            summed += float(loss.detach())
    check_loss(summed, STAGE, step + 1)
    with session.journal.span("update"):
        optimizer.step(step, STAGE)
    return summed


def _per_token(
    batch: list[Rollout],
    part: list[int],
    weights: list[float],
    logprobs: Tensor,
    settings: DistilSettings,
) -> Tensor:
    """Weight of each packed token [N]: its rollout's, times the capped importance ratio between
    the student as it is and as it sampled."""
    sampled = [p for i in part for p in batch[i].logprobs]
    weight = [weights[i] for i in part for _ in batch[i].ids]
    ratio = (logprobs - logprobs.new_tensor(sampled)).exp().clamp_max(settings.importance_cap)
    return logprobs.new_tensor(weight) * ratio


@dataclass(slots=True)
class _Taught:
    """Of each rollout: the teacher's last hidden states, [tokens, d], and mean log p(token)."""

    hidden: list[Tensor]
    mean_logprobs: list[float]


@torch.no_grad()
def _teach(session: Session, pool: Pool, batch: list[Rollout], chunk: int) -> _Taught:
    """Run the teachers over the rollouts; each prompt's prefix is encoded once."""
    engine = session.engine
    engine.model.eval()
    out = _Taught([torch.empty(0)] * len(batch), [0.0] * len(batch))
    members: dict[int, list[int]] = {}
    for place, rollout in enumerate(batch):
        members.setdefault(rollout.prompt, []).append(place)
    for by_parent in (False, True):
        keys = [k for k in members if pool.prompts[k].by_parent is by_parent]
        lengths = [
            len(pool.prompts[k].teacher) + sum(len(batch[i].ids) for i in members[k]) for k in keys
        ]
        with engine.using(session.parent if by_parent else session.teacher):
            for part in micro_batches(lengths, session.recipe.engine.micro_tokens):
                _teach_part(
                    session, pool, batch, [(keys[i], members[keys[i]]) for i in part], out, chunk
                )
    return out


def _teach_part(
    session: Session,
    pool: Pool,
    batch: list[Rollout],
    groups: list[tuple[int, list[int]]],
    out: _Taught,
    chunk: int,
) -> None:
    network = session.engine.network
    asked = [(pool.prompts[key].teacher, [batch[i].ids for i in places]) for key, places in groups]
    with session.products():
        hidden = answer_hidden_shared(network, asked).to(network.dtype)
    places = [i for _, mine in groups for i in mine]
    targets = torch.tensor([t for i in places for t in batch[i].ids], device=network.device)
    logprobs = token_logprobs(hidden, network.head, targets, chunk=chunk)
    start = 0
    for i in places:
        stop = start + len(batch[i].ids)
        out.hidden[i] = hidden[start:stop]
        out.mean_logprobs[i] = float(logprobs[start:stop].mean())
        start = stop


def _weights(
    batch: list[Rollout], mean_logprobs: Sequence[float], settings: DistilSettings
) -> list[float]:
    """Weight of each rollout: softmax over the rollouts of the same prompt, 1 on average, divided
    by its length where sequences count alike."""
    weights = [1.0] * len(batch)
    if settings.weighting == "teacher":
        weights = grouped_softmax([r.prompt for r in batch], mean_logprobs)
    if settings.mean_over == "sequence":
        weights = [w / len(r.ids) for w, r in zip(weights, batch, strict=True)]
    return weights
