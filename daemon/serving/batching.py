"""One engine thread behind a short queue: requests that come together are answered together.

Owns the queue, its bound, the collecting window and the thread. Whatever touches the engine, also
loading an adapter, runs on that one thread, so weights never change under a running batch.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from daemon.serving.errors import Overloaded
from knowledge.model import Chat, Generation, Sampling

T = TypeVar("T")
Piece = Generation | BaseException | None
"""Of a stream: more of the answer, what went wrong, or None for its end."""


class Engine(Protocol):
    """A base model in process that answers with any of its resident adapters (None: the base)."""

    @property
    def context_tokens(self) -> int:
        """Longest prompt plus answer that the model can hold."""
        ...

    def load_adapter(self, name: str, folder: Path) -> None:
        """Make an adapter resident. Raises when its files do not fit the base model."""
        ...

    def unload_adapter(self, name: str) -> None: ...

    def generate(
        self, adapter: str | None, chats: Sequence[Chat], sampling: Sampling
    ) -> list[list[Generation]]: ...

    def stream(self, adapter: str | None, chat: Chat, sampling: Sampling) -> Iterator[Generation]:
        """The answer piece by piece: new text and its tokens. `finished` is True on the last piece
        of an answer that ended by itself. Closing the iterator stops generation."""
        ...

    def prompt_tokens(self, chat: Chat) -> int: ...


@dataclass(slots=True, kw_only=True)
class _Completion:
    adapter: str | None
    chat: Chat
    sampling: Sampling
    answer: Future[list[Generation]] = field(default_factory=Future)

    @property
    def key(self) -> object:
        """Requests of one key may share a batch; sampled ones keep their own seed, so never do."""
        return (self.adapter, self.sampling) if self.sampling.temperature == 0 else id(self)


@dataclass(slots=True, kw_only=True)
class _Stream:
    adapter: str | None
    chat: Chat
    sampling: Sampling
    deliver: Callable[[Piece], None]
    """Called with each piece, then with None at the end, or with what went wrong."""
    stopped: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True, kw_only=True)
class _Call:
    """Maintenance: load, unload, smoke. Goes before waiting requests and is never refused."""

    run: Callable[[], Any]
    answer: Future[Any] = field(default_factory=Future)


class Batcher:
    """The engine behind its queue. `start` and `stop` own the thread; the rest is for asyncio."""

    def __init__(
        self, engine: Engine, *, window_s: float = 0.010, max_batch: int = 8, max_queue: int = 64
    ) -> None:
        self.engine = engine
        self._window_s = window_s
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._calls: deque[_Call] = deque()
        self._work: deque[_Completion | _Stream] = deque()
        self._streams: list[tuple[_Stream, Iterator[Generation]]] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._recent_s = 0.1
        self._thread = threading.Thread(target=self._loop, name="engine", daemon=True)

    @property
    def waiting(self) -> int:
        return len(self._work)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what runs, refuse what waits, end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout=30)

    async def call(self, run: Callable[[], T]) -> T:
        """Run something on the engine thread, between two batches."""
        call = _Call(run=run)
        with self._changed:
            self._calls.append(call)
            self._changed.notify()
        return await asyncio.wrap_future(call.answer)

    async def complete(
        self, adapter: str | None, chat: Chat, sampling: Sampling
    ) -> list[Generation]:
        """`sampling.n` answers to one chat. Raises Overloaded, and whatever the engine raises."""
        work = _Completion(adapter=adapter, chat=chat, sampling=sampling)
        self._admit(work)
        return await asyncio.wrap_future(work.answer)

    async def stream(
        self, adapter: str | None, chat: Chat, sampling: Sampling
    ) -> AsyncIterator[Generation]:
        """The answer piece by piece; leaving the iteration stops the engine. Raises Overloaded."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[Piece] = asyncio.Queue()

        def deliver(piece: Piece) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        work = _Stream(adapter=adapter, chat=chat, sampling=sampling, deliver=deliver)
        self._admit(work)
        try:
            while (piece := await pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            work.stopped.set()

    def check_room(self) -> None:
        """Raises Overloaded when a request that came now would be refused."""
        if len(self._work) >= self._max_queue:
            raise Overloaded(len(self._work), self._retry_after_s())

    def _admit(self, work: _Completion | _Stream) -> None:
        with self._changed:
            self.check_room()
            self._work.append(work)
            self._changed.notify()

    def _retry_after_s(self) -> int:
        """About how long the present queue takes: whole seconds, at least one."""
        return max(1, round(len(self._work) * self._recent_s / self._max_batch))

    # -- engine thread ------------------------------------------------------------------------

    def _loop(self) -> None:
        """One thing after the other; running streams get a piece each in between."""
        while True:
            job = self._next()
            if isinstance(job, _Call):
                _settle(job.answer, job.run)
            elif isinstance(job, _Stream):
                self._open(job)
            elif job:
                self._run_batch(job)
            elif not self._streams:
                return
            self._advance()

    def _next(self) -> _Call | _Stream | list[_Completion]:
        """What to do now. Nothing means: only the running streams, or the end."""
        with self._changed:
            while not (self._calls or self._work or self._streams or self._stopping):
                self._changed.wait()
            if self._stopping:
                self._refuse_all()
            if self._calls:
                return self._calls.popleft()
            if not self._work:
                return []
            first = self._work.popleft()
            return first if isinstance(first, _Stream) else self._collect(first)

    def _collect(self, first: _Completion) -> list[_Completion]:
        """The requests that can share a batch with `first`, waiting a moment for more."""
        deadline = time.monotonic() + self._window_s
        batch = [first]
        while True:
            for work in list(self._work):
                if len(batch) == self._max_batch:
                    return batch
                if isinstance(work, _Completion) and work.key == first.key:
                    self._work.remove(work)
                    batch.append(work)
            left = deadline - time.monotonic()
            busy = self._stopping or self._calls or self._streams
            if left <= 0 or len(batch) == self._max_batch or busy:
                return batch
            self._changed.wait(left)

    def _run_batch(self, batch: list[_Completion]) -> None:
        batch = [work for work in batch if work.answer.set_running_or_notify_cancel()]
        if not batch:
            return
        started = time.monotonic()
        try:
            chats = [work.chat for work in batch]
            answers = self.engine.generate(batch[0].adapter, chats, batch[0].sampling)
        except Exception as error:
            for work in batch:
                work.answer.set_exception(error)
            return
        self._recent_s = 0.8 * self._recent_s + 0.2 * (time.monotonic() - started)
        for work, answer in zip(batch, answers, strict=True):
            work.answer.set_result(answer)

    def _open(self, work: _Stream) -> None:
        try:
            self._streams.append((work, self.engine.stream(work.adapter, work.chat, work.sampling)))
        except Exception as error:
            work.deliver(error)

    def _advance(self) -> None:
        """The next piece of every running stream."""
        for running in list(self._streams):
            work, pieces = running
            try:
                piece = None if work.stopped.is_set() else next(pieces, None)
            except Exception as error:
                self._streams.remove(running)
                work.deliver(error)
                continue
            if piece is None:
                self._streams.remove(running)
            work.deliver(piece)

    def _refuse_all(self) -> None:
        stopped = RuntimeError("the gateway is stopping")
        for work in [*self._calls, *self._work]:
            if isinstance(work, _Stream):
                work.deliver(stopped)
            elif work.answer.set_running_or_notify_cancel():
                work.answer.set_exception(stopped)
        self._calls.clear()
        self._work.clear()


def _settle(answer: Future[Any], run: Callable[[], Any]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        answer.set_result(run())
    except Exception as error:
        answer.set_exception(error)
