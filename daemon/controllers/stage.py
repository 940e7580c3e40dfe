"""One job of one release, from its folder to its result: what training and evaluating share.

Owns the cases: not started, at work, ended without a result, done. Which folder, which command and
what becomes of the result is said by the two controllers.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog
from sqlmodel import Session, col, select

from daemon.clock import Clock
from daemon.controllers.failures import failed, is_due
from daemon.errors import LeaseLost
from daemon.jobs.supervisor import Job, JobState, Supervisor, last_words
from daemon.store import leases
from daemon.store.engine import Database
from daemon.store.rows import ReleaseRow
from daemon.store.states import ReleaseState

log = structlog.get_logger()

CANNOT = 1
"""Exit code, with an `error:` line, of a job that will fail again: its input has to change."""


class Work(Protocol):
    """What a controller says of its job."""

    actor: str
    waiting: ReleaseState
    working: ReleaseState

    def job(self, release: ReleaseRow) -> Job: ...

    async def prepare(self, release: ReleaseRow, job: Job) -> None:
        """Write the job's folder. Harmless when repeated."""
        ...

    def begin(self, session: Session, release: ReleaseRow) -> None:
        """Move the release to `working`."""
        ...

    async def finish(self, release: ReleaseRow, job: Job, token: int) -> None:
        """Take the result over and move the release on, under the lease `token`."""
        ...

    def environment(self) -> dict[str, str]: ...


class StageRunner:
    """Takes releases through one kind of job, one step a call."""

    def __init__(
        self,
        database: Database,
        supervisor: Supervisor,
        clock: Clock,
        *,
        owner: str,
        lease_s: float,
        attempts: int,
    ) -> None:
        self._database = database
        self._supervisor = supervisor
        self._clock = clock
        self._owner = owner
        self._lease_s = lease_s
        self._attempts = attempts

    async def step(self, work: Work) -> int:
        """The number of releases that took a step."""
        done = 0
        for release, token in await self._database.writing(lambda s: self._claim(s, work)):
            resource = f"release:{release.id}"
            try:
                done += await self._one(work, release, token)
                await self._database.writing(lambda s, r=resource, t=token: leases.release(s, r, t))
            except LeaseLost as error:
                log.info("job.lease_lost", release_id=release.id, reason=str(error))
            except Exception as error:
                log.warning("job.step_failed", release_id=release.id, reason=str(error))
                done += await self._failed(work, release, token, str(error), final=False)
        return done

    def _claim(self, session: Session, work: Work) -> list[tuple[ReleaseRow, int]]:
        rows = session.exec(
            select(ReleaseRow)
            .where(col(ReleaseRow.state).in_([work.waiting, work.working]))
            .order_by(col(ReleaseRow.id))
        ).all()
        claimed: list[tuple[ReleaseRow, int]] = []
        for row in rows:
            if not is_due(row):
                continue
            token = leases.acquire(session, f"release:{row.id}", self._owner, self._lease_s)
            if token is not None:
                claimed.append((row, token))
        return claimed

    async def _one(self, work: Work, release: ReleaseRow, token: int) -> int:
        job = work.job(release)
        if release.state == work.waiting:
            await work.prepare(release, job)
            await self._database.writing(lambda s: self._begin(s, work, release, token))
            self._supervisor.start(job, work.environment())
            return 1
        match await asyncio.to_thread(self._supervisor.state, job):
            case JobState.RUNNING:
                return 0
            case JobState.FINISHED:
                await work.finish(release, job, token)
                return 1
            case JobState.NEW:
                await work.prepare(release, job)
                self._supervisor.start(job, work.environment())
                return 1
            case JobState.STOPPED:
                return await self._again(work, release, job, token)

    async def _again(self, work: Work, release: ReleaseRow, job: Job, token: int) -> int:
        """Start an ended job again. One that ended with its parent did not fail."""
        code = self._supervisor.exit_code(job)
        if code is not None:
            self._supervisor.forget(job)
            why = last_words(job.folder)
            told = code == CANNOT and why.startswith("error:")  # a traceback may be bad luck
            return await self._failed(work, release, token, why, final=told)
        await work.prepare(release, job)
        self._supervisor.start(job, work.environment())
        return 1

    def _begin(self, session: Session, work: Work, release: ReleaseRow, token: int) -> None:
        leases.check(session, f"release:{release.id}", token)
        row = session.get(ReleaseRow, release.id)
        assert row is not None
        work.begin(session, row)

    async def _failed(
        self, work: Work, release: ReleaseRow, token: int, reason: str, *, final: bool
    ) -> int:
        def count(session: Session) -> int:
            leases.check(session, f"release:{release.id}", token)
            leases.release(session, f"release:{release.id}", token)
            row = session.get(ReleaseRow, release.id)
            if row is None or row.state not in (work.waiting, work.working):
                return 0
            return failed(
                session,
                row,
                reason,
                actor=work.actor,
                now=self._clock.now(),
                attempts=self._attempts,
                final=final,
            )

        try:
            return int(await self._database.writing(count))
        except LeaseLost:
            return 0
