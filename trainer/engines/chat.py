"""Chats to token ids and back, by the tokenizer's own chat template.

Prompt and completion are tokenised apart, as they are when a model generates, so that a completion
has the same ids whether it was sampled or is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from knowledge.model import Chat, Message
from trainer.errors import BadBase


class ChatFormat:
    """Encoding of chats with one tokenizer. Raises BadBase for one without a chat template."""

    def __init__(self, tokenizer: Any, end_ids: Iterable[int], where: str) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise BadBase(
                f"the tokenizer of {where} has no chat template: "
                "use an instruction-tuned model or add a chat_template"
            )
        self.tokenizer = tokenizer
        self.end_ids = frozenset(end_ids)
        if not self.end_ids:
            raise BadBase(f"{where} names no end-of-sequence token in its config or tokenizer")
        pad = tokenizer.pad_token_id
        self.pad_id: int = min(self.end_ids) if pad is None else pad
        self.prompt = lru_cache(maxsize=8192)(self._prompt)

    def _render(self, chat: Sequence[Message], *, header: bool) -> str:
        turns = [{"role": m.role, "content": m.content} for m in chat]
        return self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=header
        )

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _prompt(self, chat: Chat) -> tuple[int, ...]:
        """Ids of the chat up to and with the assistant's header."""
        return self._encode(self._render(chat, header=True))

    def completion(self, chat: Chat, text: str) -> tuple[int, ...]:
        """Ids of the assistant's answer with its closing end token."""
        prompt = self._render(chat, header=True)
        whole = self._render((*chat, Message("assistant", text)), header=False)
        if not whole.startswith(prompt):
            raise BadBase(
                "the chat template writes a given answer otherwise than it asks for one: "
                "a template whose generation prompt is a prefix of the whole chat is needed"
            )
        ids = self._encode(whole[len(prompt) :])
        for index, token in enumerate(ids):
            if token in self.end_ids:
                return ids[: index + 1]
        raise BadBase("the chat template does not end an answer with an end token of the model")

    def text(self, ids: Sequence[int]) -> str:
        """The words of a completion, without special tokens and outer space."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True).strip()
