"""Bulk runs and caps: a sample goes first, the rest follows its outcome, and nobody floods."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import col, select

from agents.ledger import CandidateState, DirtyMark
from agents.watch import Watcher, WatchSettings
from agents.wikidata.turnstile import Caps
from daemon.bulk_runs import BulkRuns
from daemon.clock import Clock
from daemon.errors import Conflict, NotFound
from daemon.store.engine import Database
from daemon.store.ledger import SqlWatchLedger
from daemon.store.rows import BulkRunRow, CandidateRow, ChangeRow, EventRow
from tests.fakes_wiki import FakeWiki, claim

ITEMS = tuple(f"Q{n}" for n in range(100, 112))
OLD = claim("s1", "P6", "Q11", start="2019-03-01")
ENDED = claim("s1", "P6", "Q11", start="2019-03-01", end="2024-05-02")
NEW = claim("s2", "P6", "Q12", start="2024-05-02")
RUN = "/* wbsetclaim:1 */ run 7"


class WikiClock(Clock):
    def __init__(self, wiki: FakeWiki) -> None:
        self._wiki = wiki

    def now(self) -> dt.datetime:
        return self._wiki.now


class Town:
    """A dozen watched towns on a real database, and one editor after another."""

    def __init__(self, folder: Path, caps: Caps) -> None:
        self.wiki = FakeWiki()
        for person in ("Q11", "Q12"):
            self.wiki.item(person, person, P31=["Q5"])
        for item in ITEMS:
            self.wiki.item(item, item, OLD)
        self.clock = WikiClock(self.wiki)
        self.database = Database.open(f"sqlite:///{folder}/watch.db")
        self.ledger = SqlWatchLedger(self.database, self.clock)
        settings = WatchSettings(debounce_min=0, bulk_items=8, caps=caps)
        self.watcher = Watcher(self.wiki, self.ledger, self.clock.now, settings)
        self.runs = BulkRuns(self.database, self.clock)
        asyncio.run(self.ledger.watch(ITEMS))
        self.look()

    def run(self, *, user: str = "RunBot", comment: str = RUN, hours: float = 0.01) -> None:
        for item in ITEMS:
            self.wiki.set(item, ENDED, NEW, user=user, comment=comment, hours=hours)
        self.look()

    def look(self) -> None:
        async def work() -> None:
            heads = await self.ledger.watched()
            marks = [DirtyMark(item=i, revision=self.wiki.head(i), reason="sweep") for i in heads]
            await self.ledger.mark(marks)
            while await self.watcher.reconcile():
                pass

        asyncio.run(work())

    def wait(self, days: float) -> None:
        self.wiki.now += dt.timedelta(days=days)
        self.look()

    def count(self, state: CandidateState) -> int:
        with self.database.read() as session:
            rows = session.exec(select(CandidateRow).where(CandidateRow.state == state)).all()
            return len(rows)

    def reasons(self) -> set[str]:
        with self.database.read() as session:
            query = select(CandidateRow.reason).where(CandidateRow.state == "settling")
            return set(session.exec(query).all())

    def decide(self, state: str, *, by: str = "ann", first: int = 99) -> None:
        """What reviewers say of the changes that came to them."""
        with self.database.write() as session:
            query = (
                select(ChangeRow).where(ChangeRow.state == "settled").order_by(col(ChangeRow.id))
            )
            for row in session.exec(query).all()[:first]:
                row.state, row.decided_by = state, by
                session.add(row)

    def standing(self) -> str:
        with self.database.read() as session:
            return session.exec(select(BulkRunRow)).one().state


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path, Caps(editor_per_day=5, run_per_day=4, sample=3))
    yield made
    made.database.close()


def test_a_sample_of_a_run_goes_on_and_the_rest_is_held(town: Town) -> None:
    town.run()
    town.wait(3.1)
    assert (town.count(CandidateState.SETTLED), town.count(CandidateState.SETTLING)) == (3, 9)
    assert all(r.startswith("held: part of the bulk run") for r in town.reasons())
    town.wait(60)
    assert town.count(CandidateState.SETTLED) == 3  # nobody has decided: nothing leaks
    assert town.standing() == "open"


def test_an_approved_sample_releases_the_rest_within_the_cap(town: Town) -> None:
    town.run()
    town.wait(3.1)
    town.decide("approved", first=2)
    town.wait(0.1)
    assert town.standing() == "open"
    town.decide("approved")
    town.wait(1.0)
    assert town.standing() == "released"
    assert town.count(CandidateState.SETTLED) == 3 + 4
    assert all("have settled within a day" in r for r in town.reasons())
    town.wait(1.01)
    assert town.count(CandidateState.SETTLED) == 3 + 8
    town.wait(1.01)
    assert town.count(CandidateState.SETTLED) == len(ITEMS)


def test_a_rejected_sample_dismisses_the_rest_with_the_reason(town: Town) -> None:
    town.run()
    town.wait(3.1)
    town.decide("approved", first=2)
    town.decide("rejected", first=1)
    town.wait(0.1)
    assert town.standing() == "dismissed"
    assert town.count(CandidateState.SETTLED) == 3
    assert town.count(CandidateState.DISMISSED) == 9
    with town.database.read() as session:
        dismissed = session.exec(select(ChangeRow).where(ChangeRow.state == "dismissed")).all()
        told = {row.reason for row in dismissed}
        events = session.exec(select(EventRow).where(EventRow.entity == "bulk_run")).all()
    assert len(dismissed) == 9 and all("was rejected" in reason for reason in told)
    assert [e.reason.partition(":")[0] for e in events][1:] == ["dismissed"]
    town.wait(40)
    assert town.count(CandidateState.SETTLED) == 3


def test_a_policy_does_not_stand_for_people(town: Town) -> None:
    town.run()
    town.wait(3.1)
    town.decide("approved", by="policy:default")
    town.wait(1)
    assert town.standing() == "open"


def test_what_ends_unseen_is_drawn_anew(town: Town) -> None:
    town.run()
    town.wait(3.1)
    town.decide("withdrawn", first=2)
    town.wait(8)
    assert town.count(CandidateState.SETTLED) == 5
    town.decide("approved")
    town.wait(0.1)
    assert town.standing() == "released"


def test_a_person_may_decide_a_run_without_its_sample(town: Town) -> None:
    town.run()
    (run,) = town.runs.list()
    assert (run.editor, run.held, run.sampled, run.size) == ("RunBot", 12, 0, 12)
    with pytest.raises(Conflict):
        town.runs.decide(run.id, release=True, actor="ann", reason=" ")
    with pytest.raises(NotFound):
        town.runs.decide("nonsense", release=True, actor="ann", reason="known import")
    town.runs.decide(run.id, release=False, actor="ann", reason="wrong year throughout")
    with pytest.raises(Conflict):
        town.runs.decide(run.id, release=True, actor="ann", reason="after all")
    town.wait(3.1)
    assert town.count(CandidateState.DISMISSED) == 12
    assert town.runs.list() == [] and town.runs.list(everything=True)[0].decided_by == "ann"


def test_one_editor_by_hand_is_capped_and_nothing_is_lost(town: Town) -> None:
    town.run(user="Kontributor", hours=1.0)  # too slow for a run
    town.wait(3.0)
    assert town.count(CandidateState.SETTLED) == 5
    assert any("changes by Kontributor have settled within a day" in r for r in town.reasons())
    town.wait(1.01)
    assert town.count(CandidateState.SETTLED) == 10
    town.wait(1.01)
    assert town.count(CandidateState.SETTLED) == len(ITEMS)


def test_edits_whose_editors_are_hidden_are_no_run(town: Town) -> None:
    town.run(user="")
    assert town.count(CandidateState.SETTLING) == len(ITEMS)
    with town.database.read() as session:
        assert session.exec(select(BulkRunRow)).all() == []
