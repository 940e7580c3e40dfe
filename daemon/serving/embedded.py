"""The embedded engine: the trainer's transformers engine in this process, behind the gateway.

Owns the running batches, whose rows may be under different adapters; weights and decoding are
`trainer.engines`'. Importing this module loads torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daemon.errors import ConfigError
from daemon.serving.batching import Ask, Running
from knowledge.model import Chat
from trainer.engines.chat import ChatFormat
from trainer.engines.continuous import Row, RunningBatch
from trainer.engines.mixed import MixedAdapters
from trainer.engines.transformers import TransformersEngine
from trainer.errors import BadBase


class EmbeddedEngine:
    """`daemon.serving.batching.Engine` over one resident base model. For one thread."""

    def __init__(self, engine: TransformersEngine) -> None:
        self._engine = engine
        self._mixed = MixedAdapters(engine)
        self._batches: list[RunningBatch] = []
        """One, but for models whose batches cannot be joined."""

    @classmethod
    def load(cls, base: Path, *, threads: int) -> EmbeddedEngine:
        """Read the base model's folder. Raises ConfigError when it cannot be read."""
        try:
            return cls(TransformersEngine.load(base, threads=threads))
        except BadBase as error:
            raise ConfigError(str(error)) from error

    @property
    def base_digest(self) -> str:
        return self._engine.base_digest

    @property
    def context_tokens(self) -> int:
        return self._engine.context

    @property
    def adapters(self) -> list[str]:
        """Names of the resident adapters."""
        return list(self._engine.adapters)

    def load_adapter(self, name: str, folder: Path) -> None:
        """Make an adapter resident. Raises `trainer.errors.BadAdapter`."""
        self._mixed.forget()
        self._engine.load_adapter(name, folder)

    def unload_adapter(self, name: str) -> None:
        self._mixed.forget()
        self._engine.unload_adapter(name)

    def begin(self, asks: Sequence[Ask]) -> list[Running]:
        """Raises `trainer.errors.BadBase` for a prompt beyond the context."""
        rows: list[Row] = []
        for adapter, chat, sampling in asks:
            prompt = self._engine.chat.prompt(chat)
            room = self.context_tokens - len(prompt) if self.context_tokens else None
            if room is not None and room < 1:
                raise BadBase(f"the prompt has {len(prompt)} tokens, which leaves no room")
            wanted = sampling.max_new_tokens
            rows.append(
                Row(
                    prompt=prompt,
                    limit=wanted if room is None else min(wanted, room),
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    seed=sampling.seed,
                    adapter=adapter,
                )
            )
        fresh = RunningBatch(self._mixed.network, rows)
        if self._batches and self._batches[0].joinable and fresh.joinable:
            self._batches[0].join(fresh)
        else:
            self._batches.append(fresh)
        return [_RunningRow(row, self._engine.chat) for row in rows]

    def step(self) -> None:
        network, batches = self._mixed.network, self._batches
        self._batches = []  # an error loses what runs
        self._batches = [batch for batch in batches if batch.step(network)]

    def prompt_tokens(self, chat: Chat) -> int:
        return len(self._engine.chat.prompt(chat))


class _RunningRow:
    def __init__(self, row: Row, chat: ChatFormat) -> None:
        self._row = row
        self._chat = chat

    @property
    def done(self) -> bool:
        return self._row.done

    @property
    def ended(self) -> bool:
        return self._row.ended

    @property
    def tokens(self) -> int:
        return len(self._row.ids)

    def text(self) -> str:
        return self._chat.text(self._row.ids)

    def stop(self) -> None:
        self._row.stopped = True
