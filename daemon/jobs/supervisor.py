"""Child processes of job folders: start, watch, take over, stop.

Owns `process.json` (who works on the folder) and `job.log` in it. A job is finished when its result
folder is there, running while the process named in `process.json` lives (its start time is
compared, because pids come back), and otherwise stopped: it can be started again and goes on. A job
that wants a device gets it alone on this machine: the child holds a lock file until it ends. Does
not know what a job does.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import structlog

from daemon.upkeep import sdnotify

PROCESS = "process.json"
LOG = "job.log"
PROGRESS = "progress.jsonl"
_POLL_S = 0.05
_GRACE_S = 10.0
_ROOT = Path(__file__).resolve().parents[2]

log = structlog.get_logger()


class JobState(StrEnum):
    NEW = "new"
    """Never started."""
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    """Started, and ended without a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A folder and how it is worked on. `result` is the name that appears when it is done."""

    folder: Path
    command: tuple[str, ...]
    result: str


class Launcher(Protocol):
    """What starts and watches jobs: this machine's `Supervisor`, or a cluster's queue."""

    def state(self, job: Job) -> JobState: ...

    def start(self, job: Job, environment: dict[str, str] | None = None) -> bool: ...

    def exit_code(self, job: Job) -> int | None: ...

    def forget(self, job: Job) -> None: ...

    def stop(self, job: Job) -> None: ...


class Supervisor:
    """The children of this process. Start jobs from the thread that lives longest: on Linux a
    child ends with the thread that started it."""

    def __init__(
        self,
        *,
        threads: int = 1,
        heartbeat_timeout_s: float = 1800.0,
        device_lock: Path | None = None,
    ) -> None:
        self._threads = threads
        self._device_lock = device_lock
        self._heartbeat_timeout_s = heartbeat_timeout_s
        self._children: dict[Path, subprocess.Popen[bytes]] = {}

    def state(self, job: Job) -> JobState:
        """What the folder says, after hung processes were ended: that may block for a while, so
        ask through a thread from an event loop."""
        self._reap(job.folder)
        state = state_of(job.folder, job.result)
        if state is JobState.RUNNING and silence_s(job.folder) > self._heartbeat_timeout_s:
            log.warning("job.hung", folder=str(job.folder))
            self.stop(job)
            return JobState.STOPPED
        return state

    def start(self, job: Job, environment: dict[str, str] | None = None) -> bool:
        """Start the process unless one is at work, the result is there, or the device is another
        job's; True if started."""
        self._reap(job.folder)
        if (job.folder / job.result).exists() or _living(job.folder) is not None:
            return False
        try:
            device = self._take_device()
        except BlockingIOError:
            return False
        threads = str(self._threads)
        values = {**sdnotify.environment(), "OMP_NUM_THREADS": threads, **(environment or {})}
        values["PYTHONPATH"] = os.pathsep.join(
            p for p in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if p
        )
        command = [sys.executable, "-m", "daemon.jobs.child", str(os.getpid()), *job.command]
        try:
            with (job.folder / LOG).open("ab") as output:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=values,
                    pass_fds=device,  # the lock goes with the last process that has it open
                    start_new_session=True,  # Ctrl-C is for the daemon, which stops its children
                )
        finally:
            for handle in device:
                os.close(handle)
        try:
            _write_process(job.folder, child.pid)
        except OSError:  # nobody would know of it, and the next start would be a second one
            child.kill()
            child.wait()
            raise
        self._children[job.folder] = child
        log.info("job.started", folder=str(job.folder), pid=child.pid)
        return True

    def device_is_free(self) -> bool:
        """Whether a job could have the device now."""
        try:
            for handle in self._take_device():
                os.close(handle)
        except BlockingIOError:
            return False
        return True

    def exit_code(self, job: Job) -> int | None:
        """How the last run by this process ended; None while it runs, or when another ran it."""
        child = self._children.get(job.folder)
        return child.poll() if child else None

    def forget(self, job: Job) -> None:
        """Drop the exit code of an ended run: it has been counted."""
        child = self._children.get(job.folder)
        if child is not None and child.poll() is not None:
            del self._children[job.folder]

    def running(self) -> list[Path]:
        """Folders on which children of this process are at work."""
        return [folder for folder, child in self._children.items() if child.poll() is None]

    async def wait_any(self, timeout_s: float) -> None:
        """Until one of the running children ends, or the time is up; at once without any."""
        until = time.monotonic() + timeout_s
        before = set(self.running())
        while before and set(self.running()) >= before and time.monotonic() < until:
            await asyncio.sleep(_POLL_S)

    def stop(self, job: Job) -> None:
        """End the process of a job, if one runs."""
        pid = _living(job.folder)
        if pid is not None:
            self._end(job.folder, pid)

    def stop_all(self, grace_s: float = _GRACE_S) -> None:
        """End every child within `grace_s` seconds; each job can be started again."""
        folders = self.running()
        for folder in folders:
            self._signal(self._children[folder].pid, signal.SIGTERM)
        until = time.monotonic() + grace_s
        for folder in folders:
            left_s = max(0.0, until - time.monotonic())
            self._end(folder, self._children[folder].pid, left_s)

    def _take_device(self) -> tuple[int, ...]:
        """An open handle with the device's lock. Raises BlockingIOError while another has it."""
        if self._device_lock is None:
            return ()
        handle = os.open(self._device_lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise
        return (handle,)

    def _end(self, folder: Path, pid: int, grace_s: float = _GRACE_S) -> None:
        self._signal(pid, signal.SIGTERM)
        until = time.monotonic() + grace_s
        while _living(folder) is not None and time.monotonic() < until:
            self._reap(folder)
            time.sleep(_POLL_S)
        if _living(folder) is not None:
            self._signal(pid, signal.SIGKILL)
            while _living(folder) is not None:
                self._reap(folder)
                time.sleep(_POLL_S)
        child = self._children.get(folder)
        if child is not None and child.pid == pid:
            child.wait()
        log.info("job.stopped", folder=str(folder), pid=pid)

    def _reap(self, folder: Path) -> None:
        child = self._children.get(folder)
        if child is not None:
            child.poll()

    @staticmethod
    def _signal(pid: int, number: signal.Signals) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return


def state_of(folder: Path, result: str) -> JobState:
    """What the folder says. Ends nothing, whoever asks."""
    if (folder / result).exists():
        return JobState.FINISHED
    if _living(folder) is not None:
        return JobState.RUNNING
    return JobState.STOPPED if (folder / PROCESS).exists() else JobState.NEW


def silence_s(folder: Path) -> float:
    """Seconds since the last sign of life: a line of progress, or the start."""
    times = [
        (folder / name).stat().st_mtime for name in (PROGRESS, PROCESS) if (folder / name).exists()
    ]
    return time.time() - max(times, default=time.time())


def progress_of(folder: Path) -> dict[str, Any] | None:
    """The last whole line of a job's progress; None before the first."""
    try:
        lines = (folder / PROGRESS).read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        if line.endswith(b"\n"):
            try:
                return json.loads(line)
            except ValueError:
                continue
    return None


def device_lock(device: str, folder: Path) -> Path | None:
    """The lock file of a device on this machine; None for the processor, which jobs may share."""
    if not device:
        return None
    name = "".join(c if c.isalnum() else "-" for c in device)
    return folder / f"almanac-{name}.lock"


def last_words(folder: Path) -> str:
    """The last line that the process wrote to its log: usually why it ended."""
    try:
        text = (folder / LOG).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "it wrote no log"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:500] if lines else "it wrote nothing"


def _write_process(folder: Path, pid: int) -> None:
    data = {"pid": pid, "started": _start_time(pid)}
    temporary = folder / f".{PROCESS}.{os.getpid()}"
    temporary.write_text(json.dumps(data), encoding="ascii")
    os.replace(temporary, folder / PROCESS)


def _living(folder: Path) -> int | None:
    """The pid that works on the folder; None when that process is gone, whoever has its pid now."""
    try:
        data = json.loads((folder / PROCESS).read_text(encoding="ascii"))
        pid, started = int(data["pid"]), data["started"]
    except (FileNotFoundError, ValueError, KeyError):
        return None
    now = _start_time(pid)
    return pid if now is not None and now == started else None


def _start_time(pid: int) -> str | None:
    """When the process started, in the system's own terms; None when there is no living one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return None if fields[0] in ("Z", "X") else fields[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except (ProcessLookupError, IndexError):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "unknown"  # no /proc here: the pid alone has to do
