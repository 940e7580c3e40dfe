"""What a database that fails says of it, for people: one line, and what to do next.

Owns the wording, and telling a database that others keep busy from one that is broken. What a
failure means for the work that met it is its caller's to decide.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError

_BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_LOCK_NOT_AVAILABLE = "55P03"
_CUT = ("08", "57P")
"""Classes of PostgreSQL's codes: the connection failed, the server was shut down."""


def is_busy(error: DBAPIError) -> bool:
    """Whether other processes held it for longer than a writer waits."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # above are details of the same code
    return code in _BUSY_CODES or getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def is_of_the_database(error: DBAPIError) -> bool:
    """Whether the database failed, rather than a statement of ours being wrong."""
    return isinstance(error, (OperationalError, InterfaceError)) or type(error) is DatabaseError


def _is_cut(error: DBAPIError) -> bool:
    """Whether the connection to a server ended; where that was noticed here, there is no code."""
    code = getattr(error.orig, "sqlstate", "")
    return code is None or code.startswith(_CUT)


def reason(error: DBAPIError) -> str:
    """What the driver said, on one line, without statement and parameters."""
    return " ".join(str(error.orig).split())


def told(error: DBAPIError) -> str:
    """A failure of the database with what to do next."""
    why = reason(error)
    if is_busy(error):
        return f"the database is kept busy by another process ({why}); try again"
    if _is_cut(error):
        return f"the database's server has gone away ({why}); try again when it is back"
    return f"the database failed: {why}; `almanac doctor` says more"
