"""Shared by the daemon's tests: a still clock, small adapters, changes, units, opened services."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from agents.ledger import Base, Candidate, CandidateState, ItemOutcome
from agents.proposals import Proposal
from agents.verifying.verdict import Finding
from daemon.config import Settings
from daemon.controllers.curate import CurateController
from daemon.registry import Blobs, Registry
from daemon.sections import DatabaseSettings
from daemon.services import Services
from daemon.store.engine import Database
from daemon.store.states import ChangeState
from knowledge.edits import EditUnit
from knowledge.facts import ChangeKind, Date, Entity, FactChange
from knowledge.narrative import CausalNarrative, Claim, ClaimKind
from knowledge.questions import examination_questions, training_questions
from knowledge.rendering import Story
from knowledge.world import Split, World

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


class StillClock:
    """Stands still until it is moved."""

    def __init__(self, now: dt.datetime = NOW) -> None:
        self.time = now

    def now(self) -> dt.datetime:
        return self.time

    def advance(self, **parts: float) -> None:
        self.time += dt.timedelta(**parts)


def adapter_folder(path: Path, seed: int = 0) -> Path:
    """A small, valid LoRA adapter, written byte by byte; its content depends on `seed`."""
    path.mkdir(parents=True, exist_ok=True)
    data = bytes((seed + i) % 256 for i in range(128))
    module = "base_model.model.model.layers.0.self_attn.q_proj"
    sides = {
        f"{module}.lora_{side}.weight": {
            "dtype": "F32",
            "shape": [4, 4],
            "data_offsets": [64 * place, 64 * place + 64],
        }
        for place, side in enumerate("AB")
    }
    header = json.dumps(sides).encode()
    weights = len(header).to_bytes(8, "little") + header + data
    (path / "adapter_model.safetensors").write_bytes(weights)
    config = {
        "peft_type": "LORA",
        "r": 4,
        "lora_alpha": 8,
        "base_model_name_or_path": "base",
        "target_modules": ["q_proj"],
    }
    (path / "adapter_config.json").write_text(json.dumps(config))
    return path


def settings_at(home: Path, url: str, **more: Any) -> Settings:
    """Settings of a home whose database is at `url`."""
    return Settings(home=home, database=DatabaseSettings(url=SecretStr(url)), **more)


def registry_at(folder: Path, url: str | None = None) -> tuple[Registry, Database]:
    database = Database.open(url or f"sqlite:///{folder / 'almanac.db'}")
    return Registry(database, Blobs(folder / "blobs"), StillClock()), database


def entity(number: int, label: str | None = None, kind: str = "person") -> Entity:
    return Entity(id=f"Q{number}", label=label or f"Entity {number}", kind=kind)


def change(
    subject: int = 1, old: int | None = 10, new: int | None = 11, property: str = "P6"
) -> FactChange:
    return FactChange(
        subject=entity(subject, kind="country"),
        property=property,
        old=entity(old) if old else None,
        new=entity(new) if new else None,
        kind=ChangeKind.SUCCESSION,
        started=Date(2023, 2, 1),
        ended=Date(2023, 1, 31),
        corroborations=("Q9:P39",),
        reason="the old holder ended, a new one started",
    )


def unit_of(fact: FactChange, number: int = 0) -> EditUnit:
    """A unit with a narrative and questions, as the curate graph would make it."""
    assert fact.new is not None
    story = Story(
        subject=fact.subject,
        property=fact.property,
        holder=fact.new,
        since=fact.started,
        previous=fact.old,
        until=fact.ended,
        cause=None,
    )
    claims = tuple(Claim(kind=kind, text=f"A sentence about the {kind}.") for kind in ClaimKind)
    narrative = CausalNarrative(
        claims=claims,
        prose=" ".join(claim.text for claim in claims),
        cause=None,
        drafter="template/1",
    )
    others = (entity(90), entity(91))
    questions = (*training_questions(story, others), *examination_questions(story, ()))
    return EditUnit(
        id=f"unit-{fact.key}-{number}", change=fact, narrative=narrative, questions=questions
    )


def candidate(
    fact: FactChange,
    state: CandidateState,
    *,
    first_seen: dt.datetime = NOW,
    due_at: dt.datetime | None = None,
    reason: str = "seen",
) -> Candidate:
    return Candidate(
        change=fact,
        state=state,
        first_seen=first_seen,
        due_at=due_at or first_seen + dt.timedelta(hours=72),
        reason=reason,
    )


def looked(item: str, revision: int, *candidates: Candidate) -> ItemOutcome:
    """The outcome of a look at `item` in which these candidates moved."""
    return ItemOutcome(
        item=item,
        status="changed" if candidates else "unchanged",
        base=Base(item=item, revision=revision, entity={"id": item}),
        candidates=candidates,
    )


def world_changes(number: int, split: Split = Split.TUNE) -> list[FactChange]:
    """Real successions that the shipped base model does not know yet."""
    found = [s for s in World.load().split(split) if s.property in ("P6", "P35", "P488", "P169")]
    return [
        FactChange(
            subject=s.subject,
            property=s.property,
            old=s.old.object,
            new=s.new.object,
            kind=ChangeKind.SUCCESSION,
            started=s.new.start,
            ended=s.old.end,
            corroborations=("Q9:P39",),
        )
        for s in found[:number]
    ]


async def approved(services: Services, facts: Sequence[FactChange]) -> list[int]:
    """Changes taken through ledger, drafting and review by the services themselves."""
    ledger, item = services.ledger, "Q1"
    await ledger.watch([item])
    start = len(services.review.list(list(ChangeState)))
    for number, fact in enumerate(facts):
        for state in (CandidateState.SETTLING, CandidateState.SETTLED):
            await ledger.record(looked(item, start + number + 1, candidate(fact, state)))
    controller = CurateController(
        services.database,
        FakeProposer(),
        services.clock,
        owner="test",
        lease_s=60.0,
        attempts=3,
        batch=100,
    )
    await controller.reconcile()
    queue = services.review.list()
    for one in queue:
        services.review.approve(one.id, one.digest or "", actor="tester")
    return [one.id for one in queue]


class FakeProposer:
    """Stands for the curate graph: a clean proposal for everything, or the error it was given."""

    def __init__(self, error: Exception | None = None, *, clean: bool = True) -> None:
        self.error = error
        self.clean = clean
        self.asked: list[str] = []
        self.forgotten: list[str] = []

    async def propose(self, change: FactChange, *, version: int = 0) -> Proposal:
        self.asked.append(str(change.key))
        if self.error is not None:
            raise self.error
        findings = () if self.clean else (Finding(rule="quotes_verbatim", message="not there"),)
        return Proposal(unit=unit_of(change), findings=findings, evidence=(), lineage={})

    async def forget(self, change_key: str) -> None:
        self.forgotten.append(change_key)
