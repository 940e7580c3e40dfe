"""The embedded engine: the trainer's transformers engine in this process, behind the gateway.

Owns the running batches, one an adapter; weights and decoding are `trainer.engines`'. Importing
this module loads torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daemon.errors import ConfigError
from daemon.serving.batching import Ask, Running
from knowledge.model import Chat
from trainer.engines.chat import ChatFormat
from trainer.engines.continuous import Row, RunningBatch
from trainer.engines.transformers import TransformersEngine
from trainer.errors import BadBase


class EmbeddedEngine:
    """`daemon.serving.batching.Engine` over one resident base model. For one thread."""

    def __init__(self, engine: TransformersEngine) -> None:
        self._engine = engine
        self._batches: dict[str | None, list[RunningBatch]] = {}

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
        self._engine.load_adapter(name, folder)

    def unload_adapter(self, name: str) -> None:
        self._engine.activate(None)
        self._engine.unload_adapter(name)

    def begin(self, adapter: str | None, asks: Sequence[Ask]) -> list[Running]:
        """Raises `trainer.errors.BadBase` for a prompt beyond the context."""
        self._engine.activate(adapter)
        rows: list[Row] = []
        for chat, sampling in asks:
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
                )
            )
        fresh = RunningBatch(self._engine.network, rows)
        batches = self._batches.setdefault(adapter, [])
        if batches and batches[0].joinable and fresh.joinable:
            batches[0].join(fresh)
        else:
            batches.append(fresh)
        return [_RunningRow(row, self._engine.chat) for row in rows]

    def step(self, adapter: str | None) -> None:
        self._engine.activate(adapter)
        network = self._engine.network
        try:
            left = [batch for batch in self._batches.pop(adapter, []) if batch.step(network)]
        except Exception:
            self._batches.pop(adapter, None)
            raise
        if left:
            self._batches[adapter] = left

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
