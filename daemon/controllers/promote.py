"""A passed release goes into production, when the settings leave that to the daemon.

Owns one condition of its own: production must still be what the release was trained from and judged
against. If it moved meanwhile, the verdict is about another comparison, and a person has to decide.
"""

from __future__ import annotations

import asyncio

import structlog
from sqlmodel import Session, col, select

from daemon.clock import Clock
from daemon.errors import BlobError, Conflict, NotPromotable
from daemon.registry.service import Registry
from daemon.store.engine import Database
from daemon.store.rows import EvaluationRow, ReleaseRow
from daemon.store.states import ReleaseState, transition

ACTOR = "promote"
_MOVED = "production moved since this release was trained and judged; a person decides"

log = structlog.get_logger()


class PromoteController:
    """passed -> promoted."""

    def __init__(
        self, database: Database, registry: Registry, clock: Clock, *, enabled: bool
    ) -> None:
        self._database = database
        self._registry = registry
        self._clock = clock
        self._enabled = enabled

    async def reconcile(self) -> int:
        if not self._enabled or await asyncio.to_thread(self._registry.frozen_by):
            return 0
        return await asyncio.to_thread(self._promote)

    def _promote(self) -> int:
        with self._database.read() as session:
            release = session.exec(
                select(ReleaseRow)
                .where(ReleaseRow.state == ReleaseState.PASSED)
                .order_by(col(ReleaseRow.id))
            ).first()
            if release is None:
                return 0
            judged = session.get(EvaluationRow, release.evaluation_id)
        generation, production = self._registry.current()
        against = judged.production_digest if judged else None
        if production != release.parent_digest or production != against:
            self._hand_over(release.id or 0, _MOVED)
            return 1
        try:
            move = self._registry.promote(
                self._registry.served,
                release.adapter_digest,
                actor=ACTOR,
                reason=f"release {release.id} passed the gate",
                expected_generation=generation,
            )
        except Conflict as error:
            log.info("promote.conflict", release_id=release.id, reason=str(error))
            return 0
        except (NotPromotable, BlobError) as error:
            self._hand_over(release.id or 0, str(error))
            return 1
        log.info("promoted", release_id=release.id, generation=move.generation)
        return 1

    def _hand_over(self, release_id: int, reason: str) -> None:
        """A person decides from here on."""

        def work(session: Session) -> None:
            row = session.get(ReleaseRow, release_id)
            if row is not None and row.state == ReleaseState.PASSED:
                now = self._clock.now()
                row.reason = reason
                transition(
                    session, row, ReleaseState.INCONCLUSIVE, actor=ACTOR, reason=reason, now=now
                )

        with self._database.write() as session:
            work(session)
