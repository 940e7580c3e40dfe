"""One job of one release, from its folder to its result: what training and evaluating share.

Owns the cases: not started, at work, ended without a result, done. A worker keeps the release's
lease for as long as it runs the job, so that no other starts it a second time; whoever lost the
lease, or sees that a person gave the release up, stops its job. Which folder, which command and
what becomes of the result is said by the two controllers.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol, runtime_checkable

import structlog
from sqlmodel import Session, col, select

from daemon.clock import Clock
from daemon.controllers.failures import failed, is_due, of_the_machine
from daemon.errors import LeaseLost
from daemon.jobs.sharing import Admission
from daemon.jobs.supervisor import Job, JobState, Launcher, last_words
from daemon.store import leases
from daemon.store.engine import Database
from daemon.store.rows import ReleaseRow
from daemon.store.states import OPEN_RELEASES, ReleaseState
from daemon.upkeep.disk import has_room, says_full

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


@runtime_checkable
class JobController(Protocol):
    """A stage whose work is a job, which goes on between two of the stage's times."""

    async def reconcile(self) -> int: ...

    async def follow(self) -> int:
        """`reconcile` for what was begun; begins nothing."""
        ...


class StageRunner:
    """Takes releases through one kind of job, one step a call."""

    def __init__(
        self,
        database: Database,
        supervisor: Launcher,
        clock: Clock,
        *,
        owner: str,
        lease_s: float,
        attempts: int,
        admission: Admission | None = None,
    ) -> None:
        self._database = database
        self._supervisor = supervisor
        self._clock = clock
        self._owner = owner
        self._lease_s = lease_s
        self._attempts = attempts
        self._admission = admission
        self._held: dict[int, tuple[int, Job]] = {}
        """Leases kept from one step to the next, with the job that runs under each."""

    async def step(self, work: Work, *, begins: bool = True) -> int:
        """The number of releases that took a step. Without `begins` no new job is begun."""
        await self._end_abandoned()
        done = 0
        for release, token in await self._database.writing(lambda s: self._claim(s, work, begins)):
            number = release.id or 0
            try:
                async with leases.kept(self._database, _resource(number), token, self._lease_s):
                    done += await self._one(work, release, token)
                if number not in self._held:
                    await self._database.writing(
                        lambda s, n=number, t=token: leases.release(s, _resource(n), t)
                    )
            except LeaseLost as error:
                await self._lost(number, str(error))
            except Exception as error:
                log.warning("job.step_failed", release_id=number, reason=str(error))
                if of_the_machine(error):
                    raise
                done += await self._failed(work, release, token, str(error), final=False)
        return done

    def _claim(self, session: Session, work: Work, begins: bool) -> list[tuple[ReleaseRow, int]]:
        states = [work.waiting, work.working] if begins else [work.working]
        rows = session.exec(
            select(ReleaseRow).where(col(ReleaseRow.state).in_(states)).order_by(col(ReleaseRow.id))
        ).all()
        claimed: list[tuple[ReleaseRow, int]] = []
        for row in rows:
            if not is_due(row):
                continue
            token = self._token(session, row.id or 0)
            if token is not None:
                claimed.append((row, token))
        return claimed

    def _token(self, session: Session, number: int) -> int | None:
        held = self._held.get(number)
        if held is None:
            return leases.acquire(session, _resource(number), self._owner, self._lease_s)
        token = held[0]
        with contextlib.suppress(LeaseLost):  # the step proves it again, and then ends the job
            leases.renew(session, _resource(number), token, self._lease_s)
        return token

    async def _one(self, work: Work, release: ReleaseRow, token: int) -> int:
        job = work.job(release)
        await self._database.reading(lambda s: leases.check(s, _resource(release.id or 0), token))
        if release.state == work.waiting:
            if not await self._admitted():
                return 0
            await work.prepare(release, job)
            await self._database.writing(lambda s: self._begin(s, work, release, token))
            return await self._start(work, release, job, token)
        match await asyncio.to_thread(self._supervisor.state, job):
            case JobState.RUNNING:
                self._held[release.id or 0] = (token, job)
                await self._stop_out_of_hours(job)
                return 0
            case JobState.FINISHED:
                await work.finish(release, job, token)
                await self._ended(release)
                return 1
            case JobState.NEW:
                await work.prepare(release, job)
                return await self._start(work, release, job, token)
            case JobState.STOPPED:
                return await self._again(work, release, job, token)

    async def _start(self, work: Work, release: ReleaseRow, job: Job, token: int) -> int:
        """Start the job if the device is free and it is the hour; 0 while it has to wait."""
        if not await self._admitted():
            return 0
        if self._admission is not None:
            await self._admission.before(job)
        if not self._supervisor.start(job, work.environment()):
            return 0
        self._held[release.id or 0] = (token, job)
        return 1

    async def _again(self, work: Work, release: ReleaseRow, job: Job, token: int) -> int:
        """Start an ended job again. One that ended with its parent, or because the disk was full,
        did not fail."""
        await self._ended(release)
        code = self._supervisor.exit_code(job)
        why = last_words(job.folder)
        stopped = self._admission is not None and self._admission.stopped(job)
        if code is not None:
            self._supervisor.forget(job)
        full = says_full(why) or not has_room(job.folder)
        if code is not None and not stopped and not full:
            told = code == CANNOT and why.startswith("error:")  # a traceback may be bad luck
            return await self._failed(work, release, token, why, final=told)
        await work.prepare(release, job)
        return await self._start(work, release, job, token)

    async def _admitted(self) -> bool:
        return self._admission is None or await self._admission.admits()

    async def _stop_out_of_hours(self, job: Job) -> None:
        if self._admission is not None and self._admission.must_stop(job):
            await asyncio.to_thread(self._supervisor.stop, job)

    async def _ended(self, release: ReleaseRow) -> None:
        self._held.pop(release.id or 0, None)
        if self._admission is not None:
            await self._admission.after()

    async def _lost(self, number: int, reason: str) -> None:
        """Another worker has the release: what runs here of it would be for nothing."""
        log.info("job.lease_lost", release_id=number, reason=reason)
        held = self._held.pop(number, None)
        if held is not None:
            await asyncio.to_thread(self._supervisor.stop, held[1])
            self._supervisor.forget(held[1])

    async def _end_abandoned(self) -> None:
        """A person gave the release up: its job is for nothing."""
        if not self._held:
            return
        numbers = list(self._held)
        at_work = await self._database.reading(
            lambda s: s.exec(
                select(ReleaseRow.id).where(
                    col(ReleaseRow.id).in_(numbers), col(ReleaseRow.state).in_(OPEN_RELEASES)
                )
            ).all()
        )
        for number in set(numbers) - set(at_work):
            token, job = self._held.pop(number)
            log.info("job.abandoned", release_id=number, folder=str(job.folder))
            await asyncio.to_thread(self._supervisor.stop, job)
            self._supervisor.forget(job)
            if self._admission is not None:
                await self._admission.after()
            with contextlib.suppress(LeaseLost):
                await self._database.writing(
                    lambda s, n=number, t=token: leases.release(s, _resource(n), t)
                )

    def _begin(self, session: Session, work: Work, release: ReleaseRow, token: int) -> None:
        leases.check(session, _resource(release.id or 0), token)
        row = session.get(ReleaseRow, release.id)
        assert row is not None
        work.begin(session, row)

    async def _failed(
        self, work: Work, release: ReleaseRow, token: int, reason: str, *, final: bool
    ) -> int:
        self._held.pop(release.id or 0, None)

        def count(session: Session) -> int:
            leases.release(session, _resource(release.id or 0), token)
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


def _resource(number: int) -> str:
    return f"release:{number}"
