"""Revert risk of revisions, from a Lift Wing endpoint where one is configured.

Owns the request and its answer in three states: a probability, or none where it cannot be told. A
service that is down, or that asked for a pause, decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx

from agents.wikidata.api import check_user_agent
from agents.wikidata.errors import Throttled, retry_after_s
from agents.wikidata.limiter import Limiter

REJECT, HOLD = 0.7, 0.4
"""From these risks on an edit is taken for vandalism, or waits longer."""


class LiftWing:
    """One model at one URL (`.../revertrisk-wikidata:predict`). Close it."""

    def __init__(
        self,
        url: str,
        *,
        user_agent: str,
        limiter: Limiter | None = None,
        client: httpx.AsyncClient | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self._agent = check_user_agent(user_agent, url)
        self._url = url
        self._host = httpx.URL(url).netloc.decode()
        self._limiter = limiter or Limiter()
        self._client = client or httpx.AsyncClient(timeout=timeout_s)
        self._timeout_s = timeout_s

    async def aclose(self) -> None:
        await self._client.aclose()

    async def risks(self, revisions: Iterable[int]) -> dict[int, float | None]:
        """The probability that each revision will be reverted; None where that is not known."""
        wanted = list(dict.fromkeys(revisions))
        found = await asyncio.gather(*(self._risk(number) for number in wanted))
        return dict(zip(wanted, found, strict=True))

    async def _risk(self, revision: int) -> float | None:
        try:
            async with self._limiter.slot(self._host, patience_s=self._timeout_s):
                response = await self._client.post(
                    self._url, json={"rev_id": revision}, headers={"User-Agent": self._agent}
                )
            wait = retry_after_s(response.headers.get("retry-after"))
            if response.status_code in (429, 503) and wait is not None:
                await self._limiter.cool(self._host, wait)
            response.raise_for_status()
            return read_risk(response.json())
        except (httpx.HTTPError, Throttled, ValueError):
            return None


def read_risk(answer: Any) -> float | None:
    """`output.probabilities.true` of an answer; None for an answer of another shape."""
    try:
        risk = float(answer["output"]["probabilities"]["true"])
    except (KeyError, TypeError, ValueError):
        return None
    return risk if 0.0 <= risk <= 1.0 else None
