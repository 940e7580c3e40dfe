"""Backups: whole or none, proved by a restore, from one database into the other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.errors import BlobError, Conflict, NotFound
from daemon.services import Services
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
