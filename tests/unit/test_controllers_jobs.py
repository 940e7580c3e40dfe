"""Child processes of job folders: one a folder, taken over when finished, gone with the parent."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daemon.jobs.supervisor import Job, JobState, Supervisor, last_words, progress_of

ROOT = Path(__file__).parents[2]
WORK = "import pathlib, time; time.sleep({s}); pathlib.Path('{f}').joinpath('result').mkdir()"


def job(folder: Path, seconds: float = 0.0, code: str | None = None) -> Job:
    folder.mkdir(exist_ok=True)
    text = code or WORK.format(s=seconds, f=folder)
    return Job(folder=folder, command=(sys.executable, "-c", text), result="result")


@pytest.fixture
def supervisor():
    made = Supervisor()
    yield made
    made.stop_all()


def wait(supervisor: Supervisor, timeout_s: float = 20.0) -> None:
    asyncio.run(supervisor.wait_any(timeout_s))


def test_a_job_runs_once_and_its_result_is_taken_over(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    one = job(tmp_path / "j", 0.3)
    assert supervisor.state(one) is JobState.NEW
    assert supervisor.start(one)
    assert not supervisor.start(one)
    assert not Supervisor().start(one), "another parent must not start a second process"
    assert Supervisor().state(one) is JobState.RUNNING
    wait(supervisor)
    assert supervisor.state(one) is JobState.FINISHED
    assert Supervisor().state(one) is JobState.FINISHED
    assert not supervisor.start(one)
    assert supervisor.running() == []


def test_a_failed_job_tells_why_and_can_be_started_again(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    one = job(tmp_path / "j", code="import sys; sys.exit('the base is broken')")
    supervisor.start(one)
    wait(supervisor)
    assert supervisor.state(one) is JobState.STOPPED
    assert supervisor.exit_code(one) == 1
    assert last_words(one.folder) == "the base is broken"
    assert supervisor.start(job(tmp_path / "j"))


def test_a_pid_that_came_back_is_not_the_job(supervisor: Supervisor, tmp_path: Path) -> None:
    one = job(tmp_path / "j")
    data = {"pid": os.getpid(), "started": "12345"}
    (one.folder / "process.json").write_text(json.dumps(data))
    assert supervisor.state(one) is JobState.STOPPED
    assert supervisor.start(one)


def test_a_job_that_cannot_be_written_down_is_not_left_running(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = job(
        tmp_path / "j", code="import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    )
    pids: list[int] = []

    def full(_folder: Path, pid: int) -> None:
        pids.append(pid)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("daemon.jobs.supervisor._write_process", full)
    with pytest.raises(OSError, match="No space"):
        supervisor.start(one)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert supervisor.running() == []
    monkeypatch.undo()
    assert supervisor.state(one) is JobState.NEW and supervisor.start(one)


def test_a_silent_job_is_ended(tmp_path: Path) -> None:
    impatient = Supervisor(heartbeat_timeout_s=0.2)
    one = job(tmp_path / "j", 60.0)
    impatient.start(one)
    time.sleep(0.4)
    assert impatient.state(one) is JobState.STOPPED
    assert impatient.running() == []


def test_stopping_ends_the_children(tmp_path: Path) -> None:
    supervisor = Supervisor()
    jobs = [job(tmp_path / name, 60.0) for name in ("a", "b")]
    for one in jobs:
        supervisor.start(one)
    supervisor.stop_all()
    assert [supervisor.state(one) for one in jobs] == [JobState.STOPPED] * 2


_PARENT = """
import sys, time
from pathlib import Path
from daemon.jobs.supervisor import Job, Supervisor
folder = Path(sys.argv[1])
command = (sys.executable, "-c", "import time; time.sleep(60)")
Supervisor().start(Job(folder=folder, command=command, result="result"))
print("started", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
def test_children_die_with_a_killed_parent(supervisor: Supervisor, tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    while parent.stdout.readline() != b"started\n":
        assert parent.poll() is None
    one = job(tmp_path)
    assert supervisor.state(one) is JobState.RUNNING
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 10
    while supervisor.state(one) is JobState.RUNNING and time.monotonic() < until:
        time.sleep(0.02)
    assert supervisor.state(one) is JobState.STOPPED
    assert supervisor.exit_code(one) is None, "it ended with its parent: that is no failure"


def test_starting_never_waits_for_a_hung_process(tmp_path: Path) -> None:
    supervisor = Supervisor(heartbeat_timeout_s=0.0)
    one = job(tmp_path, 60)
    try:
        assert supervisor.start(one)
        assert not supervisor.start(one), "ending it is for `state`, off the event loop"
        assert supervisor.running() == [one.folder]
        assert supervisor.state(one) is JobState.STOPPED
    finally:
        supervisor.stop_all()


def test_progress_is_the_last_whole_line(tmp_path: Path) -> None:
    assert progress_of(tmp_path) is None
    path = tmp_path / "progress.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert progress_of(tmp_path) == {"step": 2}
