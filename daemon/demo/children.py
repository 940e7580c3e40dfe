"""The demo's child processes: started, waited for, ended, and swept up after a kill.

Owns `children.json` in the demo's folder, where every child is written down before it is used, so
that the next start can end what a killed demo left behind.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from daemon.demo.errors import DemoError

STOP_TIMEOUT_S = 10.0
_RECORD = "children.json"


def free_port() -> int:
    """A port of the loopback interface that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Children:
    """Python modules run as processes of their own, with a log file each."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._record = home / _RECORD

    def start(self, name: str, module: str, arguments: Sequence[str], *, tied: bool = True) -> None:
        """Start `python -m MODULE ARGUMENTS`; its output goes to `logs/NAME.log`.

        A `tied` child ends with this process, however that happens (on Linux; elsewhere `sweep`
        ends it at the next start).
        """
        log = self._home / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", module, *arguments]
        if tied:
            command = [sys.executable, "-m", "daemon.jobs.child", str(os.getpid()), *command]
        with log.open("ab") as output:
            self._running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._write_down(name, module)

    def wait_for(self, name: str, ready: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait until a child is ready. Raises DemoError with the end of its log if it is not."""
        child = self._running[name]
        deadline = time.monotonic() + timeout_s
        while not ready():
            status = child.poll()
            if status is not None:
                raise DemoError(f"the {name} process ended with status {status}: {self.last(name)}")
            if time.monotonic() > deadline:
                raise DemoError(f"the {name} process did not answer within {timeout_s:.0f} s")
            time.sleep(0.05)

    def alive(self, name: str) -> bool:
        child = self._running.get(name)
        return child is not None and child.poll() is None

    def last(self, name: str) -> str:
        """The last line of a child's log."""
        log = self._home / "logs" / f"{name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"{lines[-1]} (see {log})" if lines else f"nothing was written to {log}"

    def stop(self, name: str) -> None:
        """Ask a child to end, and make it end."""
        child = self._running.pop(name, None)
        if child is None:
            return
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._forget(name)

    def stop_all(self, *, but: Sequence[str] = ()) -> None:
        for name in [name for name in self._running if name not in but]:
            self.stop(name)

    def sweep(self) -> int:
        """End what an earlier demo left running; the number of processes ended."""
        ended = 0
        for name, (pid, module) in self._written_down().items():
            if module in _command_of(pid):
                _end(pid)
                ended += 1
            self._forget(name)
        return ended

    def pid(self, name: str) -> int:
        return self._running[name].pid

    # -- the record -------------------------------------------------------------------------

    def _written_down(self) -> dict[str, tuple[int, str]]:
        try:
            data = json.loads(self._record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {name: (int(pid), str(module)) for name, (pid, module) in data.items()}

    def _write_down(self, name: str, module: str) -> None:
        self._save({**self._written_down(), name: (self._running[name].pid, module)})

    def _forget(self, name: str) -> None:
        left = self._written_down()
        left.pop(name, None)
        self._save(left)

    def _save(self, record: dict[str, tuple[int, str]]) -> None:
        temporary = self._record.with_suffix(".tmp")
        temporary.write_text(json.dumps(record), encoding="utf-8")
        os.replace(temporary, self._record)


def _command_of(pid: int) -> str:
    """The command line of a process; empty when there is none such."""
    proc = Path("/proc")
    if (proc / "self").exists():
        try:
            return (proc / str(pid) / "cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:
            return ""
    done = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _end(pid: int) -> None:
    deadline = time.monotonic() + STOP_TIMEOUT_S
    try:
        os.kill(pid, signal.SIGTERM)
        while _command_of(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        if _command_of(pid):
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
