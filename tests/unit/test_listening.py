"""Listening sockets: answers leave at once, and a busy port is told."""

from __future__ import annotations

import asyncio
import socket

import pytest

from daemon.errors import ConfigError
from daemon.listening import listen


def test_what_is_written_in_two_pieces_does_not_wait_for_an_acknowledgement() -> None:
    async def accepted() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def look(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken = writer.get_extra_info("socket")
            found.set_result(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = listen("127.0.0.1", 0, "web.port")
        async with await asyncio.start_server(look, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            nagle_off = await found
            writer.close()
        return nagle_off

    assert asyncio.run(accepted()) == 1


def test_a_busy_port_names_the_setting() -> None:
    with listen("127.0.0.1", 0, "web.port") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port}.*gateway\.port"):
            listen("127.0.0.1", port, "gateway.port")
