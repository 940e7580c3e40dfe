"""What a model has answered already, and what the day's calls have cost.

Owns the port behind which answers are kept, so that no paid answer is asked for twice, and the
daily budget. Does not store: the daemon implements `AnswerLedger` on its database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from agents.errors import Retryable


class BudgetSpent(Retryable):
    """The day's budget for model calls is used up; the next day has one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of a model as it came, and its price. `finish` is OpenAI's finish reason;
    `content` is None when the model refused."""

    content: str | None
    finish: str = "stop"
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one day's calls have taken so far."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0


class AnswerLedger(Protocol):
    """Keeps answers by the digest of what was asked, and counts each kept one as spent today."""

    async def recall(self, model: str, request: str) -> Reply | None: ...

    async def keep(self, model: str, request: str, reply: Reply) -> None:
        """One transaction with the day's sum. Idempotent: a kept answer is not counted again."""
        ...

    async def spent_today(self) -> Spent: ...


class AnswersInMemory:
    """An `AnswerLedger` for one process and one day."""

    def __init__(self) -> None:
        self.replies: dict[tuple[str, str], Reply] = {}

    async def recall(self, model: str, request: str) -> Reply | None:
        return self.replies.get((model, request))

    async def keep(self, model: str, request: str, reply: Reply) -> None:
        self.replies.setdefault((model, request), reply)

    async def spent_today(self) -> Spent:
        kept = self.replies.values()
        return Spent(
            calls=len(kept),
            tokens_in=sum(r.tokens_in for r in kept),
            tokens_out=sum(r.tokens_out for r in kept),
            cost_usd=sum(r.cost_usd for r in kept),
        )


class Budget:
    """The day's bounds on calls and dollars; None is no bound. Calls under way count as made, so
    that many at once do not overrun it."""

    def __init__(
        self, ledger: AnswerLedger, *, calls: int | None = None, usd: float | None = None
    ) -> None:
        self._ledger = ledger
        self._calls = calls
        self._usd = usd
        self._under_way = 0

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Room for one call. Raises BudgetSpent, before anything is sent."""
        self._under_way += 1
        try:
            if self._calls is not None or self._usd is not None:
                spent = await self._ledger.spent_today()
                if self._calls is not None and spent.calls + self._under_way > self._calls:
                    raise BudgetSpent(
                        f"today's {self._calls} model calls are made; raise "
                        "curate.calls_per_day or wait until tomorrow (UTC)"
                    )
                if self._usd is not None and spent.cost_usd >= self._usd:
                    raise BudgetSpent(
                        f"today's {self._usd:g} USD for model calls are spent; raise "
                        "curate.usd_per_day or wait until tomorrow (UTC)"
                    )
            yield
        finally:
            self._under_way -= 1
