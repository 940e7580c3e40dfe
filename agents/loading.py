"""Loading langgraph, which takes a second or more: late, and in one thread at a time.

Owns the lock. A service is ready before it has a graph; what needs one loads it when there is
something to run, off the event loop. Two threads that import one package in two places may each
meet half of the other's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_ALONE = threading.Lock()


async def loaded(load: Callable[[], T]) -> T:
    """What `load` gives, which imports; called in a thread, while no other one loads."""

    def alone() -> T:
        with _ALONE:
            return load()

    return await asyncio.to_thread(alone)
