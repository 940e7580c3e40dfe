"""The protocol of a language model: generate and loglikelihood. Owns no model.

`trainer.engines` implement it over transformers or vLLM, `daemon` over an OpenAI-compatible
endpoint; `evaluator` and `agents` only ever see this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat. `role` is `system`, `user` or `assistant`."""

    role: str
    content: str


Chat = tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to generate. `temperature` 0 is greedy; `n` completions a prompt."""

    max_new_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    n: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One completion. `finished` is False when it was cut at `max_new_tokens`."""

    text: str
    finished: bool
    tokens: int
    logprob: float = 0.0
    """Sum of the sampled tokens' log-probabilities (natural log); 0 where not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """Log-probability of a given continuation: sum over `tokens`; greedy: was it the argmax?"""

    logprob: float
    tokens: int
    greedy: bool


class LanguageModel(Protocol):
    """A model under one fixed set of weights (base, or base with one adapter)."""

    @property
    def digest(self) -> str:
        """Identity of the weights: base digest, plus adapter digest where there is one."""
        ...

    def generate(self, chats: Sequence[Chat], sampling: Sampling) -> list[list[Generation]]:
        """Complete each chat `sampling.n` times; one list a chat, in the order of `chats`."""
        ...

    def loglikelihood(self, requests: Sequence[tuple[Chat, str]]) -> list[Likelihood]:
        """Score each continuation after its chat's assistant header."""
        ...
