"""A trained adapter gets its verdict, by an evaluation job in a child process.

Owns what is examined: the release's units, earlier live ones, neighbours, unrelated facts; against
production as it is now. The verdict is the gate's; here it only becomes rows.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlmodel import Session

from daemon import config
from daemon.clock import Clock
from daemon.config import Settings
from daemon.controllers.stage import StageRunner
from daemon.jobs.evaluation_job import (
    RESULT,
    EvaluationSpec,
    JudgeSpec,
    Past,
    create_job,
    gate_policy,
)
from daemon.jobs.supervisor import Job
from daemon.known_facts import KnownFacts
from daemon.registry.service import Registry
from daemon.store import leases
from daemon.store.engine import Database
from daemon.store.rows import EvaluationRow, ReleaseRow
from daemon.store.states import ReleaseState, transition
from knowledge.edits import EditUnit
from knowledge.questions import Use
from knowledge.world import World

NEIGHBOURS_EACH = 3
UNRELATED = 60
TREND = 12
"""Earlier versions that a report shows."""

_VERDICTS = {
    "pass": ReleaseState.PASSED,
    "fail": ReleaseState.FAILED,
    "inconclusive": ReleaseState.INCONCLUSIVE,
}


class EvaluateController:
    """trained -> evaluating -> passed, failed or inconclusive."""

    actor = "evaluate"
    waiting = ReleaseState.TRAINED
    working = ReleaseState.EVALUATING

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
        """The settings, for the answer store: a database URL may hold a password."""
        return config.to_environment(self._settings)

    def job(self, release: ReleaseRow) -> Job:
        name = f"evaluate-{release.id:06d}-{(release.adapter_digest or '')[:12]}"
        folder = (self._settings.job_folder / name).resolve()
        command = (sys.executable, "-m", "daemon.jobs.evaluate", str(folder))
        return Job(folder=folder, command=command, result=RESULT)

    async def prepare(self, release: ReleaseRow, job: Job) -> None:
        await asyncio.to_thread(lambda: create_job(job.folder, self._plan(release)))

    def begin(self, session: Session, release: ReleaseRow) -> None:
        now = self._clock.now()
        transition(
            session, release, self.working, actor=self.actor, reason="the job is planned", now=now
        )

    async def finish(self, release: ReleaseRow, job: Job, token: int) -> None:
        result = job.folder / RESULT
        gate = await asyncio.to_thread(_read, result / "gate.json")
        summary = await asyncio.to_thread(_read, result / "summary.json")

        def work(session: Session) -> None:
            leases.check(session, f"release:{release.id}", token)
            row = session.get(ReleaseRow, release.id)
            assert row is not None and row.adapter_digest is not None
            verdict = str(gate["outcome"])
            row.evaluation_id = self._registry.add_evaluation(
                session,
                EvaluationRow(
                    adapter_digest=row.adapter_digest,
                    release_id=row.id,
                    production_digest=summary["production_digest"],
                    verdict=verdict,
                    policy=str(summary["policy"]),
                    policy_digest=summary["policy_digest"],
                    gate=gate,
                    evaluation=summary,
                    report_path=str(result / "report.html"),
                    created_at=self._clock.now(),
                ),
            )
            row.failures, row.not_before, row.reason = 0, None, f"the gate said {verdict}"
            transition(
                session,
                row,
                _VERDICTS[verdict],
                actor=self.actor,
                reason=row.reason,
                now=self._clock.now(),
                data={"evaluation": row.evaluation_id},
            )

        await self._database.writing(work)

    def _plan(self, release: ReleaseRow) -> EvaluationSpec:
        assert release.adapter_digest is not None
        _, production = self._registry.current()
        return plan_evaluation(
            self._registry,
            self._settings,
            candidate=release.adapter_digest,
            production=production,
            units=self._registry.units_of_release(release.id or 0),
            live=self._registry.live_units(release.parent_digest),
        )


def plan_evaluation(
    registry: Registry,
    settings: Settings,
    *,
    candidate: str,
    production: str | None,
    units: Sequence[EditUnit],
    live: Sequence[EditUnit],
) -> EvaluationSpec:
    """What a candidate is examined with, against production. Raises BlobError for altered files."""
    facts = KnownFacts(World.load(), {u.slot for u in (*units, *live)})
    policy = gate_policy(settings.gate.policy)
    unrelated = facts.unrelated_questions(
        units, Use.EXAM, limit=UNRELATED + policy.reserve, seed=settings.gate.seed
    )
    past = registry.measured()[-TREND:]
    return EvaluationSpec(
        base=str(settings.model.base.resolve()),
        candidate=str(registry.verify(candidate).resolve()),
        candidate_digest=candidate,
        production=str(registry.verify(production).resolve()) if production else None,
        production_digest=production,
        units=tuple(units),
        live=tuple(live),
        neighbours=facts.neighbour_questions(units, Use.EXAM, each=NEIGHBOURS_EACH),
        unrelated=unrelated[:UNRELATED],
        reserve=unrelated[UNRELATED:],
        regression=facts.regression_units() if policy.pools_regression else (),
        history=tuple(Past(label=f"v{version}", values=values) for version, values in past),
        judge=JudgeSpec(endpoint=settings.judge.endpoint, model=settings.judge.model),
        policy=settings.gate.policy,
        seed=settings.gate.seed,
        threads=settings.jobs.threads,
    )


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
