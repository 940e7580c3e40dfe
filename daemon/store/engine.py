"""The database: one engine, writers that take turns, migrations at start.

Owns connections and transactions. `write()` is a transaction that excludes other writers from its
first statement, `read()` a consistent snapshot; both mean the same on SQLite and on PostgreSQL, so
nothing above this module asks which of them it works on. What is particular to PostgreSQL is in
`daemon.store.postgres`. SQLite runs in WAL mode with synchronous=FULL: what was committed survives
a power cut.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlmodel import Session

from daemon.errors import ConfigError, DatabaseAway, NewerDatabaseError
from daemon.store import postgres, trouble
from daemon.store.shared_read import SharedRead

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
BUSY_TIMEOUT_S = 30.0
SERVER_PATIENCE_S = 150.0
"""A service that is started before its database's server waits so long, then ends and is started
again: within `TimeoutStartSec` of the unit."""
_ASK_AGAIN_S = 1.0
_WRITER = {"writer": True}
_SHARED: ContextVar[SharedRead | None] = ContextVar("shared_read", default=None)

log = structlog.get_logger()

T = TypeVar("T")


class Database:
    """An open database. Thread-safe; `close` when done."""

    def __init__(self, url: str) -> None:
        """Connects lazily. Raises ConfigError for a URL that is none."""
        parsed = postgres.with_driver(_parse(url))
        self.url = url
        backend = parsed.get_backend_name()
        self.is_sqlite = backend == "sqlite"
        if not self.is_sqlite and backend != postgres.BACKEND:
            raise ConfigError(
                f"database.url cannot be used: it names {backend}, and Almanac keeps its data in "
                "SQLite or PostgreSQL"
            )
        if self.is_sqlite and parsed.database:
            _make_folder(Path(parsed.database).parent)
        options: dict[str, Any] = (
            {"connect_args": {"timeout": BUSY_TIMEOUT_S}}
            if self.is_sqlite
            else postgres.engine_options(BUSY_TIMEOUT_S)
        )
        try:
            self._engine: Engine = create_engine(parsed, **options)
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
            event.listen(self._engine, "begin", postgres.begin)
        self._writers: Engine = self._engine.execution_options(**_WRITER)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        before_upgrade: Callable[[Database], None] | None = None,
        patience_s: float = 0.0,
    ) -> Database:
        """Connect and migrate to the newest schema, waiting up to `patience_s` seconds for a server
        that does not answer. Raises NewerDatabaseError, ConfigError; of those DatabaseAway.

        `before_upgrade` is called with the database as it is when an older schema is about to be
        upgraded: the place of a backup. When it raises, nothing is upgraded.
        """
        until = time.monotonic() + patience_s
        while True:
            try:
                return cls._open(url, before_upgrade)
            except DatabaseAway as error:
                if time.monotonic() >= until:
                    raise
                log.warning("database.away", reason=str(error))
                time.sleep(_ASK_AGAIN_S)

    @classmethod
    def _open(cls, url: str, before_upgrade: Callable[[Database], None] | None) -> Database:
        database = cls(url)
        try:
            if before_upgrade is not None and database.is_older():
                before_upgrade(database)
            database.migrate()
        except DatabaseError as error:
            database.close()
            if not trouble.is_of_the_database(error) or trouble.is_busy(error):
                raise  # a migration that is wrong, or a wait that was too long: no setting is
            why = trouble.reason(error)
            if not database.is_sqlite and postgres.is_away(error):
                raise DatabaseAway(
                    f"the server of {database.shown_url} does not answer: {why}; start it, or name "
                    "another with database.url"
                ) from None
            raise ConfigError(
                f"the database {database.shown_url} cannot be opened: {why}; mend or move "
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
        shared = self._shared()
        if shared is not None:
            shared.renew()
        try:
            with Session(self._writers, expire_on_commit=False) as session, session.begin():
                yield session
        finally:
            if shared is not None:
                shared.renew()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A snapshot. What is changed through it is lost."""
        shared = self._shared()
        if shared is not None:
            with shared.take() as session:
                if session is not None:
                    yield session
                    return
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def sharing(self) -> Iterator[SharedRead]:
        """Within it, and in threads that are started with its context, reads see one snapshot over
        one connection, until something is written or `end` is called on what this gives."""
        shared = SharedRead(self._engine)
        token = _SHARED.set(shared)
        try:
            yield shared
        finally:
            _SHARED.reset(token)
            shared.end()

    def _shared(self) -> SharedRead | None:
        shared = _SHARED.get()
        return shared if shared is not None and shared.is_of(self._engine) else None

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
    def snapshot(self, *, unhurried: bool = False) -> Iterator[Connection]:
        """A bare reading connection: one consistent state over all its statements. It may do
        something else between two of them for as long as it likes when it is `unhurried`."""
        with self._engine.connect() as connection, connection.begin():
            if unhurried and not self.is_sqlite:
                postgres.take_time(connection)
            yield connection

    def ping(self) -> None:
        """Raises when the database does not answer."""
        with self.snapshot() as connection:
            connection.exec_driver_sql("SELECT 1")

    def schema(self) -> str | None:
        """The revision that the database is at; None for an empty one."""
        with self.snapshot() as connection:
            return self.schema_of(connection)

    def is_older(self) -> bool:
        """Whether it holds a schema that an upgrade would change."""
        here = self.schema()
        known = {path.name.partition("_")[0] for path in MIGRATIONS.glob("versions/[0-9]*.py")}
        return here in known and here != _newest_schema()

    @staticmethod
    def schema_of(connection: Connection) -> str | None:
        return _schema_of(connection)

    @staticmethod
    def head() -> str:
        """The newest revision that this Almanac knows."""
        return _newest_schema()

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A bare connection outside any transaction, for what PostgreSQL does in none (VACUUM)."""
        with self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A bare writing connection, for migrations and their test."""
        with self._writers.connect() as connection, connection.begin():
            yield connection

    def migrate(self) -> None:
        """Apply what is missing, one process at a time. Raises NewerDatabaseError."""
        if self.schema() == _newest_schema():
            return  # the usual case: a command that reads does not wait for those who write
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


def _begin_sqlite(connection: Connection) -> None:
    writer = connection.get_execution_options().get("writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")
