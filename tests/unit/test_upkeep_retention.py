"""What is old is thrown away by the clock that Almanac lives in; what is on its way stays."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from daemon.clock import FileClock
from daemon.sections import ClockKind, ClockSettings
from daemon.services import Services
from daemon.store.answers import SqlAnswers
from daemon.store.rows import NotificationRow, ReleaseRow
from daemon.store.states import ReleaseState
from daemon.upkeep.retention import clean
from knowledge.model import Generation
from tests.daemon_support import settings_at
from tests.databases import url_for

THEN = dt.datetime(2031, 3, 1, tzinfo=dt.UTC)
"""Years from the machine's own time: nothing may be old, or young, by that."""


@pytest.fixture
def clock(tmp_path: Path) -> FileClock:
    made = FileClock(tmp_path / "clock")
    made.set(THEN)
    return made


@pytest.fixture
def services(tmp_path: Path, clock: FileClock):
    lived = ClockSettings(kind=ClockKind.FILE, path=tmp_path / "clock")
    settings = settings_at(tmp_path / "home", url_for("sqlite", tmp_path), clock=lived)
    with Services.open(settings) as opened:
        yield opened


def job(services: Services, name: str) -> Path:
    folder = services.settings.job_folder / name
    folder.mkdir(parents=True)
    (folder / "job.json").write_text("{}")
    return folder


def release(services: Services, state: ReleaseState, at: dt.datetime) -> int:
    row = ReleaseRow(
        state=state, batch_digest="b", recipe="r", seed=0, created_at=at, updated_at=at
    )
    with services.database.write() as session:
        session.add(row)
        session.flush()
        return row.id or 0


def test_folders_go_a_month_after_their_release_ended(services: Services, clock: FileClock) -> None:
    ended = release(services, ReleaseState.PROMOTED, THEN)
    on_its_way = release(services, ReleaseState.TRAINING, THEN)
    old = [job(services, f"{kind}-{ended:06}-abc") for kind in ("train", "evaluate")]
    kept = job(services, f"train-{on_its_way:06}-abc")
    clock.set(THEN + dt.timedelta(days=29))
    assert clean(services) == "0 rows and 0 job folders thrown away"
    clock.set(THEN + dt.timedelta(days=31))
    assert clean(services) == "0 rows and 2 job folders thrown away"
    assert not any(folder.exists() for folder in old) and kept.exists()


def test_an_evaluation_by_hand_goes_when_nobody_has_written_to_it(services: Services) -> None:
    old, fresh = (job(services, f"eval-{name}-base-default") for name in ("old", "fresh"))
    a_month_ago = dt.datetime.now(dt.UTC).timestamp() - 31 * 86400
    for path in [*old.iterdir(), old]:
        os.utime(path, (a_month_ago, a_month_ago))
    assert clean(services) == "0 rows and 1 job folders thrown away"
    assert fresh.exists() and not old.exists()


def test_answers_and_sent_messages_age_by_the_clock(services: Services, clock: FileClock) -> None:
    answers = SqlAnswers(services.database, clock)
    answers.put("model", 16, {"asked": Generation(text="said", tokens=1, finished=True)})
    with services.database.write() as session:
        for key, sent in (("sent", THEN), ("waits", None)):
            told = {"channel": "mail", "kind": "verdict", "subject": "", "body": {}}
            session.add(NotificationRow(key=key, created_at=THEN, sent_at=sent, **told))
    clock.set(THEN + dt.timedelta(days=89))
    assert clean(services).startswith("0 rows")
    clock.set(THEN + dt.timedelta(days=121))
    assert clean(services).startswith("2 rows")
    assert answers.get("model", 16, ["asked"]) == {}
