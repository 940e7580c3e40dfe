"""Backups: whole or none, proved by a restore, from one database into the other."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest
from sqlalchemy import Connection

from daemon.errors import BlobError, Conflict, NotFound
from daemon.registry.blobs import Blobs
from daemon.services import Services
from daemon.store import dump
from daemon.store.states import ChangeState
from daemon.upkeep import backup as backups
from daemon.upkeep.audit import audit
from tests.daemon_support import adapter_folder, approved, change, settings_at
from tests.databases import url_for


@pytest.fixture
def services(tmp_path: Path, database_url: str):
    with Services.open(settings_at(tmp_path / "home", database_url)) as opened:
        asyncio.run(approved(opened, [change(1), change(2)]))
        opened.registry.register(adapter_folder(tmp_path / "a"), base_model="base")
        yield opened


@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
def test_a_backup_restores_into_either_database_and_goes_on(
    services: Services, tmp_path: Path, into: str
) -> None:
    made = services.backups.create()
    assert made.adapters == 1
    assert backups.verify(made.folder) == made
    other = tmp_path / "other"
    other.mkdir()
    with Services.open(settings_at(other, url_for(into, other))) as restored:
        backups.restore(made.folder, restored.database, restored.settings.blobs)
        assert restored.review.counts() == services.review.counts()
        assert restored.registry.versions() == services.registry.versions()
        assert audit(restored).wrong == ()
        asyncio.run(approved(restored, [change(3)]))
        assert restored.review.counts() == {ChangeState.APPROVED: 3}
        with pytest.raises(Conflict, match="empty"):
            backups.restore(made.folder, restored.database, restored.settings.blobs)


def test_what_was_altered_is_not_restored(services: Services) -> None:
    made = services.backups.create()
    rows = made.folder / "rows" / "change.jsonl.gz"
    rows.write_bytes(rows.read_bytes() + b"x")
    with pytest.raises(BlobError, match="altered"):
        backups.verify(made.folder)
    rows.unlink()
    with pytest.raises(BlobError, match="missing"):
        backups.verify(made.folder)
    with pytest.raises(NotFound, match="no backup"):
        backups.verify(made.folder.parent)


def test_backups_of_a_year_leave_nothing_in_memory(services: Services) -> None:
    """Each describes the tables anew; statements over them would be kept by the hundred."""
    services.backups.create()
    with services.database.snapshot() as connection:
        kept = connection.engine._compiled_cache
    before = len(kept)
    services.backups.create()
    assert len(kept) == before


def test_only_so_many_are_kept(services: Services) -> None:
    names = [services.backups.create().folder.name for _ in range(9)]
    assert [backup.folder.name for backup in services.backups.list()] == names[-7:]


def test_an_adapter_collected_meanwhile_makes_no_backup_that_does_not_restore(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = backups._copy_blobs

    def collecting(source: Path, target: Path) -> int:
        monkeypatch.setattr(backups, "_copy_blobs", copy)
        services.registry.collect(actor="tester", older_than=dt.timedelta(days=-36500))
        assert services.registry.versions()[-1].purged_at is not None
        return copy(source, target)

    monkeypatch.setattr(backups, "_copy_blobs", collecting)
    made = services.backups.create()
    assert made.adapters == 0
    assert backups.verify(made.folder) == made


def test_a_registry_that_lost_an_adapter_is_told_and_not_backed_up_as_whole(
    services: Services,
) -> None:
    digest = str(services.registry.versions()[-1].digest)
    Blobs(services.settings.blobs).remove(digest)
    with pytest.raises(BlobError, match=f"{digest[:12]}.*almanac doctor"):
        services.backups.create()
    assert not list(services.settings.backups.glob("*"))


def test_a_backup_may_take_longer_than_a_transaction_may_idle(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[str] = []
    dumped = dump.dump

    def noting(connection: Connection, folder: Path) -> dict[str, int]:
        if connection.dialect.name == "postgresql":
            shown = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout")
            limits.append(str(shown.scalar()))
        return dumped(connection, folder)

    monkeypatch.setattr(dump, "dump", noting)
    services.backups.create()
    assert set(limits) <= {"0"}
    with services.database.snapshot() as connection:
        assert bool(limits) == (connection.dialect.name == "postgresql")
