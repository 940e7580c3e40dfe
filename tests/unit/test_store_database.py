"""The database: migrations add up to the models, pragmas hold, writers take turns."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from daemon.errors import ConfigError, NewerDatabaseError
from daemon.store.engine import Database
from daemon.store.rows import CursorRow, EventRow

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def database(tmp_path: Path):
    opened = Database.open(f"sqlite:///{tmp_path / 'almanac.db'}")
    yield opened
    opened.close()


def test_the_migrations_add_up_to_the_models(database: Database) -> None:
    with database.connection() as connection:
        assert SQLModel.metadata.tables
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []


def test_sqlite_is_opened_durable(database: Database) -> None:
    with database.read() as session:
        assert session.exec(text("PRAGMA journal_mode")).scalar() == "wal"  # type: ignore[call-overload]
        assert session.exec(text("PRAGMA synchronous")).scalar() == 2  # type: ignore[call-overload]
        assert session.exec(text("PRAGMA foreign_keys")).scalar() == 1  # type: ignore[call-overload]


def test_opening_twice_is_harmless(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'almanac.db'}"
    Database.open(url).close()
    Database.open(url).close()


def test_a_database_of_a_newer_version_is_refused_in_one_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'almanac.db'}"
    database = Database.open(url)
    with database.write() as session:
        session.exec(text("UPDATE alembic_version SET version_num = '9999'"))  # type: ignore[call-overload]
    database.close()
    with pytest.raises(NewerDatabaseError, match="schema 9999") as caught:
        Database.open(url)
    assert "\n" not in str(caught.value)


def test_a_url_that_is_none_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"database\.url"):
        Database("no url")


def test_times_come_back_aware_and_naive_ones_are_refused(database: Database) -> None:
    local = NOW.astimezone(dt.timezone(dt.timedelta(hours=2)))
    with database.write() as session:
        session.add(CursorRow(stream="s", event_id="1", event_time=local, committed_at=NOW))
    with database.read() as session:
        row = session.get(CursorRow, "s")
        assert row is not None
        assert row.event_time == NOW
        assert row.event_time.tzinfo is dt.UTC
    with pytest.raises(Exception, match="no offset"), database.write() as session:
        naive = NOW.replace(tzinfo=None)
        session.add(CursorRow(stream="n", event_id="1", event_time=naive, committed_at=NOW))


def test_an_exception_rolls_everything_back(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as session:
        session.add(CursorRow(stream="s", event_id="1", event_time=NOW, committed_at=NOW))
        session.flush()
        raise RuntimeError
    with database.read() as session:
        assert session.get(CursorRow, "s") is None


@pytest.mark.parametrize("statement", ["UPDATE event SET actor = 'x'", "DELETE FROM event"])
def test_the_audit_trail_cannot_be_altered(database: Database, statement: str) -> None:
    with database.write() as session:
        session.add(EventRow(at=NOW, entity="e", entity_id="1", actor="a", reason="r", data={}))
    with pytest.raises(IntegrityError, match="append-only"), database.write() as session:
        session.exec(text(statement))  # type: ignore[call-overload]


def test_writers_take_turns(database: Database) -> None:
    """Read-modify-write from eight threads loses no update."""
    with database.write() as session:
        session.add(CursorRow(stream="s", event_id="0", event_time=NOW, committed_at=NOW))

    def add_ten() -> None:
        for _ in range(10):
            with database.write() as session:
                row = session.get(CursorRow, "s")
                assert row is not None
                row.event_id = str(int(row.event_id) + 1)
                session.add(row)

    threads = [threading.Thread(target=add_ten) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        row = session.get(CursorRow, "s")
        assert row is not None and row.event_id == "80"
