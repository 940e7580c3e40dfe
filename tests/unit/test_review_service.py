"""Decisions: bound to the draft that was read, one decider, undone until frozen, all audited."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from daemon.errors import Conflict, NotFound
from daemon.review.policy import Policy
from daemon.services import Services
from daemon.store.rows import ChangeRow, DraftRow
from daemon.store.states import ChangeState
from knowledge import codec
from tests.daemon_support import NOW, StillClock, approved, change, settings_at, unit_of


@pytest.fixture
def services(tmp_path: Path, database_url: str):
    opened = Services.open(settings_at(tmp_path, database_url))
    clock = StillClock()
    opened.review._clock = clock
    opened.unattended._clock = clock
    opened.releases._clock = clock
    yield opened
    opened.close()


@pytest.fixture
def queue(services: Services) -> list[int]:
    ids = asyncio.run(approved(services, [change(s, 10, 11) for s in (1, 2, 3)]))
    for number in ids:
        services.review.undo(number, actor="tester")
    return ids


def digest(services: Services, number: int) -> str:
    found = services.review.show(number).item.digest
    assert found is not None
    return found


def test_approval_names_the_draft(services: Services, queue: list[int]) -> None:
    number = queue[0]
    for wrong in ("0" * 64, "", digest(services, number)[:7]):
        with pytest.raises(Conflict, match="read it again"):
            services.review.approve(number, wrong, actor="ann")
    services.review.approve(number, digest(services, number)[:8], actor="ann")
    item = services.review.show(number).item
    assert (item.state, item.decided_by) == (ChangeState.APPROVED, "ann")


def test_a_new_draft_makes_the_old_approval_stale(services: Services, queue: list[int]) -> None:
    number = queue[0]
    read = digest(services, number)
    unit = unit_of(change(1, 10, 11), number=2)
    with services.database.write() as session:
        session.add(
            DraftRow(
                change_id=number,
                version=2,
                digest=unit.digest,
                unit=codec.to_data(unit),
                findings=[],
                lineage={},
                evidence=[],
                facts=[],
                clean=True,
                author="ann",
                created_at=NOW,
            )
        )
    with pytest.raises(Conflict, match="version 2"):
        services.review.approve(number, read, actor="ann")


def test_only_the_first_decision_counts(services: Services, queue: list[int]) -> None:
    number = queue[0]
    services.review.reject(number, actor="ann", reason="wrong person")
    with pytest.raises(Conflict, match="rejected by ann"):
        services.review.approve(number, digest(services, number), actor="bob")
    with pytest.raises(Conflict, match="needs a reason"):
        services.review.reject(queue[1], actor="ann", reason="  ")


def test_a_claim_keeps_others_out_until_it_runs_out(services: Services, queue: list[int]) -> None:
    number = queue[0]
    services.review.claim(number, actor="ann")
    services.review.claim(number, actor="ann")
    for act in (
        lambda: services.review.claim(number, actor="bob"),
        lambda: services.review.reject(number, actor="bob", reason="r"),
        lambda: services.review.approve(number, digest(services, number), actor="bob"),
    ):
        with pytest.raises(Conflict, match="claimed by ann"):
            act()
    services.review._clock.advance(minutes=11)  # type: ignore[attr-defined]
    services.review.approve(number, digest(services, number), actor="bob")


def test_whoever_works_on_it_keeps_the_claim(services: Services, queue: list[int]) -> None:
    clock = services.review._clock
    number, lease = queue[0], dt.timedelta(minutes=10)

    def until() -> dt.datetime | None:
        return services.review.show(number).item.claimed_until

    first = services.review.claim(number, actor="ann")
    services.review.renew(number, actor="ann")
    assert until() == first  # not half of it is over
    clock.advance(minutes=6)  # type: ignore[attr-defined]
    services.review.renew(number, actor="bob")
    assert until() == first
    services.review.renew(number, actor="ann")
    assert until() == clock.now() + lease
    events = len(services.review.show(number).audit)
    clock.advance(minutes=11)  # type: ignore[attr-defined]
    services.review.renew(number, actor="ann")  # it ran out: there is nothing to keep
    assert until() is None
    assert len(services.review.show(number).audit) == events


def test_undo_until_frozen(services: Services, queue: list[int]) -> None:
    number = queue[0]
    services.review.approve(number, digest(services, number), actor="ann")
    services.review.undo(number, actor="ann")
    with pytest.raises(Conflict, match="can be undone only"):
        services.review.undo(number, actor="ann")
    services.review.approve(number, digest(services, number), actor="ann")
    services.releases.create(actor="ann", reason="now")
    with pytest.raises(Conflict, match="frozen"):
        services.review.undo(number, actor="ann")


def test_the_audit_tells_who_what_and_why(services: Services, queue: list[int]) -> None:
    number = queue[0]
    services.review.reject(number, actor="ann", reason="wrong person")
    last = services.review.show(number).audit[-1]
    assert (last.actor, last.from_state, last.to_state) == ("ann", "in_review", "rejected")
    assert last.reason == "wrong person"


def test_an_unknown_change_is_told(services: Services) -> None:
    with pytest.raises(NotFound, match="no change 99"):
        services.review.show(99)


def test_what_teaches_nothing_cannot_be_approved(services: Services, queue: list[int]) -> None:
    with services.database.write() as session:
        row = session.get(ChangeRow, queue[0])
        assert row is not None
        unit = {**services_unit(services, queue[0]), "narrative": None}
        session.add(
            DraftRow(
                change_id=queue[0],
                version=2,
                digest="f" * 64,
                unit=unit,
                findings=[{"rule": "vacant", "message": "nothing to teach"}],
                lineage={},
                evidence=[],
                facts=[],
                clean=False,
                author="curate",
                created_at=NOW,
            )
        )
    with pytest.raises(Conflict, match="nothing to teach"):
        services.review.approve(queue[0], "f" * 64, actor="ann")


def services_unit(services: Services, number: int) -> dict:
    unit = services.review.show(number).unit
    assert unit is not None
    return codec.to_data(unit)


def test_a_policy_looks_at_a_draft_once(services: Services, queue: list[int]) -> None:
    policy = Policy(name="p")
    seen = services.unattended.unseen(policy.digest)
    assert [number for number, *_ in seen] == queue
    for _ in range(2):
        services.unattended.pass_over(
            queue[0], policy.digest, seen[0][1], actor="policy:p", why="tier B"
        )
    told = [line for line in services.review.show(queue[0]).audit if line.actor == "policy:p"]
    assert [line.reason for line in told] == ["tier B"]
    assert [n for n, *_ in services.unattended.unseen(policy.digest)] == queue[1:]
    services.review.claim(queue[1], actor="ann")
    assert [n for n, *_ in services.unattended.unseen(policy.digest)] == queue[2:]
