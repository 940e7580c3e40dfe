"""One snapshot of the database for one request: a page shows one state, over one connection.

Owns where the sharing begins and ends. It ends with the head of the answer, because what streams
after that (live updates, the export) must see what is written while it runs.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.services import Services


class OneSnapshot:
    """ASGI middleware around everything that reads."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/static/"):
            await self._app(scope, receive, send)
            return
        with self._services.database.sharing() as shared:

            async def ending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await asyncio.to_thread(shared.end)
                await send(message)

            await self._app(scope, receive, ending)
