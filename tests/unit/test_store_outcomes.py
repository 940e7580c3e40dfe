"""What a look leaves behind: nothing if it was overtaken, and no failure for an item that is being
edited. What is merged or deleted is left late, and may come back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agents.ledger import Base, CandidateState, DirtyMark, ItemOutcome
from agents.wikidata.sweep import sweep
from daemon.store.engine import Database
from daemon.store.ledger import SqlWatchLedger
from daemon.store.rows import DirtyRow
from daemon.store.states import ChangeState
from daemon.store.watch_list import remove_items
from tests.daemon_support import NOW, StillClock, candidate, change, looked
from tests.fakes_wiki import FakeWiki, claim
from tests.unit.test_store_ledger import changes, put, run, settle

DAY = dt.timedelta(days=1)
NONE = Base(item="Q1", revision=0, entity=None).identity


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def ledger(database: Database, clock: StillClock) -> SqlWatchLedger:
    made = SqlWatchLedger(database, clock)
    run(made.watch(["Q1"]))
    return made


def mark(ledger: SqlWatchLedger, revision: int) -> None:
    run(ledger.mark([DirtyMark(item="Q1", revision=revision, reason="stream")]))


def dirty(database: Database) -> DirtyRow | None:
    with database.read() as session:
        return session.get(DirtyRow, "Q1")


def base(ledger: SqlWatchLedger) -> Base:
    return run(ledger.bases(["Q1"]))["Q1"]


def early(until: dt.datetime) -> ItemOutcome:
    return ItemOutcome(item="Q1", status="early", look_again_at=until, reason="being edited")


# -- overtaken looks ------------------------------------------------------------------------------


def test_a_first_look_does_not_overwrite_what_catching_up_stored_meanwhile(
    ledger: SqlWatchLedger, database: Database
) -> None:
    legacy = Base(item="Q1", revision=7, entity={"id": "Q1", "almanac": {"legacy": "2023-12-01"}})
    run(ledger.record(ItemOutcome(item="Q1", status="unchanged", base=legacy)))
    assert dirty(database) is None
    run(ledger.record(replace(looked("Q1", 9), started_from=NONE)))
    assert base(ledger) == legacy
    assert run(ledger.dirty(10, NOW)) == ["Q1"]
    run(ledger.record(replace(looked("Q1", 9), started_from=legacy.identity)))
    assert base(ledger).revision == 9


def test_a_former_leader_that_wakes_up_writes_no_older_base(
    ledger: SqlWatchLedger, database: Database
) -> None:
    run(ledger.record(replace(looked("Q1", 5), started_from=NONE)))
    seen = base(ledger).identity
    run(ledger.record(replace(looked("Q1", 8), started_from=seen)))
    late = looked("Q1", 6, candidate(change(), CandidateState.SETTLING))
    run(ledger.record(replace(late, started_from=seen)))
    assert base(ledger).revision == 8 and changes(database) == []
    gone = ItemOutcome(item="Q1", status="changed", deleted=True, started_from=seen)
    run(ledger.record(gone))
    assert list(run(ledger.watched())) == ["Q1"]


def test_states_are_told_apart_by_revision_and_content() -> None:
    one = Base(item="Q1", revision=5, entity={"a": 1, "b": [2]})
    assert one.identity == Base(item="Q1", revision=5, entity={"b": [2], "a": 1}).identity
    others = [replace(one, revision=6), replace(one, entity={"a": 1}), replace(one, entity=None)]
    assert len({one.identity, *(o.identity for o in others)}) == 4


@pytest.mark.parametrize("status", ["changed", "unknown", "early"])
def test_an_item_taken_off_the_list_during_a_look_is_not_marked_again(
    ledger: SqlWatchLedger, database: Database, status: str
) -> None:
    mark(ledger, 6)
    with database.write() as session:
        remove_items(session, ["Q1"], NOW)
    with database.write() as session:
        session.add(DirtyRow(item="Q1", revision=7, reason="stream", marked_at=NOW))
    run(ledger.record(ItemOutcome(item="Q1", status=status, look_again_at=NOW)))
    assert dirty(database) is None
    assert run(ledger.dirty(10, NOW + 99 * DAY)) == []


# -- items that are being edited ------------------------------------------------------------------


def test_an_item_that_is_edited_for_hours_is_no_failure(
    ledger: SqlWatchLedger, clock: StillClock, database: Database
) -> None:
    run(ledger.record(looked("Q1", 5)))
    for number in range(40):
        mark(ledger, 6 + number)
        run(ledger.record(early(clock.now() + dt.timedelta(minutes=10))))
        clock.advance(minutes=9)
        assert run(ledger.dirty(10, clock.now())) == []
    row = dirty(database)
    assert row is not None and (row.attempts, row.parked) == (0, False)
    clock.advance(minutes=1)
    assert run(ledger.dirty(10, clock.now())) == ["Q1"]


def test_a_further_edit_does_not_cut_the_rest_short_but_ends_a_failures_wait(
    ledger: SqlWatchLedger, clock: StillClock
) -> None:
    mark(ledger, 6)
    run(ledger.record(early(NOW + dt.timedelta(minutes=10))))
    mark(ledger, 7)
    assert run(ledger.dirty(10, NOW)) == []
    clock.advance(minutes=10)
    run(ledger.record(ItemOutcome(item="Q1", status="unknown", reason="cut answer")))
    assert run(ledger.dirty(10, clock.now())) == []
    mark(ledger, 8)
    assert run(ledger.dirty(10, clock.now())) == ["Q1"]


# -- merged and deleted items ---------------------------------------------------------------------


def deleted(**how: object) -> ItemOutcome:
    return ItemOutcome(item="Q1", status="changed", deleted=True, stands_for=3 * DAY, **how)  # type: ignore[arg-type]


def test_a_deletion_that_is_undone_in_time_costs_nothing(
    ledger: SqlWatchLedger, clock: StillClock, database: Database
) -> None:
    waiting = candidate(change(), CandidateState.SETTLING, due_at=NOW + DAY)
    run(ledger.record(looked("Q1", 5, waiting)))
    mark(ledger, 6)
    run(ledger.record(deleted()))
    assert run(ledger.dirty(10, NOW + 2 * DAY)) == []  # not even what is due meanwhile
    mark(ledger, 8)  # restored
    assert run(ledger.dirty(10, NOW)) == ["Q1"]
    clock.advance(days=2)
    run(ledger.record(looked("Q1", 8)))
    clock.advance(days=2)
    mark(ledger, 9)
    run(ledger.record(deleted()))  # again: its time begins anew
    assert list(run(ledger.watched())) == ["Q1"]
    assert [c.state for c in changes(database)] == [ChangeState.SETTLING]


def test_a_deletion_that_stands_withdraws_what_is_not_taught_yet(
    ledger: SqlWatchLedger, clock: StillClock, database: Database
) -> None:
    settle(ledger, change(1, 10, 11), 5)
    settle(ledger, change(1, 20, 21, "P35"), 5)
    put(database, 1, ChangeState.DRAFTING, ChangeState.IN_REVIEW, ChangeState.APPROVED)
    taught = (ChangeState.DRAFTING, ChangeState.IN_REVIEW, ChangeState.APPROVED)
    put(database, 2, *taught, ChangeState.BATCHED)
    run(ledger.record(deleted()))
    clock.advance(days=3)
    assert run(ledger.dirty(10, clock.now())) == ["Q1"]
    run(ledger.record(deleted()))
    assert run(ledger.watched()) == {} and run(ledger.gone()) == ["Q1"]
    first, second = changes(database)
    assert (first.state, first.reason) == (ChangeState.WITHDRAWN, "the item was deleted")
    assert second.state == ChangeState.BATCHED
    assert run(ledger.dirty(10, clock.now() + 99 * DAY)) == []


def test_what_a_deletion_withdrew_is_settled_again_when_the_page_is_back(
    ledger: SqlWatchLedger, database: Database
) -> None:
    settle(ledger, change(1, 10, 11), 5)
    put(database, 1, ChangeState.DRAFTING)
    open_one = candidate(change(1, 20, 21, "P35"), CandidateState.SETTLING)
    run(ledger.record(looked("Q1", 6, open_one)))
    run(ledger.record(ItemOutcome(item="Q1", status="changed", deleted=True)))
    assert [c.state for c in changes(database)] == [ChangeState.WITHDRAWN] * 2
    assert run(ledger.watch(["Q1"])) == 1
    first, second, again = changes(database)
    assert (first.state, second.state) == (ChangeState.WITHDRAWN, ChangeState.WITHDRAWN)
    assert (again.key, again.state) == (first.key, ChangeState.SETTLED)
    run(ledger.record(ItemOutcome(item="Q1", status="changed", deleted=True)))
    assert run(ledger.watch(["Q1"])) == 1
    assert [c.state for c in changes(database)][2:] == [ChangeState.WITHDRAWN, ChangeState.SETTLED]


def test_a_merge_is_followed_when_it_has_stood(ledger: SqlWatchLedger, clock: StillClock) -> None:
    run(ledger.record(looked("Q1", 5)))
    merged = ItemOutcome(item="Q1", status="changed", redirect_to="Q7", stands_for=3 * DAY)
    run(ledger.record(merged))
    assert list(run(ledger.watched())) == ["Q1"]
    clock.advance(days=3)
    run(ledger.record(merged))
    assert run(ledger.watched()) == {"Q7": 5}


def test_a_sweep_finds_what_is_there_again_and_it_goes_on_from_its_base(
    ledger: SqlWatchLedger, clock: StillClock
) -> None:
    wiki = FakeWiki()
    run(ledger.record(looked("Q1", 5)))
    clock.advance(days=9)
    run(ledger.record(ItemOutcome(item="Q1", status="changed", deleted=True)))
    assert run(sweep(wiki, ledger)) == 0
    assert run(ledger.gone()) == ["Q1"]
    wiki.item("Q1", "Freedonia", claim("s1", "P6", "Q11"))
    assert run(sweep(wiki, ledger)) == 1
    assert run(ledger.watched()) == {"Q1": 5} and run(ledger.gone()) == []
    assert run(ledger.dirty(10, clock.now())) == ["Q1"]
