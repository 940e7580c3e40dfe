"""Another draft of a change, and how the drafts so far came about.

Owns the request for a new draft, and the records of the curate graph's steps as people read them.
Drafting itself is the controller's; a run that is under way is read from its checkpoints, in their
file or in PostgreSQL.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from daemon.clock import Clock
from daemon.errors import Conflict, NotFound
from daemon.store import postgres
from daemon.store.engine import Database
from daemon.store.rows import ChangeRow, DraftRow, EventRow
from daemon.store.states import ChangeState, transition

CURATE_FILE = "curate.db"
"""The checkpoint file of the curate graph, in `home`."""
_REDOABLE = (ChangeState.IN_REVIEW, ChangeState.REJECTED, ChangeState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """One draft, or the run that is under way (`version` 0): its steps with what went in and came
    out, in order."""

    version: int
    author: str
    at: dt.datetime | None
    steps: tuple[dict[str, Any], ...]
    lineage: dict[str, Any]


class Drafts:
    """Blocking calls over the database."""

    def __init__(self, database: Database, clock: Clock, home: Path) -> None:
        self._database = database
        self._clock = clock
        self._home = home

    def of(self, change_id: int) -> list[Drafted]:
        """All drafts of a change, oldest first; then a run that has not ended. Raises NotFound."""
        with self._database.read() as session:
            row = session.get(ChangeRow, change_id)
            if row is None:
                raise NotFound(f"there is no change {change_id}; see `almanac review list --all`")
            found = [
                Drafted(
                    version=draft.version,
                    author=draft.author,
                    at=draft.created_at,
                    steps=tuple(draft.steps),
                    lineage=draft.lineage,
                )
                for draft in session.exec(
                    select(DraftRow)
                    .where(DraftRow.change_id == change_id)
                    .order_by(col(DraftRow.version))
                )
            ]
            events = session.exec(
                select(EventRow).where(
                    EventRow.entity == "change", EventRow.entity_id == str(change_id)
                )
            ).all()
            for event in events:  # what production knew already was dismissed without a draft
                if steps := event.data.get("steps"):
                    found.append(
                        Drafted(
                            version=0,
                            author=event.actor,
                            at=event.at,
                            steps=tuple(steps),
                            lineage={},
                        )
                    )
            under_way = row.key if row.state == ChangeState.DRAFTING else None
        if under_way and (steps := self._under_way(under_way)):
            found.append(Drafted(version=0, author="curate", at=None, steps=steps, lineage={}))
        return found

    def redo(self, change_id: int, *, actor: str, reason: str) -> None:
        """Send a change back to be drafted anew. Raises NotFound, and Conflict in other states."""
        with self._database.write() as session:
            row = session.get(ChangeRow, change_id)
            if row is None:
                raise NotFound(f"there is no change {change_id}; see `almanac review list --all`")
            if row.state not in _REDOABLE:
                raise Conflict(
                    f"change {change_id} is {row.state}; only one in review, rejected or failed "
                    "can be drafted again. Undo an approval first"
                )
            now = self._clock.now()
            held = row.claimed_until is not None and row.claimed_until > now
            if held and row.claimed_by != actor:
                raise Conflict(
                    f"change {change_id} is claimed by {row.claimed_by}; wait or ask them"
                )
            transition(
                session,
                row,
                ChangeState.SETTLED,
                actor=actor,
                reason=reason,
                now=now,
            )
            row.failures, row.not_before = 0, None
            row.claimed_by = row.claimed_until = None
            row.approved_digest = row.decided_by = row.decided_at = None
            session.add(row)

    def _under_way(self, key: str) -> tuple[dict[str, Any], ...]:
        path = self._home / CURATE_FILE
        if self._database.is_sqlite and not path.exists():
            return ()
        from agents.curate import checkpoint_store, stored_steps  # only here is langgraph needed

        if self._database.is_sqlite:
            return stored_steps(checkpoint_store(path), key)
        import psycopg

        from agents.checkpoints import postgres_checkpoints_to_read

        store = postgres_checkpoints_to_read(postgres.conninfo(self._database.url))
        try:
            return stored_steps(store, key)
        except psycopg.errors.UndefinedTable:
            return ()  # no worker has set the store up yet
