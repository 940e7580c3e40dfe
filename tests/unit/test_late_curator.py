"""The curator that is put together when it is needed: once, and not while the service ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agents.errors import Drained
from daemon import late_curator
from daemon.late_curator import LateCurator
from tests.daemon_support import change


class Counted:
    """In the place of `agents.curate.Curator`."""

    def __init__(self) -> None:
        self.opened = self.closed = self.drained = 0
        self.asked: list[str] = []

    @asynccontextmanager
    async def make(self, *_: object) -> AsyncIterator[Counted]:
        self.opened += 1
        await asyncio.sleep(0)
        yield self
        self.closed += 1

    async def propose(self, change: Any, *, version: int = 0) -> str:
        self.asked.append(change.key)
        return change.key

    def drain(self) -> None:
        self.drained += 1


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()
    monkeypatch.setattr(late_curator, "_load", lambda: counted.make)
    return counted


def late() -> LateCurator:
    nothing: Any = None
    return LateCurator(nothing, nothing)


def test_it_is_made_once_for_all_and_closed_with_the_service(made: Counted) -> None:
    async def run() -> None:
        async with late() as curator:
            assert made.opened == 0
            await asyncio.gather(*(curator.propose(change(n)) for n in range(4)))
            assert (made.opened, made.closed) == (1, 0)

    asyncio.run(run())
    assert made.closed == 1
    assert made.asked == [change(n).key for n in range(4)]


def test_nothing_is_begun_once_the_service_ends(made: Counted) -> None:
    async def run() -> None:
        async with late() as curator:
            waiting = asyncio.create_task(curator.propose(change(1)))
            while not made.opened:  # in the middle of making it
                await asyncio.sleep(0)
            curator.drain()
            with pytest.raises(Drained):
                await waiting
            with pytest.raises(Drained):
                await curator.propose(change(2))
            curator.drain()

    asyncio.run(run())
    assert made.asked == []
    assert made.drained == 1
