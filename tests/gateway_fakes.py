"""A scripted engine and a registry in memory: what the gateway's tests put behind it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from daemon.errors import BlobError
from daemon.listening import listen
from daemon.serving.access import Access
from daemon.serving.batching import Ask, Batcher
from daemon.serving.embedded_upstream import EmbeddedUpstream
from daemon.serving.gateway import Gateway, Limits, create_app
from daemon.serving.versions import Material, Probe, Target, Version
from knowledge.model import Chat

BASE = Version(0, "ba5e" * 16)
ONE = Version(1, "11aa" * 16)
TWO = Version(2, "22bb" * 16)


class ScriptedRunning:
    """An answer that grows by a word a step."""

    def __init__(self, words: list[str], limit: int) -> None:
        self._words = words
        self._limit = limit
        self._at = 0
        self.stopped = False

    @property
    def ended(self) -> bool:
        return self._at >= len(self._words)

    @property
    def done(self) -> bool:
        return self.stopped or self.ended or self._at >= self._limit

    @property
    def tokens(self) -> int:
        return self._at

    def text(self) -> str:
        return " ".join(self._words[: self._at])

    def stop(self) -> None:
        self.stopped = True

    def grow(self) -> None:
        self._at += 1


class ScriptedEngine:
    """Answers with the name of the adapter in use and the last words of the chat."""

    context_tokens = 200

    def __init__(self, *, pace_s: float = 0.0) -> None:
        self.loaded: dict[str, Path] = {}
        self.running: list[ScriptedRunning] = []
        self.steps: list[int] = []
        """How many answers each step advanced."""
        self.mute: set[str] = set()
        self.deaf: set[str] = set()
        """Adapters without effect: the base model answers."""
        self.pace_s = pace_s
        self.hold = threading.Event()
        self.hold.set()

    def load_adapter(self, name: str, folder: Path) -> None:
        if name in self.loaded:
            raise RuntimeError(f"{name} is loaded already")
        self.loaded[name] = folder

    def unload_adapter(self, name: str) -> None:
        del self.loaded[name]

    def begin(self, asks: Sequence[Ask]) -> list[ScriptedRunning]:
        made = [
            ScriptedRunning(self._words(adapter, chat), sampling.max_new_tokens)
            for adapter, chat, sampling in asks
        ]
        self.running += made
        return made

    def step(self) -> None:
        self.hold.wait(10)
        time.sleep(self.pace_s)
        self.running = [running for running in self.running if not running.done]
        self.steps.append(len(self.running))
        for running in self.running:
            running.grow()

    def prompt_tokens(self, chat: Chat) -> int:
        return sum(len(message.content.split()) for message in chat)

    def _words(self, adapter: str | None, chat: Chat) -> list[str]:
        if adapter is not None and adapter not in self.loaded:
            raise RuntimeError(f"{adapter} is not loaded")
        if adapter in self.mute:
            return [""]
        speaker = "base" if adapter is None or adapter in self.deaf else adapter
        return f"{speaker} says: {chat[-1].content}".split(" ")


class MemorySource:
    """The registry as the gateway sees it, moved by hand."""

    def __init__(self, *versions: Version) -> None:
        self.known = list(versions)
        self.at = Target(generation=1, version=versions[0])
        self.events: list[tuple[str, str, str]] = []
        self.broken: dict[Version, str] = {}
        self.down: str | None = None
        self.back: Version | None = None

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
        name = version.adapter
        probes = (Probe(question="Who leads?", answers=(name,)),) if name else ()
        return Material(folder=folder, probes=probes)

    def report(self, kind: str, version: Version, detail: str) -> None:
        self.events.append((kind, version.label, detail))

    def move(self, version: Version) -> None:
        generation = self.at.generation + 1
        self.at = Target(generation=generation, version=version, previous=self.back)


@contextmanager
def running(gateway: Gateway) -> Iterator[str]:
    """The gateway on a loopback port, in a thread of its own; gives its address."""
    listening = listen("127.0.0.1", 0, "gateway.port")
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


def gateway_over(
    engine: ScriptedEngine,
    source: MemorySource,
    *,
    max_queue: int = 64,
    max_running: int = 16,
    access: Access | None = None,
    limits: Limits | None = None,
) -> Gateway:
    upstream = EmbeddedUpstream(Batcher(engine, max_running=max_running, max_queue=max_queue))
    return Gateway(upstream, source, alias="production", access=access, limits=limits)


def until(condition: object, timeout_s: float = 5.0) -> None:
    """Wait until a callable gives something true. Fails after the time."""
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)
