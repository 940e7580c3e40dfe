"""The watch's memory: marks, bases, candidates, and the changes that settle out of them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from sqlmodel import col, select

from agents.ledger import (
    CandidateState,
    Cursor,
    DirtyMark,
    Dismissal,
    EditVerdict,
    ItemOutcome,
)
from daemon.store import leases
from daemon.store.engine import Database
from daemon.store.ledger import SqlWatchLedger
from daemon.store.rows import ChangeRow, DirtyRow, DismissalRow, EventRow
from daemon.store.states import ChangeState, transition
from knowledge.facts import ChangeKind
from tests.daemon_support import NOW, StillClock, candidate, change, looked

T = TypeVar("T")
SETTLING, SETTLED = CandidateState.SETTLING, CandidateState.SETTLED


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def database(database_url: str):
    opened = Database.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def ledger(database: Database, clock: StillClock) -> SqlWatchLedger:
    made = SqlWatchLedger(database, clock)
    run(made.watch(["Q1", "Q2"]))
    return made


def changes(database: Database) -> list[ChangeRow]:
    with database.read() as session:
        return list(session.exec(select(ChangeRow).order_by(col(ChangeRow.id))).all())


def settle(ledger: SqlWatchLedger, fact: Any, revision: int) -> None:
    run(ledger.record(looked("Q1", revision, candidate(fact, SETTLING))))
    run(ledger.record(looked("Q1", revision, candidate(fact, SETTLED))))


def put(database: Database, change_id: int, *path: ChangeState) -> None:
    with database.write() as session:
        row = session.get(ChangeRow, change_id)
        assert row is not None
        for state in path:
            transition(session, row, state, actor="test", reason="test", now=NOW)


TO_LIVE = (
    ChangeState.DRAFTING,
    ChangeState.IN_REVIEW,
    ChangeState.APPROVED,
    ChangeState.BATCHED,
    ChangeState.LIVE,
)


def test_watched_items_start_dirty_without_base(ledger: SqlWatchLedger) -> None:
    assert run(ledger.watched()) == {"Q1": 0, "Q2": 0}
    assert run(ledger.dirty(10, NOW)) == ["Q1", "Q2"]
    assert run(ledger.watch(["Q1", "Q3"])) == 1
    assert run(ledger.bases(["Q1"])) == {}


def test_marks_and_cursor_are_one_transaction(ledger: SqlWatchLedger) -> None:
    run(ledger.record(looked("Q1", 5)))
    cursor = Cursor(stream="s", event_id='[{"offset":-1}]', event_time=NOW)
    marks = [
        DirtyMark(item="Q1", revision=5, reason="stream"),  # at the base: ignored
        DirtyMark(item="Q99", revision=7, reason="stream"),  # not watched: ignored
    ]
    assert run(ledger.mark(marks, cursor)) == 0
    assert run(ledger.cursor("s")) == cursor
    assert run(ledger.dirty(10, NOW)) == ["Q2"]
    assert run(ledger.mark([DirtyMark(item="Q1", revision=6, reason="stream")])) == 1
    assert run(ledger.mark([DirtyMark(item="Q1", revision=6, reason="sweep")])) == 0
    assert set(run(ledger.dirty(10, NOW))) == {"Q1", "Q2"}


def test_revisions_of_today_have_more_than_31_bits(ledger: SqlWatchLedger) -> None:
    revision = 2_400_000_316
    run(ledger.record(looked("Q1", revision)))
    run(ledger.mark([DirtyMark(item="Q1", revision=revision + 1, reason="stream")]))
    assert run(ledger.watched())["Q1"] == revision
    assert "Q1" in run(ledger.dirty(10, NOW))


def test_a_mark_never_lowers_the_revision(ledger: SqlWatchLedger, database: Database) -> None:
    for revision in (9, 3):
        run(ledger.mark([DirtyMark(item="Q1", revision=revision, reason="stream")]))
    with database.read() as session:
        row = session.get(DirtyRow, "Q1")
        assert row is not None and row.revision == 9


def test_an_edit_while_looking_leaves_the_item_dirty(
    ledger: SqlWatchLedger, clock: StillClock
) -> None:
    run(ledger.mark([DirtyMark(item="Q1", revision=9, reason="stream")]))
    run(ledger.record(looked("Q1", 8)))
    assert "Q1" in run(ledger.dirty(10, NOW))  # the mark may have come during the look
    run(ledger.record(looked("Q1", 8)))
    assert "Q1" not in run(ledger.dirty(10, NOW))  # a lagging replica is asked again later
    clock.advance(hours=2)
    assert "Q1" in run(ledger.dirty(10, clock.now()))
    run(ledger.record(looked("Q1", 9)))
    assert "Q1" not in run(ledger.dirty(10, clock.now()))


def test_marks_do_not_crowd_out_what_is_due(ledger: SqlWatchLedger) -> None:
    waiting = candidate(change(), SETTLING)
    run(ledger.record(looked("Q1", 5, waiting)))
    run(ledger.watch([f"Q{number}" for number in range(10, 40)]))
    found = run(ledger.dirty(8, waiting.due_at))
    assert "Q1" in found and len(found) == 8
    assert "Q1" not in run(ledger.dirty(8, NOW))


def test_unknown_keeps_the_base_and_waits_longer_each_time(
    ledger: SqlWatchLedger, clock: StillClock
) -> None:
    run(ledger.record(looked("Q1", 5)))
    run(ledger.mark([DirtyMark(item="Q1", revision=6, reason="stream")]))
    for wait_s in (30, 60, 120):
        run(ledger.record(ItemOutcome(item="Q1", status="unknown", reason="cut answer")))
        clock.advance(seconds=wait_s - 1)
        assert "Q1" not in run(ledger.dirty(10, clock.now()))
        clock.advance(seconds=1)
        assert "Q1" in run(ledger.dirty(10, clock.now()))
    assert run(ledger.bases(["Q1"]))["Q1"].revision == 5


def test_a_date_that_comes_due_is_a_reason_to_look(
    ledger: SqlWatchLedger, clock: StillClock
) -> None:
    outcome = looked("Q1", 5)
    announced = ItemOutcome(
        item="Q1",
        status="unchanged",
        base=outcome.base,
        look_again_at=NOW + dt.timedelta(days=3),
    )
    run(ledger.record(announced))
    assert "Q1" not in run(ledger.dirty(10, NOW))
    clock.advance(days=3)
    assert "Q1" in run(ledger.dirty(10, clock.now()))
    run(ledger.record(looked("Q1", 5)))
    assert "Q1" not in run(ledger.dirty(10, clock.now()))


def test_verdicts_are_kept_once_and_can_be_revised(ledger: SqlWatchLedger) -> None:
    def outcome(kept: bool) -> ItemOutcome:
        verdict = EditVerdict(
            item="Q1", revision=7, time=NOW, user="u", kind="succession", kept=kept, reason="r"
        )
        return ItemOutcome(item="Q1", status="changed", base=looked("Q1", 7).base, edits=(verdict,))

    run(ledger.record(outcome(False)))
    run(ledger.record(outcome(True)))
    assert run(ledger.seen("Q1", [6, 7, 8])) == {7}


def test_a_change_settles_through_its_states(ledger: SqlWatchLedger, database: Database) -> None:
    fact = change()
    waiting = candidate(fact, SETTLING)
    run(ledger.record(looked("Q1", 5, waiting)))
    assert run(ledger.settling(["Q1", "Q2"])) == {"Q1": [waiting]}
    assert run(ledger.dirty(10, waiting.due_at)) == ["Q2", "Q1"]
    run(ledger.record(looked("Q1", 5, candidate(fact, SETTLED))))
    (row,) = changes(database)
    assert row.state == ChangeState.SETTLED
    with database.read() as session:
        events = session.exec(select(EventRow).order_by(col(EventRow.id))).all()
        states = [e.to_state for e in events]
    assert states == ["detected", "settling", "settled"]
    assert run(ledger.settling(["Q1"])) == {}


def test_recording_a_look_again_changes_nothing(ledger: SqlWatchLedger, database: Database) -> None:
    for _ in range(2):
        settle(ledger, change(), 5)
    assert [row.state for row in changes(database)] == [ChangeState.SETTLED]


def test_what_no_longer_stands_is_withdrawn(ledger: SqlWatchLedger, database: Database) -> None:
    fact = change()
    run(ledger.record(looked("Q1", 5, candidate(fact, SETTLING))))
    withdrawn = candidate(fact, CandidateState.WITHDRAWN, reason="the value holds again")
    run(ledger.record(looked("Q1", 6, withdrawn)))
    (row,) = changes(database)
    assert (row.state, row.reason) == (ChangeState.WITHDRAWN, "the value holds again")
    settle(ledger, fact, 7)
    assert [r.state for r in changes(database)] == [ChangeState.WITHDRAWN, ChangeState.SETTLED]


def test_a_dismissed_candidate_and_a_dismissal_keep_their_reason(
    ledger: SqlWatchLedger, database: Database
) -> None:
    fact = change()
    run(ledger.record(looked("Q1", 5, candidate(fact, SETTLING))))
    outcome = ItemOutcome(
        item="Q1",
        status="changed",
        base=looked("Q1", 6).base,
        candidates=(candidate(fact, CandidateState.DISMISSED, reason="a bulk run"),),
        dismissals=(Dismissal(change=fact, kind=ChangeKind.BULK_RUN, reason="51 items"),),
    )
    run(ledger.record(outcome))
    (row,) = changes(database)
    assert (row.state, row.reason) == (ChangeState.DISMISSED, "a bulk run")
    with database.read() as session:
        assert session.exec(select(DismissalRow)).one().reason == "51 items"


def test_taken_back_before_it_was_taught_both_end(
    ledger: SqlWatchLedger, database: Database
) -> None:
    settle(ledger, change(1, 10, 11), 5)
    put(database, 1, ChangeState.DRAFTING, ChangeState.IN_REVIEW, ChangeState.APPROVED)
    settle(ledger, change(1, 11, 10), 6)
    first, second = changes(database)
    assert (first.state, second.state) == (ChangeState.WITHDRAWN, ChangeState.DISMISSED)
    assert "before it was taught" in first.reason


@pytest.mark.parametrize("taught", [TO_LIVE, TO_LIVE[:-1]])
def test_taken_back_after_it_was_taught_opens_a_retraction(
    ledger: SqlWatchLedger, database: Database, taught: tuple[ChangeState, ...]
) -> None:
    settle(ledger, change(1, 10, 11), 5)
    put(database, 1, *taught)
    settle(ledger, change(1, 11, 10), 6)
    first, second = changes(database)
    assert first.state == taught[-1]
    assert (second.state, second.retracts) == (ChangeState.SETTLED, first.id)


def test_the_same_change_again_is_a_duplicate(ledger: SqlWatchLedger, database: Database) -> None:
    settle(ledger, change(), 5)
    put(database, 1, *TO_LIVE)
    settle(ledger, change(), 6)
    first, second = changes(database)
    assert (first.state, second.state) == (ChangeState.LIVE, ChangeState.DISMISSED)


def test_a_later_change_of_a_fact_stands_beside_the_earlier(
    ledger: SqlWatchLedger, database: Database
) -> None:
    settle(ledger, change(1, 10, 11), 5)
    settle(ledger, change(1, 11, 12), 6)
    assert [r.state for r in changes(database)] == [ChangeState.SETTLED] * 2


def test_a_merged_item_is_watched_under_its_target(
    ledger: SqlWatchLedger, database: Database
) -> None:
    run(ledger.record(looked("Q1", 5, candidate(change(), SETTLING))))
    run(ledger.record(ItemOutcome(item="Q1", status="changed", redirect_to="Q7")))
    assert set(run(ledger.watched())) == {"Q2", "Q7"}
    assert run(ledger.dirty(10, NOW + dt.timedelta(days=9))) == ["Q2", "Q7"]
    (row,) = changes(database)
    assert row.state == ChangeState.WITHDRAWN and "Q7" in row.reason


def test_a_deleted_item_is_watched_no_longer(ledger: SqlWatchLedger) -> None:
    run(ledger.record(ItemOutcome(item="Q1", status="changed", deleted=True)))
    assert set(run(ledger.watched())) == {"Q2"}
    assert run(ledger.watch(["Q1"])) == 1


def test_a_lease_has_one_holder_and_a_late_one_cannot_write(database: Database) -> None:
    with database.write() as session:
        first = leases.acquire(session, "change:1", "a", ttl_s=0.0)
    assert first == 1
    with database.write() as session:
        second = leases.acquire(session, "change:1", "b", ttl_s=60.0)
    assert second == 2
    with database.write() as session:
        assert leases.acquire(session, "change:1", "a", ttl_s=60.0) is None
        with pytest.raises(leases.LeaseLost):
            leases.check(session, "change:1", first)
        leases.check(session, "change:1", second)


def test_leases_of_a_dead_worker_are_given_back(database: Database) -> None:
    with database.write() as session:
        token = leases.acquire(session, "change:1", "a", ttl_s=600.0)
        assert leases.release_all(session, "a") == 1
        assert leases.acquire(session, "change:1", "b", ttl_s=60.0) == 3
        with pytest.raises(leases.LeaseLost):
            leases.check(session, "change:1", token or 0)
