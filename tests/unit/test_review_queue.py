"""Lists: filters find what they say, pages meet without gap, counts are live; decisions in bulk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from daemon.errors import Conflict, NotFound
from daemon.review.approvals import BULK_LIMIT, Outcome
from daemon.review.query import Checks, Order, Query
from daemon.services import Services
from daemon.store.rows import ChangeLineRow, ChangeRow, DismissalRow
from daemon.store.states import ChangeState
from knowledge import codec
from tests.daemon_support import change
from tests.review_support import NOW, digest_of, opened

WAITING = 24


@pytest.fixture
def services(tmp_path: Path):
    with opened(tmp_path, WAITING) as services:
        yield services


def ids(services: Services, query: Query) -> list[int]:
    return [item.id for item in services.queue.page(query, limit=200).items]


def test_pages_meet_without_gap_in_both_orders(services: Services) -> None:
    for order in Order:
        seen: list[int] = []
        cursor = None
        while True:
            page = services.queue.page(Query(order=order), after=cursor, limit=7)
            seen += [item.id for item in page.items]
            cursor = page.cursor
            if cursor is None:
                break
        expected = list(range(1, WAITING + 1))
        assert seen == (expected if order is Order.OLDEST else expected[::-1])


def test_a_search_finds_names_and_ids(services: Services) -> None:
    fact = services.review.show(5).item.fact
    assert fact.new is not None
    for words in (
        fact.subject.label.upper(),
        fact.new.id,
        f"{fact.new.label} {fact.subject.label}",
    ):
        assert 5 in ids(services, Query(q=words))
    assert ids(services, Query(q="100%_nowhere")) == []


def test_filters_hold_and_facets_count_what_they_would_find(services: Services) -> None:
    facets = services.queue.facets(Query())
    assert facets.total == WAITING == sum(facets.properties.values())
    for name, count in facets.properties.items():
        assert len(ids(services, Query(property=name))) == count
    for kind, count in facets.kinds.items():
        assert len(ids(services, Query(kind=kind))) == count
    assert len(ids(services, Query(checks=Checks.CLEAN))) == WAITING
    assert ids(services, Query(checks=Checks.FLAGGED)) == []
    assert len(ids(services, Query(source="www.wikidata.org"))) == WAITING
    assert ids(services, Query(older_than_h=1e5)) == []


@pytest.mark.parametrize("query", [Query(), Query(q="of"), Query(q="e", order=Order.NEWEST)])
def test_a_look_is_the_page_and_the_counts(services: Services, query: Query) -> None:
    """Whether the lines are counted by an index or read for their text."""
    services.review.reject(3, actor="ann", reason="wrong")
    facets = services.queue.facets(query)
    for narrowed in (query, replace(query, property=next(iter(facets.properties)))):
        for after in (None, 9):
            found = services.queue.look(narrowed, after=after, limit=3)
            assert found.page == services.queue.page(narrowed, after=after, limit=3)
            assert found.facets.total == len(ids(services, narrowed))
            assert 3 not in [item.id for item in found.page.items]
            assert found.facets.properties == facets.properties


def test_a_line_moves_with_its_change(services: Services) -> None:
    services.review.approve(1, digest_of(services, 1), actor="ann")
    services.review.reject(2, actor="ann", reason="wrong")
    services.review.undo(2, actor="ann")
    services.review.reject(4, actor="ann", reason="wrong")
    with services.database.read() as session:
        states = session.exec(
            select(ChangeRow.id, ChangeRow.state, ChangeLineRow.state).join(
                ChangeLineRow, col(ChangeLineRow.change_id) == col(ChangeRow.id)
            )
        ).all()
    assert len(states) == WAITING
    assert all(mine == lines for _, mine, lines in states)
    assert sorted(number for number, state, _ in states if state != "in_review") == [1, 4]


def test_claimed_ones_are_passed_over_by_others(services: Services) -> None:
    services.review.claim(2, actor="ann")
    assert services.queue.following(Query(), 1, actor="bob") == 3
    assert services.queue.following(Query(), 1, actor="ann") == 2
    assert ids(services, Query(claimed_by="ann")) == [2]
    assert 2 not in ids(services, Query(claimed_by="nobody"))
    assert services.queue.following(Query(), WAITING, actor="bob") == 1


def test_bulk_approves_the_clean_and_tells_the_rest(services: Services) -> None:
    chosen = [(n, digest_of(services, n)) for n in (1, 2, 3)]
    services.review.reject(2, actor="bob", reason="wrong")
    before = services.audit.head()
    done = services.review.approve_many([*chosen, (99, "0" * 64), (4, "0" * 64)], actor="ann")
    assert done.approved == (1, 3)
    assert set(done.refused) == {2, 99, 4}
    assert services.audit.head() - before == 2
    with pytest.raises(Conflict, match="the most"):
        services.review.approve_many([(1, "0" * 64)] * (BULK_LIMIT + 1), actor="ann")


def test_a_skip_gives_the_claim_back(services: Services) -> None:
    services.review.claim(1, actor="ann")
    services.review.skip(1, actor="ann")
    services.review.claim(1, actor="bob")
    assert services.review.show(1).item.state is ChangeState.IN_REVIEW


def test_two_people_where_the_policy_demands_them(tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text('name = "p"\n[two_people]\nkinds = ["succession"]\n')
    with opened(tmp_path / "home", 2, policy=policy) as services:
        digest = digest_of(services, 1)
        assert services.review.approve(1, digest, actor="ann") is Outcome.FIRST
        assert services.review.show(1).item.first_approval == "ann"
        with pytest.raises(Conflict, match="somebody else"):
            services.review.approve(1, digest, actor="ann")
        services.review.undo(1, actor="ann")
        assert services.review.approve(1, digest, actor="bob") is Outcome.FIRST
        assert services.review.approve(1, digest, actor="ann") is Outcome.APPROVED
        assert "second after bob" in services.review.show(1).audit[-1].reason


def test_a_sample_is_looked_at_by_somebody_else(tmp_path: Path) -> None:
    with opened(tmp_path, 2, sample_share=1.0) as services:
        for n in (1, 2):
            services.review.approve(n, digest_of(services, n), actor="ann")
        assert [look.change for look in services.sampling.waiting()] == [1, 2]
        with pytest.raises(Conflict, match="somebody else"):
            services.sampling.answer(1, agrees=True, actor="ann")
        services.sampling.answer(1, agrees=True, actor="bob")
        services.sampling.answer(2, agrees=False, actor="bob", reason="the wrong person")
        assert services.review.show(2).item.state is ChangeState.IN_REVIEW
        (agreement,) = services.sampling.agreement()
        assert (agreement.reviewer, agreement.agreed, agreement.of) == ("ann", 1, 2)


def test_a_dry_run_holds_the_policy_against_people(services: Services) -> None:
    for n in (1, 2, 3):
        services.review.approve(n, digest_of(services, n), actor="ann")
    services.review.reject(4, actor="ann", reason="wrong")
    trial = services.try_policy(
        services.review_policy.model_copy(
            update={"tiers": ("A", "B", "O"), "living_persons": True}
        ).model_copy(update={"two_people": type(services.review_policy.two_people)()})
    )
    assert (trial.decided, trial.approved, trial.disagreements) == (4, 4, (4,))
    assert trial.waiting == trial.would_approve == WAITING - 4


def test_what_was_put_aside_can_be_reopened_once(services: Services) -> None:
    fact = change(77, 10, 11)
    with services.database.write() as session:
        session.add(
            DismissalRow(
                item="Q77",
                key=fact.key,
                kind="correction",
                reason="a typo",
                change=codec.to_data(fact),
                at=NOW,
            )
        )
    (one,) = services.dismissed.page().items
    number = services.dismissed.reopen(one.id, actor="ann", reason="no typo")
    detail = services.review.show(number)
    assert detail.item.state is ChangeState.SETTLED
    assert "no typo (was correction: a typo)" in detail.audit[-1].reason
    with pytest.raises(Conflict, match="already settled"):
        services.dismissed.reopen(one.id, actor="ann")
    with pytest.raises(NotFound):
        services.dismissed.reopen(99, actor="ann")
    services.review.reject(1, actor="ann", reason="wrong")
    services.dismissed.reopen_change(1, actor="ann")
    assert services.review.show(1).item.state is ChangeState.IN_REVIEW
    with pytest.raises(Conflict, match="only what was"):
        services.dismissed.reopen_change(1, actor="ann")


def test_the_trail_shows_what_was_altered(services: Services) -> None:
    services.review.approve(1, digest_of(services, 1), actor="ann")
    services.review.undo(1, actor="ann")
    assert services.audit.broken_at() is None
    events = list(services.audit.export())
    assert len(events) == services.audit.head()
    victim = events[-2].id
    with services.database.write() as session:
        session.connection().execute(text("DROP TRIGGER event_no_update"))
        session.connection().execute(
            text(f"UPDATE event SET actor = 'mallory' WHERE id = {victim}")
        )
    assert services.audit.broken_at() == victim
