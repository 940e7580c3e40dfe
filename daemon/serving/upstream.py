"""What stands behind the gateway: something that holds a base model with adapters and answers.

Owns the protocol and the request as the gateway hands it on. The two upstreams are
`embedded_upstream` (transformers in this process) and `vllm` (a server of its own).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from daemon.serving.versions import Version


class Endpoint(StrEnum):
    """An endpoint of the OpenAI API, by its path below `/v1/`."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: its body as it came, and what the upstream made of it when it checked it."""

    endpoint: Endpoint
    body: dict[str, Any]
    model: str
    stream: bool
    checked: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A whole answer in the OpenAI form, and its completion tokens."""

    body: dict[str, Any]
    tokens: int


class Upstream(Protocol):
    """Holds adapters under their digests' names and answers under one of them."""

    @property
    def waiting(self) -> int:
        """Requests that are not being answered yet."""
        ...

    @property
    def problem(self) -> str | None:
        """Why it cannot answer at present; None when it can."""
        ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def load(self, version: Version, folder: Path) -> None:
        """Make an adapter resident under `version.adapter`. Raises when it does not fit."""
        ...

    async def unload(self, version: Version) -> None:
        """Forget an adapter; answers under it that have begun are finished."""
        ...

    async def keep_only(self, names: Collection[str]) -> list[str]:
        """Unload adapters of ours that an earlier gateway left behind; their names."""
        ...

    async def probe(self, version: Version, questions: Sequence[str]) -> list[str]:
        """Greedy answers to a few questions, beside the requests of users."""
        ...

    def check(self, endpoint: Endpoint, body: dict[str, Any]) -> Call:
        """Read a request. Raises RequestError that names the field at fault."""
        ...

    def admit(self, call: Call) -> None:
        """Raises RequestError (429, 400) when the request would be refused now."""
        ...

    async def answer(self, version: Version, call: Call) -> Told:
        """The whole answer. Raises RequestError. Cancelling it stops the engine."""
        ...

    def stream(self, version: Version, call: Call) -> AsyncIterator[Told]:
        """The answer in chunks; leaving the iteration stops the engine. Raises RequestError."""
        ...
