"""The database: one engine, writers that take turns, migrations at start.

Owns connections and transactions. `write()` is a transaction that excludes other writers from its
first statement (BEGIN IMMEDIATE on SQLite, an advisory lock on PostgreSQL), `read()` a consistent
snapshot. SQLite runs in WAL mode with synchronous=FULL: what was committed survives a power cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlmodel import Session

from daemon.errors import ConfigError, NewerDatabaseError

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
BUSY_TIMEOUT_S = 30.0
_WRITER = {"writer": True}
_WRITERS_LOCK = 0x414C4D
"""Key of PostgreSQL's advisory lock for the one writer at a time."""

T = TypeVar("T")


class Database:
    """An open database. Thread-safe; `close` when done."""

    def __init__(self, url: str) -> None:
        """Connects lazily. Raises ConfigError for a URL that is none."""
        parsed = _parse(url)
        self.url = url
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and parsed.database:
            _make_folder(Path(parsed.database).parent)
        arguments = {"timeout": BUSY_TIMEOUT_S} if self.is_sqlite else {}
        try:
            self._engine: Engine = create_engine(
                url, connect_args=arguments, pool_pre_ping=not self.is_sqlite
            )
        except ArgumentError as error:  # an unknown dialect, or options that it does not take
            raise ConfigError(f"database.url cannot be used: {error}") from None
        except ImportError as error:
            raise ConfigError(
                f"database.url names {parsed.drivername}, whose driver is not installed: {error}"
            ) from None
        if self.is_sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        else:
            event.listen(self._engine, "begin", _begin_server)
        self._writers: Engine = self._engine.execution_options(**_WRITER)

    @classmethod
    def open(cls, url: str) -> Database:
        """Connect and migrate to the newest schema. Raises NewerDatabaseError, ConfigError."""
        database = cls(url)
        try:
            database.migrate()
        except DatabaseError as error:
            database.close()
            if not isinstance(error, OperationalError) and type(error) is not DatabaseError:
                raise  # a migration that is wrong, not a database that is none
            raise ConfigError(
                f"the database {database.shown_url} cannot be opened: {error.orig}; mend or move "
                "it, or name another with home or database.url"
            ) from None
        except BaseException:
            database.close()
            raise
        return database

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return self._engine.url.render_as_string(hide_password=True)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A writing transaction: committed at the end, rolled back on any exception."""
        with Session(self._writers, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A snapshot. What is changed through it is lost."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    async def writing(self, work: Callable[[Session], T]) -> T:
        """`work` in a writing transaction, off the event loop."""
        return await asyncio.to_thread(self._in, self.write, work)

    async def reading(self, work: Callable[[Session], T]) -> T:
        """`work` on a snapshot, off the event loop."""
        return await asyncio.to_thread(self._in, self.read, work)

    @staticmethod
    def _in(scope: Callable[[], Any], work: Callable[[Session], T]) -> T:
        with scope() as session:
            return work(session)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A bare writing connection, for migrations and their test."""
        with self._writers.connect() as connection, connection.begin():
            yield connection

    def migrate(self) -> None:
        """Apply what is missing, one process at a time. Raises NewerDatabaseError."""
        with self.connection() as connection:
            here = _schema_of(connection)
            if here == _newest_schema():
                return
            _upgrade(connection, here)


def _schema_of(connection: Connection) -> str | None:
    """The revision that the database is at; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _newest_schema() -> str:
    """The newest revision: its number begins the name of its file."""
    files = sorted((MIGRATIONS / "versions").glob("[0-9]*.py"))
    return files[-1].name.partition("_")[0]


def _upgrade(connection: Connection, here: str | None) -> None:
    from alembic import command  # a database that is up to date needs none of it
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    if here is not None and here not in {s.revision for s in scripts.walk_revisions()}:
        raise NewerDatabaseError(
            f"the database is at schema {here}, which this Almanac does not know (newest: "
            f"{scripts.get_current_head()}); start the version that wrote it, or name another "
            "database"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise ConfigError("database.url is no SQLAlchemy URL, e.g. sqlite:///almanac.db") from None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the database's folder {folder} cannot be made: {error.strerror}"
        ) from None


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
    cursor.close()


def _begin_server(connection: Connection) -> None:
    """Writers of one database take turns here too: the audit trail is one chain."""
    if connection.get_execution_options().get("writer", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")


def _begin_sqlite(connection: Connection) -> None:
    writer = connection.get_execution_options().get("writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")
