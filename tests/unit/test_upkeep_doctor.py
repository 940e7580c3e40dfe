"""What crashes leave behind is found by the doctor, and gone after a repair; the rest stays."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from daemon.services import Services
from daemon.upkeep import leavings
from tests.daemon_support import adapter_folder, settings_at
from tests.databases import url_for

HOURS_AGO = time.time() - 3 * 3600


@pytest.fixture
def services(tmp_path: Path):
    with Services.open(settings_at(tmp_path, url_for("sqlite", tmp_path))) as opened:
        yield opened


def aged(path: Path) -> Path:
    os.utime(path, (HOURS_AGO, HOURS_AGO))
    return path


def left_behind(services: Services, tmp_path: Path) -> list[Path]:
    """One of everything that a crash may leave."""
    settings = services.settings
    orphan = services.blobs.add(adapter_folder(tmp_path / "made", seed=7))
    paths = [
        services.blobs.path(orphan.digest),
        settings.blobs / "tmp" / "half",
        settings.backups / "almanac-20260101T000000000Z.part",
        settings.job_folder / "evaluate-000001-aa" / "result.part",
    ]
    for path in paths[1:]:
        path.mkdir(parents=True)
        (path / "file").write_text("half")
    announcement = settings.home / leavings.ANNOUNCEMENT
    announcement.write_text(json.dumps({"pid": 2**22 + 1, "url": "http://127.0.0.1:1"}))
    for path in paths:
        aged(path)
    return [*paths, announcement]


def test_a_repair_removes_what_crashes_left_and_nothing_else(
    services: Services, tmp_path: Path
) -> None:
    kept = services.registry.register(adapter_folder(tmp_path / "good"), base_model="base")
    assert kept.digest is not None
    aged(services.blobs.path(kept.digest))
    paths = left_behind(services, tmp_path)
    told = leavings.look(services)
    for what in ("adapters", "half-written", "backups", "results", "announcements"):
        assert what in told
    assert "doctor --repair" in told and all(path.exists() for path in paths)
    assert leavings.look(services, repair=True).startswith("removed: ")
    assert not any(path.exists() for path in paths)
    assert leavings.look(services) == "nothing is left over"
    services.registry.verify(kept.digest)


def test_what_somebody_may_be_at_work_on_stays(services: Services) -> None:
    fresh = services.settings.blobs / "tmp" / "half"
    fresh.mkdir(parents=True)
    mine = services.settings.home / leavings.ANNOUNCEMENT
    mine.write_text(json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:1"}))
    assert leavings.look(services, repair=True) == "nothing is left over"
    assert fresh.exists() and mine.exists()
