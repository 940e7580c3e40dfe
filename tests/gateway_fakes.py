"""A scripted engine and a registry in memory: what the gateway's tests put behind it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from daemon.errors import BlobError
from daemon.serving.batching import Batcher
from daemon.serving.gateway import Gateway, create_app
from daemon.serving.versions import Material, Target, Version
from knowledge.model import Chat, Generation, Sampling

BASE = Version(0, "ba5e" * 16)
ONE = Version(1, "11aa" * 16)
TWO = Version(2, "22bb" * 16)


class ScriptedEngine:
    """Answers with the name of the adapter in use and the last words of the chat."""

    context_tokens = 200

    def __init__(self, *, pace_s: float = 0.0) -> None:
        self.loaded: dict[str, Path] = {}
        self.batches: list[int] = []
        self.mute: set[str] = set()
        self.pace_s = pace_s
        self.pieces_made = 0
        self.hold = threading.Event()
        self.hold.set()

    def load_adapter(self, name: str, folder: Path) -> None:
        if name in self.loaded:
            raise RuntimeError(f"{name} is loaded already")
        self.loaded[name] = folder

    def unload_adapter(self, name: str) -> None:
        del self.loaded[name]

    def generate(
        self, adapter: str | None, chats: Sequence[Chat], sampling: Sampling
    ) -> list[list[Generation]]:
        self.hold.wait(10)
        time.sleep(self.pace_s)
        self.batches.append(len(chats))
        return [[self._answer(adapter, chat)] * sampling.n for chat in chats]

    def stream(self, adapter: str | None, chat: Chat, sampling: Sampling) -> Iterator[Generation]:
        words = self._answer(adapter, chat).text.split(" ")
        for index, word in enumerate(words):
            time.sleep(self.pace_s)
            self.pieces_made += 1
            last = index == len(words) - 1
            text = word if last else f"{word} "
            yield Generation(text=text, finished=last, tokens=1)

    def prompt_tokens(self, chat: Chat) -> int:
        return sum(len(message.content.split()) for message in chat)

    def _answer(self, adapter: str | None, chat: Chat) -> Generation:
        if adapter is not None and adapter not in self.loaded:
            raise RuntimeError(f"{adapter} is not loaded")
        text = "" if adapter in self.mute else f"{adapter or 'base'} says: {chat[-1].content}"
        return Generation(text=text, finished=True, tokens=len(text.split()))


class MemorySource:
    """The registry as the gateway sees it, moved by hand."""

    def __init__(self, *versions: Version) -> None:
        self.known = list(versions)
        self.at = Target(generation=1, version=versions[0])
        self.events: list[tuple[str, str, str]] = []
        self.broken: dict[Version, str] = {}
        self.down: str | None = None
        self.probes: tuple[str, ...] = ("Who leads?",)

    def target(self) -> Target:
        if self.down:
            raise OSError(self.down)
        return self.at

    def versions(self) -> list[Version]:
        return self.known

    def material(self, version: Version) -> Material:
        if version in self.broken:
            raise BlobError(self.broken[version])
        folder = Path("/nowhere") / version.digest if version.number else None
        return Material(folder=folder, probes=self.probes if version.number else ())

    def report(self, kind: str, version: Version, detail: str) -> None:
        self.events.append((kind, version.label, detail))

    def move(self, version: Version) -> None:
        self.at = Target(generation=self.at.generation + 1, version=version)


@contextmanager
def running(gateway: Gateway) -> Iterator[str]:
    """The gateway on a loopback port, in a thread of its own; gives its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(gateway), log_config=None, access_log=False))
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def gateway_over(engine: ScriptedEngine, source: MemorySource, *, max_queue: int = 64) -> Gateway:
    return Gateway(Batcher(engine, max_queue=max_queue), source, alias="production")


def until(condition: object, timeout_s: float = 5.0) -> None:
    """Wait until a callable gives something true. Fails after the time."""
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)
