"""Bulk runs for people: what is held of which run, and deciding one without its sample.

Owns the list and the decision by hand; samples decide runs by themselves (`daemon.store.runs`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from agents.ledger import CandidateState, RunState
from daemon.clock import Clock
from daemon.errors import Conflict, NotFound
from daemon.store import runs
from daemon.store.engine import Database
from daemon.store.rows import BulkRunRow, CandidateRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: `held` of its changes wait, `sampled` were drawn for the reviewers."""

    id: str
    editor: str
    summary: str
    day: dt.date
    size: int
    state: str
    held: int
    sampled: int
    reason: str
    decided_by: str | None


class BulkRuns:
    """Blocking calls."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def list(self, *, everything: bool = False) -> list[Run]:
        """Open runs, newest first; with `everything` the decided ones too."""
        query = select(BulkRunRow).order_by(col(BulkRunRow.opened_at).desc(), col(BulkRunRow.id))
        if not everything:
            query = query.where(BulkRunRow.state == RunState.OPEN)
        with self._database.read() as session:
            return [_run(session, row) for row in session.exec(query).all()]

    def decide(self, run_id: str, *, release: bool, actor: str, reason: str) -> None:
        """Let a run's changes go on, or dismiss them. Raises NotFound; Conflict for a run that is
        decided already, and without a reason."""
        if not reason.strip():
            raise Conflict("say why: the reason stands at each of the run's changes")
        now = self._clock.now()
        with self._database.write() as session:
            row = session.get(BulkRunRow, run_id)
            if row is None:
                raise NotFound(f"there is no bulk run {run_id!r}; `watch runs` lists them")
            if row.state != RunState.OPEN:
                raise Conflict(f"run {run_id} is {row.state} already, by {row.decided_by}")
            state = RunState.RELEASED if release else RunState.DISMISSED
            runs.decide(session, row, state, actor=actor, reason=reason.strip(), now=now)


def _run(session: Session, row: BulkRunRow) -> Run:
    def count(*conditions: object) -> int:
        query = select(func.count()).select_from(CandidateRow)
        return session.exec(query.where(CandidateRow.run == row.id, *conditions)).one()  # type: ignore[arg-type]

    return Run(
        id=row.id,
        editor=row.editor,
        summary=row.summary,
        day=row.day,
        size=row.size,
        state=row.state,
        held=count(CandidateRow.state == CandidateState.SETTLING),
        sampled=count(col(CandidateRow.sampled).is_(True)),
        reason=row.reason,
        decided_by=row.decided_by,
    )
