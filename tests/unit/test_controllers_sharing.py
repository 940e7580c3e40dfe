"""Who may have the accelerator: a device, hours, or a model server that sleeps meanwhile; and the
jobs of one machine as people see and cancel them."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from sqlmodel import Session

from daemon.controllers.stage import StageRunner
from daemon.errors import ConfigError, NotFound, Retryable
from daemon.jobs.listing import JobFolders
from daemon.jobs.sharing import Admission
from daemon.jobs.supervisor import Job, JobState, Supervisor, device_lock
from daemon.operating import AcceleratorSettings, AcceleratorSharing
from daemon.services import Services
from daemon.store.rows import ReleaseRow
from daemon.store.states import ChangeState, ReleaseState, transition
from tests.daemon_support import NOW, approved, change, settings_at
from tests.databases import url_for

FREE: Any = SimpleNamespace(device_is_free=lambda: True)
BUSY: Any = SimpleNamespace(device_is_free=lambda: False)


def admission(home: Path, device: Any = FREE, **settings: Any) -> Admission:
    return Admission(AcceleratorSettings(**settings), device, home)


def a_job(folder: Path) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    command = (sys.executable, "-c", "import time; print('at work', flush=True); time.sleep(60)")
    return Job(folder=folder, command=command, result="adapter")


def test_a_job_waits_for_a_device_on_which_another_one_runs(tmp_path: Path) -> None:
    assert asyncio.run(admission(tmp_path).admits())
    taken = admission(tmp_path, BUSY)
    assert not asyncio.run(taken.admits())
    assert taken.waiting is not None and "another job" in taken.waiting


def test_one_job_a_device_over_all_processes_of_a_machine(tmp_path: Path) -> None:
    lock = device_lock("cuda:0", tmp_path)
    first, second = Supervisor(device_lock=lock), Supervisor(device_lock=lock)
    one, other = a_job(tmp_path / "one"), a_job(tmp_path / "other")
    try:
        assert first.start(one)
        assert not second.device_is_free() and not second.start(other)
        first.stop_all()
        assert second.device_is_free() and second.start(other)
    finally:
        first.stop_all()
        second.stop_all()


def test_outside_its_hours_a_job_waits_and_a_running_one_pauses(tmp_path: Path) -> None:
    minute = dt.datetime.now(dt.UTC)
    other_hour = f"* {(minute.hour + 12) % 24} * * *"
    closed = admission(tmp_path, sharing=AcceleratorSharing.WINDOW, window=other_hour)
    job = a_job(tmp_path / "j")
    assert not asyncio.run(closed.admits())
    assert closed.waiting is not None and "waits for its hours" in closed.waiting
    assert closed.must_stop(job)
    assert closed.stopped(job), "that run was no failure"
    assert not closed.stopped(job), "the next end is the job's own"
    always = admission(tmp_path, sharing=AcceleratorSharing.WINDOW, window="* * * * *")
    assert asyncio.run(always.admits()) and not always.must_stop(job)


def test_the_model_server_sleeps_while_a_job_runs_and_is_woken_after_a_crash_too(
    tmp_path: Path, httpserver: HTTPServer
) -> None:
    httpserver.expect_ordered_request("/sleep", query_string="level=1").respond_with_data("")
    httpserver.expect_ordered_request("/wake_up", method="POST").respond_with_data("")
    settings = {"sharing": AcceleratorSharing.SLEEP, "vllm_url": httpserver.url_for("/v1")}
    asyncio.run(admission(tmp_path, **settings).before(a_job(tmp_path / "j")))
    after_a_crash = admission(tmp_path, **settings)
    assert "nothing" in after_a_crash.served_meanwhile(True)
    asyncio.run(after_a_crash.after())
    asyncio.run(after_a_crash.after())  # nobody sleeps any more: nobody is asked
    httpserver.check_assertions()
    assert len(httpserver.log) == 2


def test_a_model_server_that_does_not_sleep_keeps_the_job_waiting(
    tmp_path: Path, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/sleep").respond_with_data("", status=404)
    one = admission(tmp_path, sharing=AcceleratorSharing.SLEEP, vllm_url=httpserver.url_for("/"))
    with pytest.raises(Retryable, match="VLLM_SERVER_DEV_MODE"):
        asyncio.run(one.before(a_job(tmp_path / "j")))
    with pytest.raises(ConfigError, match=r"accelerator\.vllm_url"):
        admission(tmp_path, sharing=AcceleratorSharing.SLEEP)


# -- jobs that people see and cancel --------------------------------------------------------------


class _Training:
    """A training that takes its time."""

    actor = "train"
    waiting = ReleaseState.FROZEN
    working = ReleaseState.TRAINING

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def job(self, release: ReleaseRow) -> Job:
        return a_job(self._folder / f"train-{release.id:06d}-{release.batch_digest[:12]}")

    async def prepare(self, release: ReleaseRow, job: Job) -> None: ...

    def begin(self, session: Session, release: ReleaseRow) -> None:
        transition(session, release, self.working, actor="train", reason="planned", now=NOW)

    async def finish(self, release: ReleaseRow, job: Job, token: int) -> None: ...

    def environment(self) -> dict[str, str]:
        return {}


def test_the_job_of_a_release_that_is_given_up_is_ended(tmp_path: Path) -> None:
    supervisor, work = Supervisor(), _Training(tmp_path / "jobs")
    with Services.open(settings_at(tmp_path, url_for("sqlite", tmp_path))) as services:
        asyncio.run(approved(services, [change()]))
        release = services.releases.create(actor="me", reason="r")
        assert release is not None
        runner = StageRunner(
            services.database, supervisor, services.clock, owner="me", lease_s=60.0, attempts=3
        )
        try:
            assert asyncio.run(runner.step(work)) == 1
            assert asyncio.run(runner.step(work)) == 0
            folders = JobFolders(tmp_path / "jobs")
            (seen,) = folders.list()
            assert (seen.kind, seen.release, seen.state) == ("train", 1, JobState.RUNNING)
            assert folders.find("train-000001") == seen or seen.silent_s is not None
            services.releases.discard(release.id, actor="me", reason="the wrong recipe")
            assert asyncio.run(runner.step(work)) == 0
            assert supervisor.running() == []
            assert folders.find("train").state is JobState.STOPPED
        finally:
            supervisor.stop_all()
        assert services.review.counts() == {ChangeState.APPROVED: 1}
        again = services.releases.create(actor="me", reason="again")
        assert again is not None and asyncio.run(runner.step(work)) == 1
        supervisor.stop_all()


def test_a_job_that_ended_on_a_full_disk_has_not_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not even write why it ended: there was no room for that either."""
    supervisor, work = Supervisor(), _Training(tmp_path / "jobs")
    usage = SimpleNamespace(total=1 << 30, used=1 << 30, free=0)
    with Services.open(settings_at(tmp_path, url_for("sqlite", tmp_path))) as services:
        asyncio.run(approved(services, [change()]))
        release = services.releases.create(actor="me", reason="r")
        assert release is not None
        runner = StageRunner(
            services.database, supervisor, services.clock, owner="me", lease_s=60.0, attempts=1
        )

        def end_the_job() -> None:
            (folder,) = supervisor.running()
            supervisor._children[folder].kill()
            supervisor._children[folder].wait()

        try:
            assert asyncio.run(runner.step(work)) == 1
            end_the_job()
            monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
            assert asyncio.run(runner.step(work)) == 1
            assert services.releases.show(release.id).release.state is ReleaseState.TRAINING
            monkeypatch.undo()
            end_the_job()
            assert asyncio.run(runner.step(work)) == 1
            assert services.releases.show(release.id).release.state is ReleaseState.FAILED
        finally:
            supervisor.stop_all()


def test_jobs_are_found_by_how_they_begin(tmp_path: Path) -> None:
    for name in ("train-000001-aa", "evaluate-000001-bb", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "train-000001-aa" / "job.log").write_text("one\ntwo\nthree\n")
    folders = JobFolders(tmp_path)
    assert [job.name for job in folders.list()] == ["train-000001-aa", "evaluate-000001-bb"]
    assert folders.log("train", 2) == ["two", "three"]
    for name in ("deploy", ""):
        with pytest.raises(NotFound, match="almanac job list"):
            folders.find(name)
