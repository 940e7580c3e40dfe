"""States move only along their tables, each move with its event in the same transaction."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlmodel import col, select

from daemon.errors import IllegalTransition
from daemon.store.engine import Database
from daemon.store.rows import ChangeRow, EventRow, ReleaseRow
from daemon.store.states import (
    CHANGE_MOVES,
    RELEASE_MOVES,
    ChangeState,
    ReleaseState,
    transition,
)
from knowledge import codec
from tests.daemon_support import NOW, change


def change_row(state: ChangeState) -> ChangeRow:
    fact = change()
    return ChangeRow(
        key=str(fact.key),
        slot=str(fact.slot),
        subject=fact.subject.id,
        property=fact.property,
        state=state.value,
        fact=codec.to_data(fact),
        created_at=NOW,
        updated_at=NOW,
    )


def test_every_state_has_a_row_in_its_table() -> None:
    assert set(CHANGE_MOVES) == set(ChangeState)
    assert set(RELEASE_MOVES) == set(ReleaseState)


def test_every_state_can_be_reached() -> None:
    for moves, start in (
        (CHANGE_MOVES, ChangeState.DETECTED),
        (RELEASE_MOVES, ReleaseState.FROZEN),
    ):
        seen = {start}
        while new := {to for here in seen for to in moves[here]} - seen:  # type: ignore[index]
            seen |= new  # type: ignore[arg-type]
        assert seen == set(moves)


def test_production_is_reached_only_through_review_and_gate() -> None:
    assert [s for s, to in CHANGE_MOVES.items() if ChangeState.APPROVED in to] == [
        ChangeState.IN_REVIEW,
        ChangeState.BATCHED,
    ]
    into = [s for s, to in RELEASE_MOVES.items() if ReleaseState.PROMOTED in to]
    assert into == [ReleaseState.PASSED, ReleaseState.INCONCLUSIVE]


def test_a_failed_transaction_leaves_neither_state_nor_event(database_url: str) -> None:
    database = Database.open(database_url)
    with database.write() as session:
        session.add(change_row(ChangeState.SETTLED))
    with pytest.raises(RuntimeError), database.write() as session:
        row = session.exec(select(ChangeRow)).one()
        transition(session, row, ChangeState.DRAFTING, actor="a", reason="r", now=NOW)
        session.flush()
        raise RuntimeError
    with database.read() as session:
        assert session.exec(select(ChangeRow)).one().state == ChangeState.SETTLED
        assert session.exec(select(EventRow)).all() == []
    database.close()


class Transitions(RuleBasedStateMachine):
    """Any sequence of asked moves: what the table allows happens, all else is refused."""

    @initialize(which=st.sampled_from(["change", "release"]))
    def start(self, which: str) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.database = Database.open(f"sqlite:///{self.folder.name}/a.db")
        self.kind = ChangeRow if which == "change" else ReleaseRow
        with self.database.write() as session:
            if which == "change":
                session.add(change_row(ChangeState.DETECTED))
            else:
                session.add(
                    ReleaseRow(
                        state=ReleaseState.FROZEN.value,
                        batch_digest="0" * 64,
                        recipe="mini",
                        seed=0,
                        created_at=NOW,
                        updated_at=NOW,
                    )
                )
        self.path = ["detected" if which == "change" else "frozen"]

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        is_change = self.kind is ChangeRow
        states = ChangeState if is_change else ReleaseState
        moves = CHANGE_MOVES if is_change else RELEASE_MOVES
        to = data.draw(st.sampled_from(list(states)))
        allowed = to in moves[states(self.path[-1])]  # type: ignore[index]
        with self.database.write() as session:
            row = session.exec(select(self.kind)).one()
            if allowed:
                transition(session, row, to, actor="me", reason="r", now=NOW)
                self.path.append(to.value)
            else:
                with pytest.raises(IllegalTransition, match=f"cannot become {to}"):
                    transition(session, row, to, actor="me", reason="r", now=NOW)

    @invariant()
    def events_tell_the_path(self) -> None:
        with self.database.read() as session:
            events = session.exec(select(EventRow).order_by(col(EventRow.id))).all()
            assert [e.from_state for e in events] == self.path[:-1]
            assert [e.to_state for e in events] == self.path[1:]
            assert session.exec(select(self.kind)).one().state == self.path[-1]

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            self.folder.cleanup()


Transitions.TestCase.settings = settings(
    max_examples=8,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestTransitions = Transitions.TestCase
