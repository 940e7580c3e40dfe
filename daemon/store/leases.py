"""Leases with fencing tokens: one worker a resource, and a late one cannot write.

Owns the `lease` table. A worker acquires in one transaction, works outside of any, and proves in
the transaction of its result that it still holds the token. Uses the machine's time: leases are
about processes, not about the world.
"""

from __future__ import annotations

import datetime as dt

from sqlmodel import Session, select

from daemon.errors import LeaseLost
from daemon.store.rows import LeaseRow


def acquire(session: Session, resource: str, owner: str, ttl_s: float) -> int | None:
    """The token of a fresh lease, or None while somebody else's runs."""
    now = dt.datetime.now(dt.UTC)
    expires_at = now + dt.timedelta(seconds=ttl_s)
    row = session.get(LeaseRow, resource)
    if row is None:
        session.add(LeaseRow(resource=resource, token=1, owner=owner, expires_at=expires_at))
        session.flush()
        return 1
    if row.expires_at > now:
        return None
    row.token += 1
    row.owner = owner
    row.expires_at = expires_at
    session.add(row)
    return row.token


def check(session: Session, resource: str, token: int) -> None:
    """Prove the lease before writing. Raises LeaseLost when another worker has taken it since."""
    row = session.get(LeaseRow, resource)
    if row is None or row.token != token:
        raise LeaseLost(f"the lease on {resource} went to another worker; its result stands")


def release(session: Session, resource: str, token: int) -> None:
    """Give the lease back at once. Raises LeaseLost as `check`; the token stays used."""
    check(session, resource, token)
    row = session.get(LeaseRow, resource)
    assert row is not None
    row.expires_at = dt.datetime.now(dt.UTC)
    session.add(row)


def release_all(session: Session, owner: str) -> int:
    """Give back every lease of an owner that stops; their number."""
    now = dt.datetime.now(dt.UTC)
    rows = session.exec(
        select(LeaseRow).where(LeaseRow.owner == owner, LeaseRow.expires_at > now)
    ).all()
    for row in rows:
        row.token += 1  # nobody may write with the old one any more
        row.expires_at = now
        session.add(row)
    return len(rows)
