"""Paid answers are kept and counted once; the day's budget is a bound before the call."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from agents.drafting.answers import AnswersInMemory, Budget, BudgetSpent, Reply, Spent
from daemon.store.engine import Database
from daemon.store.spending import SqlAnswerLedger
from tests.daemon_support import StillClock

T = TypeVar("T")
ONE = Reply(content="{}", tokens_in=100, tokens_out=10, cost_usd=0.5)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def test_an_answer_is_kept_once_and_counted_on_its_day(tmp_path: Path) -> None:
    clock = StillClock(dt.datetime(2026, 3, 1, 23, 59, tzinfo=dt.UTC))
    database = Database.open(f"sqlite:///{tmp_path / 'a.db'}")
    ledger = SqlAnswerLedger(database, clock)

    async def play() -> tuple[Reply | None, Reply | None, Spent, Spent]:
        missing = await ledger.recall("m", "q")
        await ledger.keep("m", "q", ONE)
        await ledger.keep("m", "q", Reply(content="other", cost_usd=9.0))
        today = await ledger.spent_today()
        clock.advance(minutes=1)
        return missing, await ledger.recall("m", "q"), today, await ledger.spent_today()

    missing, kept, today, tomorrow = run(play())
    assert missing is None and kept == ONE
    assert today == Spent(calls=1, tokens_in=100, tokens_out=10, cost_usd=0.5)
    assert tomorrow == Spent()
    database.close()


def test_calls_under_way_count_against_the_budget() -> None:
    budget = Budget(AnswersInMemory(), calls=2)

    async def play() -> list[str]:
        async def call() -> str:
            try:
                async with budget.call():
                    await asyncio.sleep(0)
                    return "made"
            except BudgetSpent:
                return "refused"

        return sorted(await asyncio.gather(*(call() for _ in range(3))))

    assert run(play()) == ["made", "made", "refused"]


def test_the_dollars_of_a_day_are_a_bound() -> None:
    ledger = AnswersInMemory()
    budget = Budget(ledger, usd=1.0)

    async def play() -> None:
        for number in range(3):
            async with budget.call():
                await ledger.keep("m", str(number), ONE)

    with pytest.raises(BudgetSpent, match="usd_per_day"):
        run(play())
    assert run(ledger.spent_today()).calls == 2
