"""The embedded upstream: the trainer's transformers engine in this process, behind the gateway.

Owns nothing but the translation; weights and decoding are `trainer.engines.transformers`. Importing
this module loads torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from daemon.errors import ConfigError
from knowledge.model import Chat, Generation, Sampling
from trainer.engines.transformers import TransformersEngine
from trainer.errors import BadBase


class EmbeddedEngine:
    """`daemon.serving.batching.Engine` over one resident base model."""

    def __init__(self, engine: TransformersEngine) -> None:
        self._engine = engine

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

    def load_adapter(self, name: str, folder: Path) -> None:
        """Make an adapter resident. Raises `trainer.errors.BadAdapter`."""
        self._engine.load_adapter(name, folder)

    def unload_adapter(self, name: str) -> None:
        self._engine.unload_adapter(name)

    def generate(
        self, adapter: str | None, chats: Sequence[Chat], sampling: Sampling
    ) -> list[list[Generation]]:
        with self._engine.using(adapter):
            return self._engine.generate(chats, sampling)

    def stream(self, adapter: str | None, chat: Chat, sampling: Sampling) -> Iterator[Generation]:
        with self._engine.using(adapter):
            pieces = self._engine.stream(chat, sampling)
        return self._counted(pieces, self.prompt_tokens(chat), sampling)

    def _counted(
        self, pieces: Iterator[str], prompt_tokens: int, sampling: Sampling
    ) -> Iterator[Generation]:
        """Each piece with its tokens; the last says whether the answer ended by itself."""
        said, counted = "", 0
        for piece in pieces:
            said += piece
            tokens = self._tokens(said) - counted
            counted += tokens
            yield Generation(text=piece, finished=False, tokens=tokens)
        limit = min(sampling.max_new_tokens, self.context_tokens - prompt_tokens)
        yield Generation(text="", finished=counted < limit, tokens=0)

    def prompt_tokens(self, chat: Chat) -> int:
        return len(self._engine.chat.prompt(chat))

    def _tokens(self, text: str) -> int:
        return len(self._engine.chat.tokenizer(text, add_special_tokens=False)["input_ids"])
