"""The curator of a worker, put together when the first change is to be drafted.

Owns when that is, and closing what it opened. Langgraph and the models' client take seconds to
load, and a worker shall be ready before; most of its life it has nothing to draft.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from agents.errors import Drained
from agents.evidence.fetch import GuardedFetcher
from agents.loading import loaded
from agents.proposals import Proposal
from daemon.services import Services
from knowledge.facts import FactChange

if TYPE_CHECKING:  # loads langgraph
    from contextlib import AbstractAsyncContextManager

    from agents.curate import Curator


class LateCurator:
    """What the controller needs of `agents.curate.Curator`. Use as a context."""

    def __init__(self, services: Services, fetcher: GuardedFetcher) -> None:
        self._services = services
        self._fetcher = fetcher
        self._made: Curator | None = None
        self._making = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._drained = False

    async def __aenter__(self) -> LateCurator:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def propose(self, change: FactChange, *, version: int = 0) -> Proposal:
        """As `Curator.propose`; after `drain` nothing is begun."""
        self._check_not_drained()
        curator = await self._curator()
        self._check_not_drained()  # making it takes so long that the end may have come meanwhile
        return await curator.propose(change, version=version)

    async def forget(self, change_key: str) -> None:
        await (await self._curator()).forget(change_key)

    def drain(self) -> None:
        """Ask every run to stop after the step that it is in, and begin none."""
        self._drained = True
        if self._made is not None:
            self._made.drain()

    def _check_not_drained(self) -> None:
        if self._drained:
            raise Drained("the service ends")

    async def _curator(self) -> Curator:
        async with self._making:  # changes are drafted side by side
            if self._made is None:
                opened = (await loaded(_load))(self._services, self._fetcher)
                self._made = await self._stack.enter_async_context(opened)
            return self._made


def _load() -> Callable[[Services, GuardedFetcher], AbstractAsyncContextManager[Curator]]:
    from daemon.curating import curator  # here, and not above: see the module's docstring

    return curator
