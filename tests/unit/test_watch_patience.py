"""How long a client waits for a server that asked it to: within its budget, never out of it."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from agents.errors import Retryable
from agents.wikidata.api import ActionApi
from agents.wikidata.errors import Throttled
from agents.wikidata.limiter import Limiter, MemoryCoolDown

URL = "http://127.0.0.1/w/api.php"


class Server:
    """Asks for a pause, as often as it is asked."""

    def __init__(self, status: int, pause: str, answer: object = None) -> None:
        self._status, self._pause, self._answer = status, pause, answer or {}
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        return httpx.Response(self._status, json=self._answer, headers={"Retry-After": self._pause})


async def ask(server: Server, cool: MemoryCoolDown) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as client:
        limiter = Limiter(per_minute=None, cool_down=cool)
        api = ActionApi(URL, user_agent="test", client=client, limiter=limiter, budget_s=0.5)
        await api.lastrevids(["Q1"])


@pytest.mark.parametrize(
    ("status", "answer", "pause"),
    [
        (429, None, "30"),
        (503, None, "30"),
        (200, {"error": {"code": "maxlag", "info": "lagged"}}, "30"),
        (429, None, "86400"),
    ],
)
def test_a_wait_beyond_the_budget_is_not_begun(status: int, answer: object, pause: str) -> None:
    server, cool, begun = Server(status, pause, answer), MemoryCoolDown(), time.monotonic()
    with pytest.raises(Retryable) as raised:
        asyncio.run(asyncio.wait_for(ask(server, cool), 5))
    assert time.monotonic() - begun < 2 and server.asked == 1
    assert raised.value.retry_after_s == float(pause)


def test_a_pause_that_is_not_over_is_told_without_asking() -> None:
    server, cool = Server(429, "30"), MemoryCoolDown()
    for _ in range(2):  # the second knows it from the cool-down
        with pytest.raises(Throttled):
            asyncio.run(asyncio.wait_for(ask(server, cool), 5))
    assert server.asked == 1


def test_a_short_pause_is_waited_out() -> None:
    class Once(Server):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            if self.asked:
                page = {"query": {"pages": [{"title": "Q1", "lastrevid": 7}]}}
                return httpx.Response(200, json=page)
            return super().__call__(request)

    asyncio.run(asyncio.wait_for(ask(Once(429, "0.05"), MemoryCoolDown()), 5))
