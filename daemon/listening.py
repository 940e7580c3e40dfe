"""Listening sockets: a busy port is told before anything is started on it. Owns no server."""

from __future__ import annotations

import socket

from daemon.errors import ConfigError

_BACKLOG = 256


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ConfigError, which names `setting`, when
    it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's delay off on those sockets alone: without
    # it the second half of every answer waits 40 ms for the peer's acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"{host}:{port} cannot be listened on: {error.strerror}; end what uses the port, or "
            f"set {setting} to another"
        ) from None
    return listening
