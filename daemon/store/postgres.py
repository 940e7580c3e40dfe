"""PostgreSQL under the store: what has to be said to it so that it means what SQLite means.

Owns the driver's name, the options of a connection, and how a transaction begins. Writers take one
advisory lock at their first statement, so that they exclude each other as they do on SQLite; every
statement after it sees what was committed before. Readers are REPEATABLE READ: one snapshot. Owns
no tables and no migrations.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Connection
from sqlalchemy.exc import DatabaseError

BACKEND = "postgresql"
WRITER_LOCK = 0x416C6D61
"""Key of the advisory lock that writers hold until they commit."""
_IDLE_S = 60.0
"""A writer that stopped answering inside a transaction loses it, and with it the lock."""
_CONNECT_S = 10


def with_driver(url: URL) -> URL:
    """`postgres://` and `postgresql://` mean psycopg 3 here."""
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    return url


def conninfo(url: str) -> str:
    """The URL as libpq takes it, for connections that SQLAlchemy does not make."""
    from sqlalchemy import make_url

    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def engine_options(lock_timeout_s: float) -> dict[str, Any]:
    """Arguments of `create_engine`. A connection that a restart of the server has cut is noticed
    when it is taken from the pool."""
    session = (
        f"-c lock_timeout={int(lock_timeout_s * 1000)} "
        f"-c idle_in_transaction_session_timeout={int(_IDLE_S * 1000)} "
        "-c timezone=UTC"
    )
    return {
        "pool_pre_ping": True,
        "pool_size": 10,
        "max_overflow": 20,
        "isolation_level": "REPEATABLE READ",
        "connect_args": {
            "options": session,
            "connect_timeout": _CONNECT_S,
            "application_name": "almanac",
            "keepalives_idle": 30,
        },
    }


def is_away(error: DatabaseError) -> bool:
    """Whether nobody answered, or a server that starts or stops, rather than one that refuses."""
    why = str(error.orig)  # libpq gives no code for a connection that was not made
    return "FATAL" not in why or "the database system is " in why


def is_of_the_server(error: BaseException) -> bool:
    """Whether a connection that SQLAlchemy did not make (checkpoints, the leader's lock) failed for
    a reason that lies with the server."""
    try:
        import psycopg  # with PostgreSQL alone it is installed
    except ImportError:
        return False
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))


def take_time(connection: Connection) -> None:
    """Let this transaction wait for its client: a reader that writes to a slow disk between two
    portions holds nobody up."""
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


def begin(connection: Connection) -> None:
    """The first statement of a transaction, by what it is for."""
    if not connection.get_execution_options().get("writer", False):
        return
    # After the lock is had, each statement must see what the writer before has committed.
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
