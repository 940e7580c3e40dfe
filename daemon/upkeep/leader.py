"""Which process leads: one over all machines that work on one database.

Owns the lock (a file's with SQLite, an advisory one with PostgreSQL, both gone with their process)
and the `leader` lease, whose token fences what a former leader still writes. Intake and timetable
are the leader's; drafting and jobs are everybody's.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
from pathlib import Path
from typing import IO, Any, Protocol

import structlog
from sqlmodel import Session

from daemon.errors import LeaseLost
from daemon.store import leases, postgres
from daemon.store.engine import Database
from daemon.store.rows import LeaseRow

RESOURCE = "leader"
TTL_S = 30.0
_LOCK_FILE = "leader.lock"
_LOCK_KEY = 0x4C656164
_NETWORK_S = 10

log = structlog.get_logger()


class _Lock(Protocol):
    """Exclusive over all processes, and gone when this one ends, however that happens."""

    def take(self) -> bool: ...

    def held(self) -> bool: ...

    def drop(self) -> None: ...


class Leadership:
    """This process's standing for the lead. Blocking calls, from one thread at a time."""

    def __init__(self, database: Database, home: Path, owner: str) -> None:
        self._database = database
        self._owner = owner
        self._lock: _Lock = (
            _FileLock(home / _LOCK_FILE)
            if database.is_sqlite
            else _AdvisoryLock(postgres.conninfo(database.url))
        )
        self._token: int | None = None

    @property
    def leads(self) -> bool:
        """As of the last `stand`."""
        return self._token is not None

    def stand(self) -> bool:
        """Take the lead if nobody has it, or prove that it is still ours; whether it is."""
        try:
            if self._token is not None and self._lock.held():
                with self._database.write() as session:
                    leases.renew(session, RESOURCE, self._token, TTL_S)
                return True
            if self._token is not None:
                log.warning("leader.lost", owner=self._owner)
                self._token = None
            if not self._lock.take():
                return False
            with self._database.write() as session:
                self._token = _seize(session, self._owner)
            log.info("leader.elected", owner=self._owner, token=self._token)
            return True
        except LeaseLost:
            log.warning("leader.fenced", owner=self._owner)
        except Exception as error:  # the database is away: nobody leads without it
            log.warning("leader.unknown", reason=str(error))
        self._token = None
        self._lock.drop()
        return False

    def check(self, session: Session) -> None:
        """Prove the lead in the transaction of a write. Raises LeaseLost."""
        if self._token is None:
            raise LeaseLost("this process does not lead any more; the one that does goes on")
        leases.check(session, RESOURCE, self._token)

    def give_up(self) -> None:
        """At the end: the next one need not wait."""
        if self._token is not None:
            try:
                with self._database.write() as session:
                    leases.release(session, RESOURCE, self._token)
            except Exception as error:  # it ends by itself
                log.info("leader.not_released", reason=str(error))
            self._token = None
        self._lock.drop()


def _seize(session: Session, owner: str) -> int:
    """The lease, from whoever has it: the lock says that he does not lead any more."""
    row = session.get(LeaseRow, RESOURCE)
    if row is not None:
        row.expires_at = dt.datetime.now(dt.UTC)
        session.add(row)
    token = leases.acquire(session, RESOURCE, owner, TTL_S)
    assert token is not None
    return token


class _FileLock:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: IO[str] | None = None

    def take(self) -> bool:
        if self._handle is not None:
            return True
        handle = self._path.open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return False
        self._handle = handle
        return True

    def held(self) -> bool:
        return self._handle is not None

    def drop(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


class _AdvisoryLock:
    """Lives as long as its connection, which a restart of the server ends."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: Any = None

    def take(self) -> bool:
        import psycopg

        if self._connection is None:
            self._connection = psycopg.connect(
                self._conninfo,
                autocommit=True,
                connect_timeout=_NETWORK_S,
                application_name="almanac-leader",
                tcp_user_timeout=_NETWORK_S * 1000,
                options="-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5",
            )
        row = self._connection.execute(f"SELECT pg_try_advisory_lock({_LOCK_KEY})").fetchone()
        return bool(row[0])

    def held(self) -> bool:
        import psycopg

        try:
            self._connection.execute("SELECT 1")
        except (psycopg.Error, AttributeError):
            self.drop()
            return False
        return True

    def drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):  # at once, where the server still listens
                self._connection.execute("SELECT pg_advisory_unlock_all()")
            self._connection.close()
            self._connection = None
