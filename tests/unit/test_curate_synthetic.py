"""Made-up facts stay where they belong: not in the review queue, not behind an alias of users."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from agents.proposals import Proposal
from daemon.config import Settings
from daemon.controllers.curate import CurateController
from daemon.errors import Conflict, NotPromotable
from daemon.services import Services
from daemon.store.drafts import add_draft
from daemon.store.rows import (
    ChangeRow,
    EvaluationRow,
    EventRow,
    ReleaseRow,
    ReleaseUnitRow,
    UnitRow,
)
from daemon.store.states import ChangeState, ReleaseState
from knowledge import codec
from knowledge.edits import EditUnit
from knowledge.facts import FactChange
from tests.daemon_support import NOW, adapter_folder, change, unit_of
from trainer.job import JobSpec
from trainer.publish import make_manifest
from trainer.recipe import load_recipe


@pytest.fixture
def services(tmp_path: Path):
    with Services.open(Settings(home=tmp_path)) as opened:
        yield opened


def made_up(number: int = 1) -> EditUnit:
    return replace(unit_of(change(number)), synthetic=True)


def settled(services: Services, fact: FactChange) -> int:
    """A change that waits to be drafted."""
    with services.database.write() as session:
        row = ChangeRow(
            key=fact.key,
            slot=fact.slot,
            subject=fact.subject.id,
            property=fact.property,
            state=ChangeState.SETTLED,
            fact=codec.to_data(fact),
            reason="",
            created_at=NOW,
            updated_at=NOW,
        )
        session.add(row)
        session.flush()
        assert row.id is not None
        return row.id


class Dreamer:
    """Proposes a made-up fact."""

    async def propose(self, change: FactChange, *, version: int = 0) -> Proposal:
        return Proposal(unit=made_up(), findings=(), evidence=(), lineage={})

    async def forget(self, change_key: str) -> None:
        return


def test_the_queue_takes_no_made_up_draft(services: Services) -> None:
    number = settled(services, change(1))
    with services.database.write() as session:
        row = session.get(ChangeRow, number)
        assert row is not None
        with pytest.raises(Conflict, match="synthetic"):
            add_draft(
                session,
                row,
                made_up(),
                findings=[],
                evidence=[],
                facts=[],
                lineage={},
                author="me",
                now=NOW,
            )
    assert services.drafts.of(number) == []


def test_what_a_curator_makes_up_never_reaches_review(services: Services) -> None:
    number = settled(services, change(1))
    controller = CurateController(
        services.database, Dreamer(), services.clock, owner="t", lease_s=60.0, attempts=1
    )
    asyncio.run(controller.reconcile())
    assert services.review.list() == [] and services.drafts.of(number) == []
    with services.database.read() as session:
        row = session.get(ChangeRow, number)
        assert row is not None and row.state == ChangeState.FAILED
        events = session.exec(select(EventRow).where(EventRow.entity_id == str(number))).all()
    assert any("synthetic" in event.reason for event in events)


def frozen(services: Services, *units: EditUnit) -> int:
    """A release of these units, as if they had come past the queue."""
    changes = [settled(services, unit.change) for unit in units]
    with services.database.write() as session:
        release = ReleaseRow(
            state=ReleaseState.TRAINED,
            batch_digest="b",
            recipe="embedded",
            seed=1,
            created_at=NOW,
            updated_at=NOW,
        )
        session.add(release)
        session.flush()
        assert release.id is not None
        for place, (unit, change_id) in enumerate(zip(units, changes, strict=True)):
            told = {"digest": unit.digest, "id": unit.id, "slot": unit.slot}
            session.add(
                UnitRow(**told, change_id=change_id, body=codec.to_data(unit), created_at=NOW)
            )
            session.flush()
            session.add(
                ReleaseUnitRow(release_id=release.id, unit_digest=unit.digest, position=place)
            )
        return release.id


def passed(services: Services, folder: Path, seed: int, **more: Any) -> str:
    """A version that the gate passed."""
    version = services.registry.register(
        adapter_folder(folder / f"a{seed}", seed), base_model="base", **more
    )
    assert version.digest is not None
    verdict = EvaluationRow(
        adapter_digest=version.digest,
        verdict="pass",
        policy="demo",
        gate={},
        evaluation={},
        created_at=NOW,
    )
    with services.database.write() as session:
        services.registry.add_evaluation(session, verdict)
    return version.digest


def refused(services: Services, digest: str, **more: Any) -> None:
    before = services.registry.current()
    with pytest.raises(NotPromotable, match="synthetic edit"):
        services.registry.promote("production", digest, actor="me", reason="r", **more)
    assert services.registry.current() == before


def test_a_version_that_was_taught_a_made_up_fact_is_never_promoted(
    services: Services, tmp_path: Path
) -> None:
    honest = passed(services, tmp_path, 1, release=frozen(services, unit_of(change(1))))
    mixed = frozen(services, unit_of(change(2)), made_up(3))
    taught = passed(services, tmp_path, 2, release=mixed, parent=honest)
    refused(services, taught)
    refused(services, taught, override=True)
    services.registry.promote("production", honest, actor="me", reason="r")
    child = passed(
        services, tmp_path, 3, release=frozen(services, unit_of(change(4))), parent=taught
    )
    refused(services, child)


def test_a_version_trained_outside_is_known_by_its_manifest(
    services: Services, tmp_path: Path
) -> None:
    spec = JobSpec(
        base="base",
        base_digest="0" * 64,
        units=(unit_of(change(1)), made_up(2)),
        recipe=load_recipe("embedded"),
        seed=1,
    )
    manifest = make_manifest(spec, {})
    assert manifest["synthetic"] == [made_up(2).id]
    refused(services, passed(services, tmp_path, 1, manifest=manifest))
    honest = make_manifest(spec.model_copy(update={"units": spec.units[:1]}), {})
    assert honest["synthetic"] == []
    digest = passed(services, tmp_path, 2, manifest=honest)
    services.registry.promote("production", digest, actor="me", reason="r")
    assert services.registry.current()[1] == digest
