"""Controllers: claim, work, commit; failures are counted; nothing is lost or done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlmodel import select

from agents.errors import Drained, Permanent, Retryable
from agents.ledger import CandidateState
from daemon.config import Settings
from daemon.controllers.curate import CurateController
from daemon.controllers.promote import PromoteController
from daemon.controllers.release import ReleaseController
from daemon.controllers.review_policy import ReviewPolicyController
from daemon.controllers.stage import StageRunner
from daemon.controllers.watch import WatchController
from daemon.errors import Conflict, NotPromotable
from daemon.jobs.supervisor import Job, Supervisor
from daemon.review.policy import Policy
from daemon.sections import GatewaySettings
from daemon.services import Services
from daemon.store import leases
from daemon.store.rows import ChangeRow, EvaluationRow, ReleaseRow
from daemon.store.states import ChangeState, ReleaseState, transition
from knowledge.edits import EditKind
from tests.daemon_support import (
    NOW,
    FakeProposer,
    adapter_folder,
    approved,
    candidate,
    change,
    looked,
    settings_at,
)

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@pytest.fixture
def services(tmp_path: Path, database_url: str):
    opened = Services.open(settings_at(tmp_path, database_url))
    run(opened.ledger.watch(["Q1"]))
    yield opened
    opened.close()


def settled(services: Services, *facts: Any) -> None:
    for revision, fact in enumerate(facts, start=1):
        for state in (CandidateState.SETTLING, CandidateState.SETTLED):
            run(services.ledger.record(looked("Q1", revision, candidate(fact, state))))


def curate(services: Services, proposer: Any, attempts: int = 3) -> CurateController:
    return CurateController(
        services.database, proposer, services.clock, owner="me", lease_s=60.0, attempts=attempts
    )


def states(services: Services) -> list[ChangeState]:
    return [item.state for item in services.review.list(list(ChangeState))]


def make_due(services: Services) -> None:
    with services.database.write() as session:
        for row in session.exec(select(ChangeRow)).all():
            row.not_before = None
            session.add(row)


# -- curate ---------------------------------------------------------------------------------------


def test_settled_changes_reach_the_queue_with_their_draft(services: Services) -> None:
    settled(services, change(1), change(2))
    proposer = FakeProposer()
    assert run(curate(services, proposer).reconcile()) == 2
    assert states(services) == [ChangeState.IN_REVIEW] * 2
    detail = services.review.show(1)
    assert detail.unit is not None and detail.item.digest == detail.unit.digest
    assert sorted(proposer.forgotten) == [str(change(1).key), str(change(2).key)]
    assert run(curate(services, proposer).reconcile()) == 0


def test_open_findings_are_shown_not_hidden(services: Services) -> None:
    settled(services, change(1))
    run(curate(services, FakeProposer(clean=False)).reconcile())
    detail = services.review.show(1)
    assert not detail.item.clean
    assert detail.findings[0]["message"] == "not there"


def test_a_retraction_is_drafted_as_one(services: Services) -> None:
    settled(services, change(1, 10, 11))
    with services.database.write() as session:
        row = session.get(ChangeRow, 1)
        assert row is not None
        for state in ("DRAFTING", "IN_REVIEW", "APPROVED", "BATCHED", "LIVE"):
            transition(session, row, ChangeState[state], actor="t", reason="t", now=NOW)
    settled(services, change(1, 11, 10))
    run(curate(services, FakeProposer()).reconcile())
    detail = services.review.show(2)
    assert detail.unit is not None and detail.unit.kind is EditKind.RETRACTION
    assert detail.item.retracts == 1


def test_a_failing_row_is_given_up_and_the_rest_flows_on(services: Services) -> None:
    settled(services, change(1))
    controller = curate(services, FakeProposer(Retryable("endpoint down")), attempts=2)
    assert run(controller.reconcile()) == 0
    assert states(services) == [ChangeState.DRAFTING]
    assert run(controller.reconcile()) == 0, "it waits before it is tried again"
    make_due(services)
    assert run(controller.reconcile()) == 1
    item = services.review.show(1).item
    assert item.state is ChangeState.FAILED
    assert "endpoint down" in item.reason
    settled(services, change(2))
    assert run(curate(services, FakeProposer()).reconcile()) == 1


def test_what_can_never_work_is_given_up_at_once(services: Services) -> None:
    settled(services, change(1))
    run(curate(services, FakeProposer(Permanent("no such page"))).reconcile())
    assert states(services) == [ChangeState.FAILED]


def test_a_drained_run_goes_on_later(services: Services) -> None:
    settled(services, change(1))
    assert run(curate(services, FakeProposer(Drained("stop"))).reconcile()) == 0
    assert states(services) == [ChangeState.DRAFTING]
    assert run(curate(services, FakeProposer()).reconcile()) == 1


def test_a_change_withdrawn_while_it_was_drafted_stays_withdrawn(services: Services) -> None:
    settled(services, change(1))

    class Slow(FakeProposer):
        async def propose(self, fact: Any, *, version: int = 0) -> Any:
            withdrawn = candidate(change(1), CandidateState.WITHDRAWN, reason="reverted")
            await services.ledger.record(looked("Q1", 9, withdrawn))
            return await super().propose(fact)

    run(curate(services, Slow()).reconcile())
    assert states(services) == [ChangeState.WITHDRAWN]


def test_a_worker_that_lost_its_lease_writes_nothing(services: Services) -> None:
    settled(services, change(1))

    class Robbed(FakeProposer):
        async def propose(self, fact: Any, *, version: int = 0) -> Any:
            with services.database.write() as session:
                leases.release_all(session, "me")
                assert leases.acquire(session, "change:1", "other", 60.0)
            return await super().propose(fact)

    assert run(curate(services, Robbed()).reconcile()) == 0
    assert states(services) == [ChangeState.DRAFTING]


def test_two_workers_do_not_draft_the_same_change(services: Services) -> None:
    settled(services, change(1))

    class Beside(FakeProposer):
        async def propose(self, fact: Any, *, version: int = 0) -> Any:
            assert await curate(services, FakeProposer()).reconcile() == 0
            return await super().propose(fact)

    assert run(curate(services, Beside()).reconcile()) == 1


def test_wikidata_being_away_is_no_failure(services: Services) -> None:
    class Away:
        async def reconcile(self, limit: int | None = None) -> int:
            raise Retryable("away")

    assert run(WatchController(Away(), batch=5).reconcile()) == 0


# -- review policy and release --------------------------------------------------------------------


def test_the_policy_approves_and_says_why_it_does_not(services: Services) -> None:
    settled(services, change(1), change(2, property="P102"))
    run(curate(services, FakeProposer()).reconcile())
    controller = ReviewPolicyController(services.review, services.unattended, Policy(name="p"))
    assert run(controller.reconcile()) == 2
    assert states(services) == [ChangeState.APPROVED, ChangeState.IN_REVIEW]
    assert services.review.show(1).item.decided_by == "policy:p"
    assert "tier B" in services.review.show(2).audit[-1].reason
    assert run(controller.reconcile()) == 0


def test_a_contested_fact_waits_for_the_dust_to_settle(services: Services) -> None:
    settled(services, change(1, 10, 11))
    run(curate(services, FakeProposer()).reconcile())
    again = candidate(change(1, 11, 12), CandidateState.SETTLING)
    run(services.ledger.record(looked("Q1", 8, again)))
    controller = ReviewPolicyController(services.review, services.unattended, Policy(name="p"))
    assert run(controller.reconcile()) == 0
    gone = candidate(change(1, 11, 12), CandidateState.WITHDRAWN)
    run(services.ledger.record(looked("Q1", 9, gone)))
    assert run(controller.reconcile()) == 1


def test_a_release_is_frozen_when_enough_wait(services: Services) -> None:
    run(approved(services, [change(1)]))
    controller = ReleaseController(services.releases, services.clock, size=2, at_most=5)
    assert run(controller.reconcile()) == 0
    run(approved(services, [change(2), change(3)]))
    assert run(controller.reconcile()) == 1
    assert states(services) == [ChangeState.BATCHED] * 3
    (release,) = services.releases.list()
    assert (release.state, release.edits) == (ReleaseState.FROZEN, 3)
    run(approved(services, [change(4), change(5)]))
    assert run(controller.reconcile()) == 0, "one release at a time"
    with pytest.raises(Conflict, match="release 1 is frozen"):
        services.releases.create(actor="me", reason="r")


def test_two_changes_of_a_fact_go_into_two_releases(services: Services) -> None:
    run(approved(services, [change(1, 10, 11), change(1, 11, 12), change(2)]))
    release = services.releases.create(actor="me", reason="r")
    assert release is not None and release.edits == 2
    services.releases.discard(release.id, actor="me", reason="r")
    assert states(services) == [ChangeState.APPROVED] * 3
    again = services.releases.create(actor="me", reason="r")
    assert again is not None and again.edits == 2


# -- jobs of a release ----------------------------------------------------------------------------


class QuickWork:
    """A stage whose job is a one-line script."""

    actor = "train"
    waiting = ReleaseState.FROZEN
    working = ReleaseState.TRAINING

    def __init__(self, folder: Path, code: str) -> None:
        self.folder = folder
        self.code = code
        self.finished = 0

    def job(self, release: ReleaseRow) -> Job:
        import sys

        code = self.code.format(f=self.folder)
        return Job(folder=self.folder, command=(sys.executable, "-c", code), result="result")

    async def prepare(self, release: ReleaseRow, job: Job) -> None:
        job.folder.mkdir(parents=True, exist_ok=True)

    def begin(self, session: Any, release: ReleaseRow) -> None:
        transition(session, release, self.working, actor="train", reason="r", now=NOW)

    async def finish(self, release: ReleaseRow, job: Job, token: int) -> None:
        self.finished += 1

    def environment(self) -> dict[str, str]:
        return {}


def stage(services: Services, supervisor: Supervisor) -> StageRunner:
    return StageRunner(
        services.database, supervisor, services.clock, owner="me", lease_s=60.0, attempts=2
    )


async def drive(runner: StageRunner, work: QuickWork, supervisor: Supervisor) -> None:
    for _ in range(10):
        if not await runner.step(work):
            if not supervisor.running():
                return
            await supervisor.wait_any(10.0)


def test_a_job_is_started_once_and_finished_once(services: Services, tmp_path: Path) -> None:
    run(approved(services, [change(1)]))
    services.releases.create(actor="me", reason="r")
    code = "import pathlib; pathlib.Path('{f}/result').mkdir(); open('{f}/count', 'a').write('x')"
    work, supervisor = QuickWork(tmp_path / "job", code), Supervisor()
    runner = stage(services, supervisor)
    run(runner.step(work))
    run(supervisor.wait_any(20.0))
    run(runner.step(work))
    assert work.finished == 1
    assert (tmp_path / "job" / "count").read_text() == "x"


def test_a_job_that_cannot_work_fails_its_release_with_the_reason(
    services: Services, tmp_path: Path
) -> None:
    run(approved(services, [change(1)]))
    services.releases.create(actor="me", reason="r")
    work = QuickWork(tmp_path / "job", "import sys; sys.exit('error: the base is gone')")
    supervisor = Supervisor()
    run(drive(stage(services, supervisor), work, supervisor))
    (release,) = services.releases.list()
    assert release.state is ReleaseState.FAILED
    assert "the base is gone" in release.reason
    services.releases.discard(release.id, actor="me", reason="mend it first")
    assert states(services) == [ChangeState.APPROVED]


def test_a_job_that_may_work_later_is_tried_again(services: Services, tmp_path: Path) -> None:
    run(approved(services, [change(1)]))
    services.releases.create(actor="me", reason="r")
    code = "import sys; print('error: disk full'); sys.exit(75)"
    work, supervisor = QuickWork(tmp_path / "job", code), Supervisor()
    run(drive(stage(services, supervisor), work, supervisor))
    (release,) = services.releases.list()
    assert release.state is ReleaseState.TRAINING
    assert "disk full" in release.reason


# -- promotion ------------------------------------------------------------------------------------


def passed(services: Services, folder: Path, seed: int, facts: list[Any]) -> int:
    """A release that went through everything but promotion."""
    run(approved(services, facts))
    release = services.releases.create(actor="me", reason="r")
    assert release is not None
    version = services.registry.register(
        adapter_folder(folder / f"a{seed}", seed),
        base_model="base",
        parent=release.parent,
        release=release.id,
    )
    with services.database.write() as session:
        row = session.get(ReleaseRow, release.id)
        assert row is not None and version.digest is not None
        row.adapter_digest = version.digest
        evaluation = EvaluationRow(
            adapter_digest=version.digest,
            release_id=release.id,
            production_digest=release.parent,
            verdict="pass",
            policy="demo",
            gate={},
            evaluation={},
            created_at=NOW,
        )
        row.evaluation_id = services.registry.add_evaluation(session, evaluation)
        for state in ("TRAINING", "TRAINED", "EVALUATING", "PASSED"):
            transition(session, row, ReleaseState[state], actor="t", reason="t", now=NOW)
    return release.id


def promoter(services: Services, enabled: bool = True) -> PromoteController:
    return PromoteController(services.database, services.registry, services.clock, enabled=enabled)


def test_promotion_rollback_and_promotion_again(services: Services, tmp_path: Path) -> None:
    passed(services, tmp_path, 1, [change(1, 10, 11), change(2)])
    assert run(promoter(services, enabled=False).reconcile()) == 0
    assert run(promoter(services).reconcile()) == 1
    assert run(promoter(services).reconcile()) == 0
    assert states(services) == [ChangeState.LIVE] * 2
    passed(services, tmp_path, 2, [change(1, 11, 12)])
    run(promoter(services).reconcile())
    assert states(services) == [ChangeState.LIVE] * 3
    _, second = services.registry.current()
    live = services.registry.live_units(second)
    assert [u.change.new.id for u in live if u.change.new] == ["Q11", "Q12"]
    (newest,) = [u for u in live if u.slot == "Q1:P6"]
    assert newest.supersedes is not None
    services.registry.rollback(actor="me", reason="bad answers")
    assert states(services) == [ChangeState.LIVE, ChangeState.LIVE, ChangeState.BATCHED]
    assert run(promoter(services).reconcile()) == 0, "what was rolled back stays back"
    services.registry.promote("production", second, actor="me", reason="good after all")
    assert states(services) == [ChangeState.LIVE] * 3


def test_a_release_that_was_rolled_back_can_be_given_up(services: Services, tmp_path: Path) -> None:
    passed(services, tmp_path, 1, [change(1)])
    run(promoter(services).reconcile())
    second = passed(services, tmp_path, 2, [change(2)])
    run(promoter(services).reconcile())
    _, digest = services.registry.current()
    assert services.status()["releases_left_over"] == []
    with pytest.raises(Conflict, match="in production"):
        services.releases.discard(second, actor="me", reason="r")
    services.registry.rollback(actor="me", reason="bad answers")
    (left,) = services.status()["releases_left_over"]
    assert (left["id"], left["state"]) == (second, "promoted")
    assert f"release discard {second}" in left["next"]
    services.releases.discard(second, actor="me", reason="drafted anew")
    assert states(services) == [ChangeState.LIVE, ChangeState.APPROVED]
    with pytest.raises(NotPromotable, match="discarded"):
        services.registry.promote("production", digest, actor="me", reason="after all")
    third = services.releases.create(actor="me", reason="r")
    assert third is not None and third.edits == 1


def test_the_served_alias_may_have_any_name(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, gateway=GatewaySettings(alias="blue"))
    with Services.open(settings) as services:
        run(services.ledger.watch(["Q1"]))
        for seed in (1, 2):
            passed(services, tmp_path, seed, [change(seed)])
            assert run(promoter(services).reconcile()) == 1
        assert states(services) == [ChangeState.LIVE] * 2
        generation, digest = services.registry.current("blue")
        assert generation == 2 and services.registry.current("production") == (0, None)
        assert len(services.registry.lineage(digest)) == 2


def test_a_retraction_that_goes_live_retracts(services: Services, tmp_path: Path) -> None:
    passed(services, tmp_path, 1, [change(1, 10, 11)])
    run(promoter(services).reconcile())
    passed(services, tmp_path, 2, [change(1, 11, 10)])
    run(promoter(services).reconcile())
    assert states(services) == [ChangeState.RETRACTED, ChangeState.LIVE]
    services.registry.rollback(actor="me", reason="r")
    assert states(services) == [ChangeState.LIVE, ChangeState.BATCHED]
    services.registry.rollback(actor="me", reason="r")
    assert states(services) == [ChangeState.BATCHED, ChangeState.BATCHED]


def test_production_that_moved_meanwhile_asks_a_person(services: Services, tmp_path: Path) -> None:
    passed(services, tmp_path, 1, [change(1)])
    run(promoter(services).reconcile())
    passed(services, tmp_path, 2, [change(2)])
    services.registry.rollback(actor="me", reason="bad answers")
    assert run(promoter(services).reconcile()) == 1
    release = services.releases.list()[1]
    assert release.state is ReleaseState.INCONCLUSIVE
    assert services.registry.current()[1] is None
