"""The database: migrations add up to the models, pragmas hold, writers take turns."""

from __future__ import annotations

import datetime as dt
import threading
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import SQLModel, select

from daemon.errors import ConfigError, DatabaseAway, NewerDatabaseError
from daemon.store.engine import Database
from daemon.store.rows import CursorRow, EventRow
from tests.databases import PostgresServer, url_for

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def database(database_url: str):
    opened = Database.open(database_url)
    yield opened
    opened.close()


def test_the_migrations_add_up_to_the_models(database: Database) -> None:
    with database.connection() as connection:
        assert SQLModel.metadata.tables
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []


def test_sqlite_is_opened_durable(tmp_path: Path) -> None:
    database = Database.open(url_for("sqlite", tmp_path))
    with database.read() as session:
        assert session.exec(text("PRAGMA journal_mode")).scalar() == "wal"  # type: ignore[call-overload]
        assert session.exec(text("PRAGMA synchronous")).scalar() == 2  # type: ignore[call-overload]
        assert session.exec(text("PRAGMA foreign_keys")).scalar() == 1  # type: ignore[call-overload]
    database.close()


def test_opening_twice_is_harmless(database_url: str) -> None:
    Database.open(database_url).close()
    Database.open(database_url).close()


def test_two_that_start_at_once_migrate_once() -> None:
    url = PostgresServer.shared().empty()
    threads = [threading.Thread(target=lambda: Database.open(url).close()) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database = Database.open(url)
    with database.read() as session:
        assert session.exec(text("SELECT count(*) FROM alembic_version")).scalar() == 1  # type: ignore[call-overload]
    database.close()


def test_a_database_of_a_newer_version_is_refused_in_one_line(database_url: str) -> None:
    url = database_url
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
    with pytest.raises(ConfigError, match="SQLite or PostgreSQL"):
        Database("mysql://127.0.0.1/almanac")


def test_a_server_that_does_not_answer_is_told_in_one_line_without_the_password() -> None:
    with pytest.raises(DatabaseAway, match="does not answer") as caught:
        Database.open("postgresql://me:secret@127.0.0.1:9/almanac")
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_service_waits_for_a_server_that_is_away_but_not_for_one_that_refuses() -> None:
    began = time.monotonic()
    with pytest.raises(DatabaseAway, match="does not answer"):
        Database.open("postgresql://me@127.0.0.1:9/almanac", patience_s=1.5)
    assert time.monotonic() - began >= 1.5
    refused = PostgresServer.shared().url("there_is_none_such")
    began = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        Database.open(refused, patience_s=30.0)
    assert not isinstance(caught.value, DatabaseAway)
    assert time.monotonic() - began < 15


def test_a_reader_sees_one_state_while_others_write(database: Database) -> None:
    with database.write() as session:
        session.add(CursorRow(stream="s", event_id="1", event_time=NOW, committed_at=NOW))
    with database.read() as session:
        before = session.exec(select(CursorRow.event_id)).one()
        with database.write() as other:
            row = other.get(CursorRow, "s")
            assert row is not None
            row.event_id = "2"
            other.add(row)
        assert (before, session.exec(select(CursorRow.event_id)).one()) == ("1", "1")
    with database.read() as session:
        assert session.exec(select(CursorRow.event_id)).one() == "2"


def test_a_restart_of_the_server_costs_no_more_than_the_running_transaction() -> None:
    server = PostgresServer.shared()
    database = Database.open(server.fresh())
    with database.read() as session:
        session.exec(text("SELECT 1"))  # type: ignore[call-overload]
    with pytest.raises(OperationalError), database.write() as session:
        session.add(CursorRow(stream="s", event_id="1", event_time=NOW, committed_at=NOW))
        session.flush()
        server.cut_connections()
    with database.write() as session:
        session.add(CursorRow(stream="s", event_id="2", event_time=NOW, committed_at=NOW))
    with database.read() as session:
        row = session.get(CursorRow, "s")
        assert row is not None and row.event_id == "2"
    database.close()


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
