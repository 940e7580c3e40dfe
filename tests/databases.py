"""Databases for tests: a SQLite file, or a database of its own in one PostgreSQL server a session.

The server is started when the first test asks for it. Each test gets a copy of a migrated template,
which is faster than migrating anew.
"""

from __future__ import annotations

import itertools
import logging
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from daemon.store.engine import Database

BACKENDS = ("sqlite", "postgresql")
_TEMPLATE = "migrated"
logging.getLogger("pgserver").setLevel(logging.ERROR)  # it tells every command that it runs


def url_for(backend: str, folder: Path) -> str:
    """A fresh database: migrated on PostgreSQL, not there yet on SQLite."""
    if backend == "sqlite":
        return f"sqlite:///{folder / 'almanac.db'}"
    return PostgresServer.shared().fresh()


class PostgresServer:
    """A PostgreSQL of this process, in a folder of its own, without fsync."""

    _shared: PostgresServer | None = None

    def __init__(self, *, durable: bool = False) -> None:
        self.folder = tempfile.mkdtemp(prefix="almanac-pg-")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it remarks on the machine's runtime folder
            import pgserver

            self._server: Any = pgserver.get_server(self.folder, cleanup_mode="stop")
        self._numbers = itertools.count(1)
        self._has_template = False
        if not durable:
            self._make_fast()

    @classmethod
    def shared(cls) -> PostgresServer:
        if cls._shared is None:
            cls._shared = cls()
        return cls._shared

    @classmethod
    def close_shared(cls) -> None:
        """At the end of the session, before its streams are closed."""
        if cls._shared is not None:
            cls._shared.close()
            cls._shared = None

    def url(self, database: str) -> str:
        return str(self._server.get_uri(database=database))

    def fresh(self) -> str:
        """The URL of a new database with the newest schema."""
        with self._admin() as admin:
            if not self._has_template:
                self._make_template(admin)
            name = f"test_{next(self._numbers)}"
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                    sql.Identifier(name), sql.Identifier(_TEMPLATE)
                )
            )
        return self.url(name)

    def empty(self) -> str:
        """The URL of a new database without any table."""
        name = f"test_{next(self._numbers)}"
        with self._admin() as admin:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def cut_connections(self) -> None:
        """What a restart of the server does to its clients."""
        with self._admin() as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )

    def close(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url("postgres"), autocommit=True)

    def _make_template(self, admin: psycopg.Connection[Any]) -> None:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
        Database.open(self.url(_TEMPLATE)).close()
        self._has_template = True

    def _make_fast(self) -> None:
        with self._admin() as admin:
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                admin.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name)))
            admin.execute("SELECT pg_reload_conf()")
