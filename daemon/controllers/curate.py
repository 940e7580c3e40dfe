"""Settled changes become proposals in the review queue.

Owns claiming, committing and counting failures; the drafting itself is `agents.curate`. A run that
a shutdown or a crash cut goes on where its checkpoint stands. What is wrong with the machine (a
full disk, a database that is away) is never counted against a change; a change at whose drafting
the worker ended again and again is given up.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from dataclasses import dataclass
from typing import Protocol

import structlog
from sqlalchemy import String, cast, literal
from sqlmodel import Session, col, or_, select

from agents.errors import Drained, Permanent
from agents.proposals import Proposal
from daemon.clock import Clock
from daemon.controllers.failures import failed, of_the_machine
from daemon.errors import LeaseLost
from daemon.store import leases
from daemon.store.drafts import add_draft, last_version
from daemon.store.engine import Database
from daemon.store.rows import ChangeRow, LeaseRow
from daemon.store.states import ChangeState, transition
from knowledge import codec
from knowledge.edits import EditKind
from knowledge.facts import FactChange

ACTOR = "curate"

log = structlog.get_logger()


class Proposer(Protocol):
    """What the controller needs of `agents.curate.Curator`."""

    async def propose(self, change: FactChange, *, version: int = 0) -> Proposal: ...

    async def forget(self, change_key: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    id: int
    token: int
    fact: FactChange
    retraction: bool
    version: int
    """How many drafts there have been: the next one is made anew."""

    @property
    def resource(self) -> str:
        return f"change:{self.id}"


class CurateController:
    """Drafts up to `batch` changes a step, side by side."""

    def __init__(
        self,
        database: Database,
        proposer: Proposer,
        clock: Clock,
        *,
        owner: str,
        lease_s: float,
        attempts: int,
        batch: int = 8,
        crashes: int = 20,
    ) -> None:
        self._database = database
        self._proposer = proposer
        self._clock = clock
        self._owner = owner
        self._lease_s = lease_s
        self._attempts = attempts
        self._batch = batch
        self._crashes = crashes

    async def reconcile(self) -> int:
        """Propose what is settled; the number of changes that moved on."""
        if not await self._database.reading(lambda session: bool(self._due(session, 1))):
            return 0
        claims = await self._database.writing(self._claim)
        results = await asyncio.gather(
            *(self._propose(claim) for claim in claims), return_exceptions=True
        )
        for result in results:  # none of them is left running behind the error of another
            if isinstance(result, BaseException):
                raise result
        return sum(result for result in results if isinstance(result, int))

    def _due(self, session: Session, limit: int) -> list[ChangeRow]:
        """Changes to draft whose pause is over and that nobody works on, oldest first."""
        now = dt.datetime.now(dt.UTC)
        resource = literal("change:").concat(cast(col(ChangeRow.id), String))
        return list(
            session.exec(
                select(ChangeRow)
                .join(LeaseRow, col(LeaseRow.resource) == resource, isouter=True)
                .where(
                    col(ChangeRow.state).in_([ChangeState.SETTLED, ChangeState.DRAFTING]),
                    or_(col(ChangeRow.not_before).is_(None), col(ChangeRow.not_before) <= now),
                    or_(col(LeaseRow.resource).is_(None), col(LeaseRow.expires_at) <= now),
                )
                .order_by(col(ChangeRow.id))
                .limit(limit)
            ).all()
        )

    def _claim(self, session: Session) -> list[_Claim]:
        claims: list[_Claim] = []
        for row in self._due(session, self._batch):
            assert row.id is not None
            resource = f"change:{row.id}"
            token = leases.acquire(session, resource, self._owner, self._lease_s)
            if token is None:
                continue
            crashes = leases.crashes(session, resource)
            if crashes >= self._crashes:
                self._give_up(session, row, token, crashes)
                continue
            if row.state == ChangeState.SETTLED:
                now = self._clock.now()
                transition(
                    session, row, ChangeState.DRAFTING, actor=ACTOR, reason="claimed", now=now
                )
            fact = codec.from_data(FactChange, row.fact)
            retraction = row.retracts is not None
            version = last_version(session, row.id)
            claims.append(
                _Claim(id=row.id, token=token, fact=fact, retraction=retraction, version=version)
            )
        return claims

    def _give_up(self, session: Session, row: ChangeRow, token: int, crashes: int) -> None:
        leases.release(session, f"change:{row.id}", token)
        failed(
            session,
            row,
            f"{crashes} workers, one after the other, ended while they drafted it",
            actor=ACTOR,
            now=self._clock.now(),
            attempts=self._attempts,
            final=True,
        )

    async def _propose(self, claim: _Claim) -> int:
        try:
            async with leases.kept(self._database, claim.resource, claim.token, self._lease_s):
                proposal = await self._proposer.propose(claim.fact, version=claim.version)
            await self._database.writing(lambda session: self._commit(session, claim, proposal))
        except (Drained, asyncio.CancelledError) as error:
            await asyncio.shield(self._database.writing(lambda s: self._give_back(s, claim)))
            if isinstance(error, asyncio.CancelledError):
                raise
            return 0
        except LeaseLost as error:
            log.info("curate.lease_lost", change_id=claim.id, reason=str(error))
            return 0
        except Exception as error:
            log.warning("curate.failed", change_id=claim.id, reason=str(error))
            if of_the_machine(error):
                await self._database.writing(lambda s: self._give_back(s, claim))
                raise
            return await self._failed(claim, error)
        await self._proposer.forget(claim.fact.key)
        return 1

    def _commit(self, session: Session, claim: _Claim, proposal: Proposal) -> None:
        leases.release(session, claim.resource, claim.token)
        row = session.get(ChangeRow, claim.id)
        if row is None or row.state != ChangeState.DRAFTING:
            return  # withdrawn while it was drafted
        unit = proposal.unit
        if claim.retraction:
            unit = dataclasses.replace(unit, kind=EditKind.RETRACTION)
        if proposal.known:
            self._dismiss(session, row, proposal)
            return
        draft = add_draft(
            session,
            row,
            unit,
            findings=[codec.to_data(finding) for finding in proposal.findings],
            evidence=[evidence.id for evidence in proposal.evidence],
            facts=[fact.model_dump(mode="json") for fact in proposal.facts],
            lineage=proposal.lineage,
            steps=proposal.steps,
            author=unit.narrative.drafter if unit.narrative else ACTOR,
            now=self._clock.now(),
        )
        open_findings = len(proposal.findings)
        reason = f"draft {draft.version}, " + (
            "all checks passed" if proposal.clean else f"{open_findings} findings open"
        )
        row.failures, row.not_before = 0, None
        transition(
            session,
            row,
            ChangeState.IN_REVIEW,
            actor=ACTOR,
            reason=reason,
            now=self._clock.now(),
            data={"digest": draft.digest},
        )

    def _dismiss(self, session: Session, row: ChangeRow, proposal: Proposal) -> None:
        """Production gives the new state in every wording: there is nothing to teach."""
        row.failures, row.not_before = 0, None
        transition(
            session,
            row,
            ChangeState.DISMISSED,
            actor=ACTOR,
            reason="known: the version in production gives the new state already",
            now=self._clock.now(),
            data={"steps": [dict(step) for step in proposal.steps]},
        )

    def _give_back(self, session: Session, claim: _Claim) -> None:
        leases.release(session, claim.resource, claim.token)

    async def _failed(self, claim: _Claim, error: Exception) -> int:
        def work(session: Session) -> int:
            leases.release(session, claim.resource, claim.token)
            row = session.get(ChangeRow, claim.id)
            if row is None or row.state != ChangeState.DRAFTING:
                return 0
            return failed(
                session,
                row,
                f"{type(error).__name__}: {error}",
                actor=ACTOR,
                now=self._clock.now(),
                attempts=self._attempts,
                final=isinstance(error, Permanent),
            )

        try:
            return int(await self._database.writing(work))
        except LeaseLost:
            return 0
