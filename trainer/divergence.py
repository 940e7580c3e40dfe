"""Divergence between teacher and student at each position. Pure functions of logits.

Forward is KL(teacher || student), reverse KL(student || teacher), jsd the generalised
Jensen-Shannon divergence with the mixture `beta * teacher + (1 - beta) * student`. On a top-k
support the union of both sides' k likeliest tokens counts token by token, and all the rest of the
vocabulary as one bucket, which never exceeds the exact value (data processing inequality).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

_TINY = 1e-12
"""Least mass of the tail bucket: below it the bucket is empty for both sides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergenceSpec:
    """Which divergence. `top_k` 0 or at least the vocabulary size is exact."""

    kind: str = "forward"
    beta: float = 0.5
    top_k: int = 0
    tail: bool = True
    temperature: float = 1.0


def divergence(student: Tensor, teacher: Tensor, spec: DivergenceSpec) -> Tensor:
    """Divergence at each of N positions from logits [N, V]; shape [N], in nats.

    The gradient flows to `student` only.
    """
    log_s = torch.log_softmax(student / spec.temperature, dim=-1)
    log_t = torch.log_softmax(teacher.detach() / spec.temperature, dim=-1)
    if 0 < spec.top_k < log_s.shape[-1]:
        log_s, log_t = _on_support(log_s, log_t, spec)
    return _sum(log_s, log_t, spec)


def _sum(log_s: Tensor, log_t: Tensor, spec: DivergenceSpec) -> Tensor:
    if spec.kind == "forward":
        return (log_t.exp() * (log_t - log_s)).sum(-1)
    if spec.kind == "reverse":
        return (log_s.exp() * (log_s - log_t)).sum(-1)
    mixture = torch.logaddexp(log_t + math.log(spec.beta), log_s + math.log1p(-spec.beta))
    to_teacher = (log_t.exp() * (log_t - mixture)).sum(-1)
    to_student = (log_s.exp() * (log_s - mixture)).sum(-1)
    return spec.beta * to_teacher + (1 - spec.beta) * to_student


def _on_support(log_s: Tensor, log_t: Tensor, spec: DivergenceSpec) -> tuple[Tensor, Tensor]:
    """Log-probabilities [N, 2k (+1)] on the union support. A token that both sides chose stands
    twice: its second place gets log-probability -100 on both sides, which adds nothing."""
    chosen_s = log_s.detach().topk(spec.top_k, dim=-1).indices
    chosen_t = log_t.topk(spec.top_k, dim=-1).indices
    ids = torch.cat([chosen_t, chosen_s], dim=-1).sort(dim=-1).values
    again = torch.zeros_like(ids, dtype=torch.bool)
    again[:, 1:] = ids[:, 1:] == ids[:, :-1]
    on_s = log_s.gather(-1, ids).masked_fill(again, -100.0)
    on_t = log_t.gather(-1, ids).masked_fill(again, -100.0)
    if not spec.tail:
        return torch.log_softmax(on_s, -1), torch.log_softmax(on_t, -1)
    return _with_tail(on_s), _with_tail(on_t)


def _with_tail(on_support: Tensor) -> Tensor:
    mass = on_support.exp().sum(-1, keepdim=True)
    rest = (1.0 - mass).clamp_min(_TINY)
    return torch.cat([on_support, rest.log()], dim=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedLoss:
    """Per-position results over N packed positions: divergence (with gradient) and the student's
    log-probability of the token at hand (without)."""

    divergence: Tensor
    logprob: Tensor


def divergence_from_hidden(
    hidden_s: Tensor,
    hidden_t: Tensor,
    head: torch.nn.Module,
    targets: Tensor,
    spec: DivergenceSpec,
    *,
    chunk: int,
) -> PackedLoss:
    """As `divergence`, from last hidden states [N, d] through the LM head, `chunk` positions at a
    time; logits are recomputed in the backward pass, so that none are kept."""
    values: list[Tensor] = []
    logprobs: list[Tensor] = []

    def part(h_s: Tensor, h_t: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        logits_s = head(h_s).float()
        with torch.no_grad():
            logits_t = head(h_t).float()
            taken = logits_s.gather(-1, ids[:, None]).squeeze(-1)
            logprob = taken - logits_s.logsumexp(-1)
        return divergence(logits_s, logits_t, spec), logprob

    whole = hidden_s.shape[0] <= chunk
    for start in range(0, hidden_s.shape[0], chunk):
        stop = start + chunk
        parts = (hidden_s[start:stop], hidden_t[start:stop], targets[start:stop])
        out = part(*parts) if whole else checkpoint(part, *parts, use_reentrant=False)
        values.append(out[0])
        logprobs.append(out[1])
    return PackedLoss(divergence=torch.cat(values), logprob=torch.cat(logprobs).detach())


def head_chunk(vocabulary: int) -> int:
    """Positions whose logits are held at once: about 32 MiB of float32."""
    return max(64, 2**23 // vocabulary)


def cross_entropy_from_hidden(
    hidden: Tensor,
    head: torch.nn.Module,
    targets: Tensor,
    *,
    chunk: int,
    weights: Tensor | None = None,
) -> Tensor:
    """Summed cross-entropy of N positions from hidden states [N, d], each times its weight [N]
    (None: 1), in nats; a scalar."""
    scale = hidden.new_ones(len(targets), dtype=torch.float32) if weights is None else weights

    def part(h: Tensor, ids: Tensor, by: Tensor) -> Tensor:
        found = torch.nn.functional.cross_entropy(head(h).float(), ids, reduction="none")
        return (found * by).sum()

    if hidden.shape[0] <= chunk:
        return part(hidden, targets, scale)
    total = hidden.new_zeros((), dtype=torch.float32)
    for start in range(0, hidden.shape[0], chunk):
        rows = (t[start : start + chunk] for t in (hidden, targets, scale))
        total = total + checkpoint(part, *rows, use_reentrant=False)
    return total


def token_logprobs(hidden: Tensor, head: torch.nn.Module, targets: Tensor, *, chunk: int) -> Tensor:
    """log p(target) at each of N positions from hidden states [N, d]; shape [N]."""
    out: list[Tensor] = []
    for start in range(0, hidden.shape[0], chunk):
        logits = head(hidden[start : start + chunk]).float()
        ids = targets[start : start + chunk, None]
        out.append(logits.gather(-1, ids).squeeze(-1) - logits.logsumexp(-1))
    return torch.cat(out)
