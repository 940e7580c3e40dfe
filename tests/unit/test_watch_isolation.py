"""One item that cannot be judged stops no other, wherever on its way it fails."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from agents import watch
from agents.errors import Permanent
from agents.ledger import DirtyMark, ItemOutcome
from agents.watch import Watcher, WatchSettings
from agents.wikidata.api import Fetched, RecentChange
from agents.wikidata.errors import BrokenAnswer, Refused, Unreachable
from daemon.controllers.watch import WatchController
from daemon.upkeep.degraded import Degraded, Mode
from tests.fakes_ledger import MemoryLedger
from tests.fakes_wiki import FakeWiki, claim

ITEMS = ("Q1", "Q2", "Q3")
OLD = claim("s1", "P6", "Q11", start="2019-03-01")
ENDED = claim("s1", "P6", "Q11", start="2019-03-01", end="2024-05-02")


class Wiki(FakeWiki):
    """Three towns. Fails for what a test says, as Wikidata may."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: dict[str, Exception] = {}
        for person in ("Q11", "Q12", "Q666"):
            self.item(person, person, P31=["Q5"])
        for item in ITEMS:
            self.item(item, item, OLD)

    async def entities(self, items: Iterable[str]) -> Fetched:
        asked = list(items)
        for item in asked:
            if item in self.refused:
                raise self.refused[item]
        return await super().entities(asked)

    async def recentchanges(
        self, since: dt.datetime, until: dt.datetime, *, user: str | None = None
    ) -> AsyncIterator[RecentChange]:
        if user == "":
            raise Refused("badvalue: rcuser is empty")
        async for row in super().recentchanges(since, until, user=user):
            yield row


class Towns:
    def __init__(self, ledger: MemoryLedger | None = None) -> None:
        self.wiki = Wiki()
        self.ledger = ledger or MemoryLedger(ITEMS)
        settings = WatchSettings(debounce_min=0)
        self.watcher = Watcher(self.wiki, self.ledger, lambda: self.wiki.now, settings)
        asyncio.run(self.watcher.reconcile())
        self.ledger.outcomes.clear()

    def edit(self, item: str, new: str = "Q12", **how: Any) -> None:
        made = claim("s2", "P6", new, start="2024-05-02")
        revision = self.wiki.set(item, ENDED, made, **how)
        mark = DirtyMark(item=item, revision=revision, reason="stream")
        asyncio.run(self.ledger.mark([mark]))

    def look(self) -> int:
        return asyncio.run(self.watcher.reconcile())

    def of(self, item: str) -> ItemOutcome:
        return next(o for o in reversed(self.ledger.outcomes) if o.item == item)

    def statuses(self) -> dict[str, str]:
        return {item: self.of(item).status for item in ITEMS}


def test_a_hidden_editor_is_asked_about_nowhere() -> None:
    towns = Towns()
    towns.edit("Q2", user="")
    assert towns.look() == 1
    assert towns.of("Q2").status == "changed" and towns.of("Q2").candidates


@pytest.mark.parametrize("error", [Refused("no-such-entity: Q666"), BrokenAnswer("left out Q666")])
def test_a_value_that_cannot_be_asked_for_holds_its_item_alone(error: Exception) -> None:
    towns = Towns()
    towns.wiki.refused["Q666"] = error
    for item in ITEMS:
        towns.edit(item, "Q666" if item == "Q2" else "Q12")
    assert towns.look() == 2
    assert towns.statuses() == {"Q1": "changed", "Q2": "unknown", "Q3": "changed"}
    assert "Q666" in towns.of("Q2").reason
    assert towns.ledger.base["Q2"].revision < towns.wiki.head("Q2")


@pytest.mark.parametrize("step", ["classify_item", "with_runs", "with_demands", "gate", "accept"])
def test_a_fault_of_the_watch_costs_one_item(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    towns = Towns()
    for item in ITEMS:
        towns.edit(item)
    whole = getattr(watch, step)

    def fails(*args: Any, **how: Any) -> Any:
        first = args[0]
        subject = (
            first.slots[0].results[0].change.subject.id if step in ("gate", "accept") else None
        )
        if subject == "Q2" or getattr(getattr(first, "head", None), "id", None) == "Q2":
            raise KeyError("nobody thought of this")
        return whole(*args, **how)

    monkeypatch.setattr(watch, step, fails)
    assert towns.look() == 2
    assert towns.statuses() == {"Q1": "changed", "Q2": "unknown", "Q3": "changed"}
    assert "nobody thought of this" in towns.of("Q2").reason
    assert "test_watch_isolation.py" in towns.of("Q2").reason


def test_a_head_that_no_answer_is_whole_with_holds_its_item_alone() -> None:
    towns = Towns()
    for item in ITEMS:
        towns.edit(item)
    towns.wiki.refused["Q2"] = BrokenAnswer("wbgetentities left out Q2")
    assert towns.look() == 2
    assert towns.statuses() == {"Q1": "changed", "Q2": "unknown", "Q3": "changed"}


class Refusing(MemoryLedger):
    """Cannot store what was judged of Q2."""

    async def record(self, outcome: ItemOutcome) -> None:
        if outcome.item == "Q2" and outcome.candidates:
            raise ValueError("change 7 is live and cannot become settled")
        await super().record(outcome)


def test_an_outcome_that_cannot_be_stored_is_unknown() -> None:
    towns = Towns(Refusing(ITEMS))
    for item in ITEMS:
        towns.edit(item)
    assert towns.look() == 2
    assert towns.statuses() == {"Q1": "changed", "Q2": "unknown", "Q3": "changed"}
    assert "cannot become settled" in towns.of("Q2").reason


def test_a_source_that_does_not_answer_is_no_items_fault() -> None:
    towns = Towns()
    towns.edit("Q1")
    towns.wiki.refused["Q12"] = Unreachable("no answer")
    with pytest.raises(Unreachable):
        towns.look()
    assert towns.ledger.outcomes == []


def test_a_refusal_of_everything_is_told_and_not_raised() -> None:
    class Refused:
        error: Exception | None = Permanent("403: set a user-agent")

        async def reconcile(self, limit: int | None = None) -> int:
            if self.error is not None:
                raise self.error
            return 1

    looker, degraded = Refused(), Degraded()
    controller = WatchController(looker, batch=50, degraded=degraded)
    assert asyncio.run(controller.reconcile()) == 0
    assert [(t.mode, "set a user-agent" in t.reason) for t in degraded.list()] == [
        (Mode.OFFLINE, True)
    ]
    looker.error = None
    assert asyncio.run(controller.reconcile()) == 1
    assert degraded.list() == []
