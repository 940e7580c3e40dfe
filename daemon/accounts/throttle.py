"""Slowing down whoever guesses passwords: by name and by address, longer with each failure."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence

from sqlmodel import Session

from daemon.errors import Throttled
from daemon.store.account_rows import LoginFailureRow

FREE = 5
"""Failures without a wait."""
_FIRST_WAIT_S = 2.0
_LONGEST_WAIT_S = 900.0
_FORGOTTEN_AFTER_S = 3600.0


def wait_s(failures: int) -> float:
    """How long the next try has to wait after so many failures."""
    if failures < FREE:
        return 0.0
    return min(_FIRST_WAIT_S * 2 ** min(failures - FREE, 20), _LONGEST_WAIT_S)


def check(session: Session, keys: Sequence[str], now: dt.datetime) -> None:
    """Raises Throttled while one of the keys has to wait."""
    for key in keys:
        row = session.get(LoginFailureRow, key)
        if row is None:
            continue
        left = wait_s(row.failures) - (now - row.last_at).total_seconds()
        if left > 0:
            raise Throttled(f"too many failed logins; try again in {math.ceil(left)} s", left)


def note_failure(session: Session, keys: Sequence[str], now: dt.datetime) -> None:
    for key in keys:
        row = session.get(LoginFailureRow, key) or LoginFailureRow(key=key, failures=0, last_at=now)
        if (now - row.last_at).total_seconds() > _FORGOTTEN_AFTER_S:
            row.failures = 0
        row.failures, row.last_at = row.failures + 1, now
        session.add(row)


def forgive(session: Session, keys: Sequence[str]) -> None:
    for key in keys:
        row = session.get(LoginFailureRow, key)
        if row is not None:
            session.delete(row)
