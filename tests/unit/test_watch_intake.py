"""The weekly audit: it runs once a week, says when it did not, and tells what was missed."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path

import pytest

from daemon.intake import AUDIT, Intake
from tests.daemon_support import settings_at
from tests.databases import url_for
from tests.fakes_ledger import MemoryLedger
from tests.fakes_wiki import FakeWiki, claim
from tests.unit.test_watch_classes import A_ENDED, B, Scene


class WikiClock:
    def __init__(self, wiki: FakeWiki) -> None:
        self._wiki = wiki

    def now(self) -> dt.datetime:
        return self._wiki.now


@pytest.fixture
def scene() -> Scene:
    return Scene()


def intake(scene: Scene, folder: Path) -> Intake:
    settings = settings_at(folder, url_for("sqlite", folder))
    return Intake(scene.wiki, scene.ledger, WikiClock(scene.wiki), settings)  # type: ignore[arg-type]


def kept(ledger: MemoryLedger) -> dict[str, object]:
    return json.loads(ledger.cursors[AUDIT].event_id)


def test_an_audit_runs_once_a_week_and_says_what_it_read(scene: Scene, tmp_path: Path) -> None:
    jobs = intake(scene, tmp_path)
    found = asyncio.run(jobs.audit())
    assert found is not None and (found.checked, found.missed) == (1, {})
    assert kept(scene.ledger) == {"checked": 1, "missed": {}}
    scene.wiki.now += dt.timedelta(days=6, hours=23)
    assert asyncio.run(jobs.audit()) is None
    scene.wiki.now += dt.timedelta(hours=2)
    assert asyncio.run(jobs.audit()) is not None


def test_a_base_that_is_not_what_its_revision_says_is_told_and_marked(
    scene: Scene, tmp_path: Path
) -> None:
    scene.set(A_ENDED, B)
    scene.wait(40)
    base = scene.ledger.base["Q1"]
    assert base.entity is not None
    base.entity["claims"]["P6"] = [claim("s1", "P6", "Q13")]  # as if a look had been lost
    found = asyncio.run(intake(scene, tmp_path).audit())
    assert found is not None and "P6" in found.missed["Q1"]
    assert list(kept(scene.ledger)["missed"]) == ["Q1"]  # type: ignore[call-overload]
