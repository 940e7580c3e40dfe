"""Telling systemd how it goes: ready, a line of status, the watchdog, stopping.

Owns the datagrams of sd_notify(3). Does nothing where no NOTIFY_SOCKET is set.
"""

from __future__ import annotations

import contextlib
import os
import socket

_OURS = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})


def notify(**fields: str) -> bool:
    """Send `KEY=value` lines; whether there was somebody to send them to."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # the abstract namespace
    message = "\n".join(f"{name}={value}" for name, value in fields.items()).encode()
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(message, address)
        return True
    return False


def environment() -> dict[str, str]:
    """This process's environment for a child, which must not speak for it."""
    return {name: value for name, value in os.environ.items() if name not in _OURS}


def watchdog_s() -> float | None:
    """How often a sign of life is due: half of what systemd waits. None when it does not watch."""
    text = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", "")
    if not text.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(text) / 2_000_000
