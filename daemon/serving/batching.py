"""One engine thread behind a short queue: requests are answered together, whenever they come.

Owns the queue, its bound and the thread. A request joins what is being answered at the next token,
whatever version either is under, so a change of versions makes nobody wait for another. Whatever
touches the engine, also loading an adapter, runs on that one thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from daemon.serving.errors import Overloaded
from knowledge.model import Chat, Generation, Sampling

T = TypeVar("T")
Piece = Generation | BaseException | None
"""Of a stream: more of the answer, what went wrong, or None for its end."""
_JOIN_S = 1.5
"""After the requests' own time to end, the thread has no more than a token to finish."""
Ask = tuple[str | None, Chat, Sampling]
"""The adapter to answer under (None: the base), the chat, and how."""


class Running(Protocol):
    """One answer in the making. Its text grows with each step of the engine."""

    @property
    def done(self) -> bool: ...

    @property
    def ended(self) -> bool:
        """It ended by itself, and was not cut at its limit."""
        ...

    @property
    def tokens(self) -> int: ...

    def text(self) -> str:
        """All of it so far."""
        ...

    def stop(self) -> None:
        """Nobody wants the rest."""
        ...


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

    def begin(self, asks: Sequence[Ask]) -> list[Running]:
        """Read the prompts of several chats, which join what runs. `n` of a sampling is 1."""
        ...

    def step(self) -> None:
        """One more token for everything that runs. When it raises, all of that is lost."""
        ...

    def prompt_tokens(self, chat: Chat) -> int: ...


@dataclass(slots=True, kw_only=True, eq=False)
class _Work:
    """A request: whole (`answer`) or streamed (`deliver`)."""

    adapter: str | None
    chat: Chat
    sampling: Sampling
    answer: Future[list[Generation]] = field(default_factory=Future)
    deliver: Callable[[Piece], None] | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    running: list[Running] = field(default_factory=list)
    said: str = ""
    counted: int = 0
    began_at: float = 0.0

    def asks(self) -> list[Ask]:
        """One ask an answer; each samples from a seed of its own."""
        one, seed = replace(self.sampling, n=1), self.sampling.seed
        return [
            (self.adapter, self.chat, replace(one, seed=seed + i)) for i in range(self.sampling.n)
        ]

    @property
    def unwanted(self) -> bool:
        return self.stopped.is_set() or self.answer.cancelled()

    def fail(self, error: BaseException) -> None:
        if self.deliver is not None:
            self.deliver(error)
        elif self.answer.set_running_or_notify_cancel():
            self.answer.set_exception(error)


@dataclass(slots=True, kw_only=True)
class _Call:
    """Maintenance: load, unload. Goes before waiting requests and is never refused."""

    run: Callable[[], Any]
    answer: Future[Any] = field(default_factory=Future)


