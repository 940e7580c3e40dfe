"""A frozen release becomes an adapter in the registry, by a training job in a child process.

Owns what goes into the job: units, replay of earlier live units, anchors that must not move. The
job is planned from rows alone, so planning it again gives the same job.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from sqlmodel import Session

from daemon.clock import Clock
from daemon.config import Settings
from daemon.controllers.stage import StageRunner
from daemon.jobs.supervisor import Job
from daemon.known_facts import KnownFacts, training_anchors
from daemon.registry.service import Registry
from daemon.store import leases
from daemon.store.engine import Database
from daemon.store.rows import ReleaseRow
from daemon.store.states import ReleaseState, transition
from knowledge.edits import EditUnit
from knowledge.world import World
from trainer.job import ADAPTER, JobSpec, create_job


class TrainController:
    """frozen -> training -> trained."""

    actor = "train"
    waiting = ReleaseState.FROZEN
    working = ReleaseState.TRAINING

    def __init__(
        self,
        runner: StageRunner,
        database: Database,
        registry: Registry,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._runner = runner
        self._database = database
        self._registry = registry
        self._clock = clock
        self._settings = settings

    async def reconcile(self) -> int:
        return await self._runner.step(self)

    async def follow(self) -> int:
        """Take over the results of jobs that were begun, and begin none."""
        return await self._runner.step(self, begins=False)

    def environment(self) -> dict[str, str]:
        return {}

    def job(self, release: ReleaseRow) -> Job:
        name = f"train-{release.id:06d}-{release.batch_digest[:12]}"
        folder = (self._settings.job_folder / name).resolve()
        command = (sys.executable, "-m", "trainer", "run", str(folder))
        return Job(folder=folder, command=command, result=ADAPTER)

    async def prepare(self, release: ReleaseRow, job: Job) -> None:
        spec = await asyncio.to_thread(self._plan, release)
        job.folder.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(create_job, job.folder, spec)

    def begin(self, session: Session, release: ReleaseRow) -> None:
        now = self._clock.now()
        transition(
            session, release, self.working, actor=self.actor, reason="the job is planned", now=now
        )

    async def finish(self, release: ReleaseRow, job: Job, token: int) -> None:
        version = await asyncio.to_thread(
            self._registry.register,
            job.folder / ADAPTER,
            base_model=str(self._settings.model.base),
            parent=release.parent_digest,
            release=release.id,
        )

        def work(session: Session) -> None:
            leases.check(session, f"release:{release.id}", token)
            row = session.get(ReleaseRow, release.id)
            assert row is not None
            row.adapter_digest = version.digest
            row.failures, row.not_before, row.reason = 0, None, ""
            transition(
                session,
                row,
                ReleaseState.TRAINED,
                actor=self.actor,
                reason=f"version {version.number}",
                now=self._clock.now(),
                data={"adapter": version.digest},
            )

        await self._database.writing(work)

    def _plan(self, release: ReleaseRow) -> JobSpec:
        units: Sequence[EditUnit] = self._registry.units_of_release(release.id or 0)
        live = self._registry.live_units(release.parent_digest)
        edited = {unit.slot for unit in units}
        kept = [unit for unit in live if unit.slot not in edited]
        facts = KnownFacts(World.load(), edited | {unit.slot for unit in live})
        anchors = training_anchors(facts, units, seed=release.seed)
        parent: Path | None = None
        replay = replayed(kept, self._settings.release.replay, release.seed)
        depth = len(self._registry.lineage(release.parent_digest)) + 1
        if starts_from_base(depth, self._settings.release.retrain_every):
            units, replay = [*kept, *units], []
        elif release.parent_digest is not None:
            parent = self._registry.verify(release.parent_digest).resolve()
        return JobSpec.plan(
            base=self._settings.model.base.resolve(),
            units=tuple(units),
            recipe=release.recipe,
            parent_adapter=parent,
            replay=tuple(replay),
            anchors=anchors,
            seed=release.seed,
        )


def starts_from_base(depth: int, every: int) -> bool:
    """Whether release number `depth` of a lineage is trained from the base on all live edits."""
    return every > 0 and depth % every == 0


def replayed(units: Sequence[EditUnit], limit: int, seed: int) -> list[EditUnit]:
    """A seeded sample of earlier units, in their order."""
    if len(units) <= limit:
        return list(units)
    chosen = set(random.Random(f"replay:{seed}").sample(range(len(units)), limit))
    return [unit for place, unit in enumerate(units) if place in chosen]
