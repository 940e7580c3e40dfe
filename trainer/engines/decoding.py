"""The sampling loop: left-padded batches, one prefill a prompt, finished rows leave early.

Works on token ids over any decoder of transformers; chats, adapters and locks are the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from trainer.engines.cache import keep_rows, left_pad, position_ids, with_room

_COMPACT_BELOW = 0.75
"""Share of living rows below which the batch is made smaller."""


@dataclass(slots=True)
class Completion:
    """Sampled ids (with the end token, if it came) and the model's own log-probability of each,
    at temperature 1 over the whole vocabulary."""

    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How to decode. With `greedy_first`, the first of the n rows of each prompt is greedy."""

    max_new_tokens: int
    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    greedy_first: bool = False
    batch_rows: int = 64


@dataclass(frozen=True, slots=True)
class Network:
    """The parts of a causal language model that decoding needs."""

    decoder: torch.nn.Module
    head: torch.nn.Module
    end_ids: frozenset[int]
    pad_id: int
    device: torch.device
    step: Callable[[Tensor, Tensor, Tensor, Any], Tensor] | None = None
    """Computes one more token of each row in the decoder's stead (`trainer.engines.fused`)."""
    assign: Callable[[Sequence[str | None]], None] | None = None
    """Puts each row of the next passes under an adapter of its own (`trainer.engines.mixed`)."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and so of hidden states outside a context of lower precision."""
        return next(self.head.parameters()).dtype

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] in float32 of last hidden states [..., d] of any precision."""
        return self.head(hidden.to(self.dtype)).float()


def decode(
    network: Network,
    prompts: Sequence[Sequence[int]],
    how: Decoding,
    generator: torch.Generator,
) -> list[list[Completion]]:
    """`how.n` completions of each prompt, in the order of `prompts`."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    done: list[list[Completion]] = [[] for _ in prompts]
    per_batch = max(1, how.batch_rows // how.n)
    for start in range(0, len(order), per_batch):
        chosen = order[start : start + per_batch]
        rows = _Rows(network, [list(prompts[i]) for i in chosen], how)
        while rows.step(how, generator) is not None:
            pass
        for place, index in enumerate(chosen):
            done[index] = rows.completions[place * how.n : (place + 1) * how.n]
    return done


def decode_stepwise(
    network: Network, prompt: Sequence[int], how: Decoding, generator: torch.Generator
) -> Iterator[int]:
    """The tokens of one completion as they come; the end token is not among them."""
    rows = _Rows(network, [list(prompt)], how)
    while (token := rows.step(how, generator)) is not None:
        if not rows.completions[0].finished:
            yield token


class _Rows:
    """A batch in flight: the living rows, their cache, mask and next logits."""

    @torch.inference_mode()
    def __init__(self, network: Network, prompts: list[list[int]], how: Decoding) -> None:
        self.network = network
        self.completions = [Completion() for _ in range(len(prompts) * how.n)]
        self.alive = list(range(len(self.completions)))
        self.steps = 0
        ids, mask = left_pad(prompts, network.pad_id, network.device)
        prefill = DynamicCache()
        hidden = network.decoder(
            input_ids=ids,
            attention_mask=mask,
            position_ids=position_ids(mask),
            past_key_values=prefill,
            use_cache=True,
        ).last_hidden_state[:, -1]
        rows = torch.arange(len(prompts), device=network.device).repeat_interleave(how.n)
        self.used = ids.shape[1]
        exact = torch.float32 if network.step else None
        self.cache = with_room(prefill, rows, self.used + how.max_new_tokens, exact)
        room = mask.new_ones(len(rows), how.max_new_tokens)
        self.mask = torch.cat([mask[rows], room], dim=1)
        self.next_position: Tensor = mask.sum(dim=-1)[rows]
        self.logits: Tensor = network.logits(hidden[rows])
        self.greedy = torch.full((len(rows),), how.temperature == 0, device=network.device)
        if how.greedy_first:
            self.greedy[:: how.n] = True

    @torch.inference_mode()
    def step(self, how: Decoding, generator: torch.Generator) -> int | None:
        """Choose the next token of each living row and advance; None when no row is left.
        The first row's token is returned."""
        if not self.alive or self.steps >= how.max_new_tokens:
            return None
        tokens = _choose(self.logits, self.greedy, how, generator)
        logprobs = self.logits.gather(-1, tokens[:, None]).squeeze(-1)
        logprobs = logprobs - self.logits.logsumexp(-1)
        self.steps += 1
        kept = self._record(tokens.tolist(), logprobs.tolist())
        if kept and self.steps < how.max_new_tokens:
            self._advance(tokens, kept)
        else:
            self.alive = []
        return int(tokens[0])

    def _record(self, tokens: list[int], logprobs: list[float]) -> list[int]:
        """Write the tokens down; places (within the batch) of the rows that go on."""
        kept: list[int] = []
        for place, row in enumerate(self.alive):
            completion = self.completions[row]
            if completion.finished:
                continue
            completion.ids.append(tokens[place])
            completion.logprobs.append(logprobs[place])
            completion.finished = tokens[place] in self.network.end_ids
            if not completion.finished:
                kept.append(place)
        return kept

    def _advance(self, tokens: Tensor, kept: list[int]) -> None:
        if len(kept) <= _COMPACT_BELOW * len(self.alive):
            chosen = torch.tensor(kept, device=tokens.device)
            keep_rows(self.cache, chosen)
            tokens, self.mask = tokens[chosen], self.mask[chosen]
            self.greedy, self.next_position = self.greedy[chosen], self.next_position[chosen]
            self.alive = [self.alive[place] for place in kept]
        self.used += 1
        mask = self.mask[:, : self.used]
        if self.network.step is not None:
            hidden = self.network.step(tokens, self.next_position, mask, self.cache)
        else:
            hidden = self.network.decoder(
                input_ids=tokens[:, None],
                attention_mask=mask,
                position_ids=self.next_position[:, None],
                past_key_values=self.cache,
                use_cache=True,
            ).last_hidden_state[:, -1]
        self.next_position = self.next_position + 1
        self.logits = self.network.logits(hidden)


def _choose(logits: Tensor, greedy: Tensor, how: Decoding, generator: torch.Generator) -> Tensor:
    best = logits.argmax(-1)
    if bool(greedy.all()):
        return best
    probs = torch.softmax(logits / how.temperature, dim=-1)
    if how.top_p < 1:
        probs = nucleus(probs, how.top_p)
    return torch.where(greedy, best, draw(probs, generator))


def draw(probs: Tensor, generator: torch.Generator) -> Tensor:
    """One token of each row [B] by its cumulated probabilities [B, V]: one random number a row,
    where `torch.multinomial` draws one for each token of the vocabulary."""
    cumulated = probs.cumsum(-1)
    drawn = torch.rand(len(probs), 1, generator=generator, device=probs.device)
    # strictly below the sum, so that no token of probability 0 is ever drawn
    wanted = drawn.clamp_max(1 - 1e-6) * cumulated[:, -1:]
    return torch.searchsorted(cumulated, wanted, right=True).squeeze(-1)


def nucleus(probs: Tensor, top_p: float) -> Tensor:
    """The least set of likeliest tokens that holds `top_p` of the mass; the rest is 0."""
    ordered, ids = probs.sort(dim=-1, descending=True)
    beyond = ordered.cumsum(-1) - ordered > top_p
    return torch.zeros_like(probs).scatter(-1, ids, ordered.masked_fill(beyond, 0.0))
