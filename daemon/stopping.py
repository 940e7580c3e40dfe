"""The two signals that end a process of the service.

Owns what the first and the second signal do. What is drained in between is the loop's that waits.
"""

from __future__ import annotations

import asyncio
import os
import signal


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
