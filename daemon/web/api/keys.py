"""Routes that act once for one idempotency key."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from daemon.errors import Conflict
from daemon.review.replies import Replies, Reply
from daemon.web.identity import asks, services_of

HEADER = "idempotency-key"
_LONGEST = 200


class OnceRoute(APIRoute):
    """A route which, for a POST with a key, gives the first answer again instead of acting again.

    Refusals of the request itself (4xx) are kept too: the same request meets the same answer.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER, "")
            if request.method != "POST" or not key:
                return await handler(request)
            if len(key) > _LONGEST or not key.isprintable():
                raise Conflict(f"an idempotency key is a text of at most {_LONGEST} characters")
            who = await asyncio.to_thread(asks, request)
            if who is None:
                return await handler(request)
            replies = Replies(services_of(request).database)
            asked = _digest(request, await request.body())
            known = await asyncio.to_thread(replies.get, who.name, key, asked)
            if known is not None:
                headers = {"Idempotency-Replayed": "true"}
                return JSONResponse(known.body, status_code=known.status, headers=headers)
            response = await handler(request)
            reply = Reply(status=response.status_code, body=json.loads(bytes(response.body)))
            await asyncio.to_thread(replies.put, who.name, key, asked, reply)
            return response

        return once


def _digest(request: Request, body: bytes) -> str:
    head = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(head + body).hexdigest()
