"""Aliases: compare-and-set, one winner, a chained history, rollback through what served before."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import text

from daemon.errors import BlobError, Conflict, NotFound, NotPromotable
from daemon.registry import Registry
from daemon.store.engine import Database
from daemon.store.rows import EvaluationRow
from tests.daemon_support import NOW, StillClock, adapter_folder, registry_at


@pytest.fixture
def registry(tmp_path: Path, database_url: str):
    opened, database = registry_at(tmp_path, database_url)
    yield opened
    database.close()


def judged(registry: Registry, folder: Path, seed: int, verdict: str | None = "pass") -> str:
    """A registered adapter with a verdict."""
    version = registry.register(adapter_folder(folder / f"a{seed}", seed), base_model="base")
    assert version.digest is not None
    if verdict is not None:
        judge(registry, version.digest, verdict)
    return version.digest


def judge(registry: Registry, digest: str, verdict: str) -> None:
    with registry._database.write() as session:
        registry.add_evaluation(
            session,
            EvaluationRow(
                adapter_digest=digest,
                verdict=verdict,
                policy="demo",
                gate={},
                evaluation={},
                created_at=NOW,
            ),
        )


def promote(registry: Registry, digest: str | None, **more: object):
    return registry.promote("production", digest, actor="me", reason="test", **more)  # type: ignore[arg-type]


def test_an_alias_that_never_moved_is_the_base_model(registry: Registry) -> None:
    assert registry.current() == (0, None)
    assert registry.versions()[0].number == 0


def test_promotion_needs_a_passed_evaluation_of_this_digest(
    registry: Registry, tmp_path: Path
) -> None:
    unjudged = judged(registry, tmp_path, 1, None)
    failed = judged(registry, tmp_path, 2, "fail")
    for digest in (unjudged, failed):
        with pytest.raises(NotPromotable):
            promote(registry, digest)
    with pytest.raises(NotPromotable):
        promote(registry, failed, override=True)
    assert registry.current() == (0, None)


def test_the_latest_verdict_counts(registry: Registry, tmp_path: Path) -> None:
    digest = judged(registry, tmp_path, 1, "pass")
    judge(registry, digest, "fail")
    with pytest.raises(NotPromotable):
        promote(registry, digest)


def test_inconclusive_is_promoted_only_by_override(registry: Registry, tmp_path: Path) -> None:
    digest = judged(registry, tmp_path, 1, "inconclusive")
    with pytest.raises(NotPromotable, match="--override"):
        promote(registry, digest)
    move = promote(registry, digest, override=True)
    assert move.action == "override"


def test_an_old_generation_is_refused(registry: Registry, tmp_path: Path) -> None:
    first, second = judged(registry, tmp_path, 1), judged(registry, tmp_path, 2)
    promote(registry, first, expected_generation=0)
    with pytest.raises(Conflict, match="generation 1"):
        promote(registry, second, expected_generation=0)
    assert registry.current() == (1, first)


def test_altered_files_are_not_promoted(registry: Registry, tmp_path: Path) -> None:
    digest = judged(registry, tmp_path, 1)
    weights = registry.path_of(digest) / "adapter_model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(BlobError, match="altered"):
        promote(registry, digest)
    assert registry.current() == (0, None)


def test_eight_promoters_one_winner(registry: Registry, tmp_path: Path) -> None:
    digests = [judged(registry, tmp_path, seed) for seed in range(8)]
    start = threading.Barrier(8)
    outcomes: list[str] = []

    def run(digest: str) -> None:
        start.wait()
        try:
            promote(registry, digest, expected_generation=0)
            outcomes.append(digest)
        except Conflict:
            outcomes.append("lost")

    threads = [threading.Thread(target=run, args=(digest,)) for digest in digests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [o for o in outcomes if o != "lost"]
    assert registry.current() == (1, winner)
    assert len(registry.history()) == 1


def test_rollback_goes_back_step_by_step(registry: Registry, tmp_path: Path) -> None:
    first, second = judged(registry, tmp_path, 1), judged(registry, tmp_path, 2)
    promote(registry, first)
    promote(registry, second)
    for expected in (first, None):
        registry.rollback(actor="me", reason="bad answers")
        assert registry.current()[1] == expected
    with pytest.raises(Conflict, match="nothing to go back"):
        registry.rollback(actor="me", reason="again")
    promote(registry, second)
    assert registry.current() == (5, second)
    assert registry.broken_at() is None


def test_a_rollback_that_is_overtaken_is_told_so(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (judged(registry, tmp_path, seed) for seed in (1, 2, 3))
    promote(registry, first)
    promote(registry, second)
    verify = registry.verify

    def meanwhile(digest: str) -> Path:
        monkeypatch.setattr(registry, "verify", verify)
        promote(registry, third)
        return verify(digest)

    monkeypatch.setattr(registry, "verify", meanwhile)
    with pytest.raises(Conflict, match="moved meanwhile"):
        registry.rollback(actor="me", reason="bad answers")
    assert registry.current() == (3, third)


def test_rollback_to_a_version_that_served(registry: Registry, tmp_path: Path) -> None:
    first, second = judged(registry, tmp_path, 1), judged(registry, tmp_path, 2)
    promote(registry, second)
    with pytest.raises(NotPromotable, match="never served"):
        registry.rollback(to=first[:12], actor="me", reason="r")
    assert registry.rollback(to="base", actor="me", reason="r").to_digest is None
    with pytest.raises(Conflict, match="reason"):
        registry.rollback(actor="me", reason=" ")


def test_a_changed_history_is_noticed(registry: Registry, tmp_path: Path) -> None:
    promote(registry, judged(registry, tmp_path, 1))
    promote(registry, judged(registry, tmp_path, 2))
    with registry._database.write() as session:
        if registry._database.is_sqlite:
            session.exec(text("DROP TRIGGER alias_event_no_update"))  # type: ignore[call-overload]
        else:
            session.exec(text("ALTER TABLE alias_event DISABLE TRIGGER ALL"))  # type: ignore[call-overload]
        session.exec(text("UPDATE alias_event SET actor = 'other' WHERE generation = 1"))  # type: ignore[call-overload]
    assert registry.broken_at() == 1


def test_names_of_versions(registry: Registry, tmp_path: Path) -> None:
    digest = judged(registry, tmp_path, 1)
    for name in ("1", "v1", digest, digest[:8]):
        assert registry.resolve(name).digest == digest
    assert registry.resolve("base").digest is None
    for name in ("2", digest[:5], "nothing-like-it"):
        with pytest.raises(NotFound):
            registry.resolve(name)


class AliasMachine(RuleBasedStateMachine):
    """The alias beside a model of it: a plain list of targets."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name)
        self.registry, self.database = registry_at(path)
        self.digests = [judged(self.registry, path, seed) for seed in range(3)]
        self.stack: list[str | None] = [None]
        self.moves = 0

    @rule(which=st.integers(0, 3))
    def promote(self, which: int) -> None:
        digest = None if which == 3 else self.digests[which]
        if digest == self.stack[-1]:
            with pytest.raises(Conflict):
                promote(self.registry, digest)
            return
        promote(self.registry, digest, expected_generation=self.moves)
        self.stack.append(digest)
        self.moves += 1

    @precondition(lambda self: len(self.stack) > 1)
    @rule()
    def rollback(self) -> None:
        self.registry.rollback(actor="me", reason="r")
        self.stack.pop()
        self.moves += 1

    @precondition(lambda self: self.moves > 0)
    @rule(behind=st.integers(1, 3))
    def stale(self, behind: int) -> None:
        target = next(d for d in self.digests if d != self.stack[-1])
        with pytest.raises(Conflict):
            promote(self.registry, target, expected_generation=self.moves - behind)

    @invariant()
    def agrees(self) -> None:
        assert self.registry.current() == (self.moves, self.stack[-1])
        history = self.registry.history()
        assert [m.generation for m in history] == list(range(1, self.moves + 1))
        assert all(a.to_digest == b.from_digest for a, b in itertools.pairwise(history))
        assert self.registry.broken_at() is None

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()


AliasMachine.TestCase.settings = settings(
    max_examples=6,
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestAliasMachine = AliasMachine.TestCase


def test_a_database_object_is_enough(tmp_path: Path) -> None:
    """A second process sees what the first one did."""
    registry, database = registry_at(tmp_path)
    digest = judged(registry, tmp_path, 1)
    promote(registry, digest)
    other, second = registry_at(tmp_path)
    assert other.current() == (1, digest)
    assert isinstance(second, Database)
    assert other.verify(digest).is_dir()
    second.close()
    database.close()
    assert StillClock().now() == NOW
