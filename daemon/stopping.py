"""The two signals that end a process of the service, and its last step.

Owns what the first and the second signal do, that servers leave them to it, and that no thread
keeps an ended service. What is drained in between is the loop's that waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator

import uvicorn


class Server(uvicorn.Server):
    """A server that leaves signals to the loop, which drains before it ends this."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def catch_signals(stop: asyncio.Event) -> None:
    """The first SIGTERM or SIGINT sets `stop`, the second ends the process at once with status
    130; both leave a state to go on from. To be called in the running event loop."""
    loop = asyncio.get_running_loop()

    def caught() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, caught)


def leave() -> None:
    """End the process now, with status 0, when everything is closed.

    A thread may still be at work on what the drain has given up (a backup, the hashing of
    adapters, an answer from the network). All of that may be cut at any moment, as a crash would;
    Python would wait for it, beyond the time that systemd gives a service to stop.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
