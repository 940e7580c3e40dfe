"""Leases with fencing tokens: one worker a resource, and a late one cannot write.

Owns the `lease` table. A worker acquires in one transaction, works outside of any, and proves in
the transaction of its result that it still holds the token. `kept` renews while the work goes on,
so a lease is short and the work may be long. Uses the machine's time: leases are about processes,
not about the world.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from sqlmodel import Session, col, select

from daemon.errors import LeaseLost
from daemon.store.engine import Database
from daemon.store.rows import LeaseRow

_RENEWALS = 3
"""Attempts to renew within the life of a lease."""

log = structlog.get_logger()


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
    if row.held:
        row.crashes += 1  # it ran out unreturned: whoever held it ended at work
    row.held = True
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


def renew(session: Session, resource: str, token: int, ttl_s: float) -> None:
    """Hold it for `ttl_s` more seconds. Raises LeaseLost as `check`."""
    check(session, resource, token)
    row = session.get(LeaseRow, resource)
    assert row is not None
    row.expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=ttl_s)
    session.add(row)


@asynccontextmanager
async def kept(database: Database, resource: str, token: int, ttl_s: float) -> AsyncIterator[None]:
    """Renew the lease for as long as the body runs. A lease that is lost is only logged here: the
    transaction of the result is where it counts."""

    async def renewing() -> None:
        while True:
            await asyncio.sleep(ttl_s / _RENEWALS)
            try:
                await database.writing(lambda session: renew(session, resource, token, ttl_s))
            except LeaseLost:
                log.warning("lease.lost", resource=resource)
                return
            except Exception as error:  # the database is away: the next attempt may be in time
                log.warning("lease.not_renewed", resource=resource, reason=str(error))

    task = asyncio.create_task(renewing())
    try:
        yield
    finally:
        task.cancel()


def crashes(session: Session, resource: str) -> int:
    """Workers that ended, one after the other, at work on it; 0 after any that returned."""
    row = session.get(LeaseRow, resource)
    return row.crashes if row else 0


def holder(session: Session, resource: str) -> LeaseRow | None:
    """The lease, when somebody holds it now."""
    row = session.get(LeaseRow, resource)
    now = dt.datetime.now(dt.UTC)
    return row if row is not None and row.held and row.expires_at > now else None


def release(session: Session, resource: str, token: int) -> None:
    """Give the lease back at once. Raises LeaseLost as `check`; the token stays used."""
    check(session, resource, token)
    row = session.get(LeaseRow, resource)
    assert row is not None
    row.expires_at = dt.datetime.now(dt.UTC)
    row.held, row.crashes = False, 0
    session.add(row)


def release_all(session: Session, owner: str) -> int:
    """Take back every lease that an owner left when it ended; their number."""
    now = dt.datetime.now(dt.UTC)
    rows = session.exec(
        select(LeaseRow).where(
            LeaseRow.owner == owner, LeaseRow.expires_at > now, col(LeaseRow.held).is_(True)
        )
    ).all()
    for row in rows:
        row.token += 1  # nobody may write with the old one any more
        row.expires_at = now
        row.held = False
        row.crashes += 1
        session.add(row)
    return len(rows)
