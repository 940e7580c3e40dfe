"""What a failure does to a row: try again later, a bounded number of times, then give it up.

Owns the count and the pauses. The reason stays with the row and in its events; other rows flow on.
"""

from __future__ import annotations

import datetime as dt
import sqlite3

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlmodel import Session

from daemon.store import postgres
from daemon.store.rows import ChangeRow, ReleaseRow
from daemon.store.states import ChangeState, ReleaseState, record_event, transition
from daemon.upkeep.disk import is_full

_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 900.0


def failed(
    session: Session,
    row: ChangeRow | ReleaseRow,
    reason: str,
    *,
    actor: str,
    now: dt.datetime,
    attempts: int,
    final: bool = False,
) -> bool:
    """Count a failure; True when the row was given up (`final`, or the last of `attempts`).

    `now` is the time of events; pauses are of the machine's time.
    """
    row.failures += 1
    row.reason = reason
    if final or row.failures >= attempts:
        to = ChangeState.FAILED if isinstance(row, ChangeRow) else ReleaseState.FAILED
        why = f"given up after {row.failures} attempts: {reason}"
        transition(session, row, to, actor=actor, reason=why, now=now)
        return True
    pause_s = min(_FIRST_PAUSE_S * 2 ** (row.failures - 1), _LONGEST_PAUSE_S)
    row.not_before = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=pause_s)
    session.add(row)
    kind = "change" if isinstance(row, ChangeRow) else "release"
    record_event(
        session,
        kind,
        row.id,
        actor=actor,
        reason=f"attempt {row.failures} of {attempts} failed: {reason}",
        now=now,
    )
    return False


def of_the_machine(error: BaseException) -> bool:
    """Whether the failure says nothing about the item: the disk is full, the database is away."""
    away = (OperationalError, InterfaceError, sqlite3.OperationalError)  # the last: checkpoints
    return isinstance(error, away) or postgres.is_of_the_server(error) or is_full(error)


def is_due(row: ChangeRow | ReleaseRow) -> bool:
    """Whether the pause after the last failure is over."""
    return row.not_before is None or row.not_before <= dt.datetime.now(dt.UTC)