class Batcher:
    """The engine behind its queue. `start` and `stop` own the thread; the rest is for asyncio."""

    def __init__(self, engine: Engine, *, max_running: int = 16, max_queue: int = 64) -> None:
        self.engine = engine
        self._max_running = max_running
        self._max_queue = max_queue
        self._calls: deque[_Call] = deque()
        self._waiting: deque[_Work] = deque()
        self._active: list[_Work] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._recent_s = 0.1
        self._thread = threading.Thread(target=self._loop, name="engine", daemon=True)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Answers in the making."""
        return sum(len(work.running) for work in list(self._active))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what runs, refuse what waits, end the thread. It is left where it is when that
        takes long; it keeps no process."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout=_JOIN_S)

    async def call(self, run: Callable[[], T]) -> T:
        """Run something on the engine thread, between two tokens."""
        call = _Call(run=run)
        with self._changed:
            self._calls.append(call)
            self._changed.notify()
        return await asyncio.wrap_future(call.answer)

    async def complete(
        self, adapter: str | None, chat: Chat, sampling: Sampling, *, ours: bool = False
    ) -> list[Generation]:
        """`sampling.n` answers to one chat. Raises Overloaded (unless it is one of `ours`), and
        whatever the engine raises. Cancelling it stops the engine."""
        work = _Work(adapter=adapter, chat=chat, sampling=sampling)
        self._admit(work, bounded=not ours)
        return await asyncio.wrap_future(work.answer)

    async def stream(
        self, adapter: str | None, chat: Chat, sampling: Sampling
    ) -> AsyncIterator[Generation]:
        """The answer piece by piece; `finished` is True on the last piece of an answer that ended
        by itself. Leaving the iteration stops the engine. Raises Overloaded."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[Piece] = asyncio.Queue()

        def deliver(piece: Piece) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        work = _Work(adapter=adapter, chat=chat, sampling=sampling, deliver=deliver)
        self._admit(work, bounded=True)
        try:
            while (piece := await pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            work.stopped.set()

    def check_room(self) -> None:
        """Raises Overloaded when a request that came now would be refused."""
        if len(self._waiting) >= self._max_queue:
            raise Overloaded(len(self._waiting), self._retry_after_s())

    def _admit(self, work: _Work, *, bounded: bool) -> None:
        with self._changed:
            if bounded:
                self.check_room()
            self._waiting.append(work)
            self._changed.notify()

    def _retry_after_s(self) -> int:
        """About how long the present queue takes: whole seconds, at least one."""
        return max(1, round(len(self._waiting) * self._recent_s / self._max_running))

    # -- engine thread ------------------------------------------------------------------------

    def _loop(self) -> None:
        while self._wait():
            while self._calls:
                call = self._calls.popleft()
                _settle(call.answer, call.run)
            if works := self._fresh():
                self._begin(works)
            if self._active:
                self._step()

    def _wait(self) -> bool:
        """Whether there is something to do; waits for it."""
        with self._changed:
            while not (self._calls or self._waiting or self._active or self._stopping):
                self._changed.wait()
            if self._stopping:
                self._refuse_all()
            return bool(self._calls or self._waiting or self._active) or not self._stopping

    def _fresh(self) -> list[_Work]:
        """Waiting requests that there is room for, in the order in which they came."""
        found: list[_Work] = []
        room = self._max_running - self.running
        with self._changed:
            while self._waiting and (self._waiting[0].sampling.n <= room or not self.running):
                work = self._waiting.popleft()
                if not work.unwanted:
                    found.append(work)
                    room -= work.sampling.n
                if room <= 0:
                    break
        return found

    def _begin(self, works: list[_Work]) -> None:
        now = time.monotonic()
        try:
            running = self.engine.begin([ask for work in works for ask in work.asks()])
        except Exception as error:
            if len(works) == 1:
                works[0].fail(error)
            else:  # one that cannot be answered must not take the others with it
                for work in works:
                    self._begin([work])
            return
        for work in works:
            count = work.sampling.n
            work.running, running, work.began_at = running[:count], running[count:], now
        self._active += works

    def _step(self) -> None:
        works = self._active
        for work in works:
            if work.unwanted:
                for running in work.running:
                    running.stop()
        try:
            self.engine.step()
        except Exception as error:
            self._active = []
            for work in works:
                for running in work.running:
                    running.stop()
                work.fail(error)
            return
        self._active = [work for work in works if not self._told(work)]

    def _told(self, work: _Work) -> bool:
        """Hand on what is new of an answer; True at its end."""
        done = all(running.done for running in work.running)
        if work.deliver is not None:
            self._tell_piece(work, work.running[0], done)
        elif done and work.answer.set_running_or_notify_cancel():
            work.answer.set_result(
                [Generation(text=r.text(), finished=r.ended, tokens=r.tokens) for r in work.running]
            )
        if done:
            took_s = time.monotonic() - work.began_at
            self._recent_s = 0.8 * self._recent_s + 0.2 * took_s
        return done

    @staticmethod
    def _tell_piece(work: _Work, running: Running, done: bool) -> None:
        assert work.deliver is not None
        text, tokens = running.text(), running.tokens
        whole = done or not text.endswith("\ufffd")  # a character whose bytes are not all there yet
        if whole and text.startswith(work.said) and (done or text != work.said):
            new = text[len(work.said) :]
            finished = done and running.ended
            work.deliver(Generation(text=new, finished=finished, tokens=tokens - work.counted))
            work.said, work.counted = text, tokens
        if done:
            work.deliver(None)

    def _refuse_all(self) -> None:
        stopped = RuntimeError("the gateway is stopping")
        for work in self._waiting:
            work.fail(stopped)
        for call in self._calls:
            if call.answer.set_running_or_notify_cancel():
                call.answer.set_exception(stopped)
        self._calls.clear()
        self._waiting.clear()


def _settle(answer: Future[Any], run: Callable[[], Any]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        answer.set_result(run())
    except Exception as error:
        answer.set_exception(error)
