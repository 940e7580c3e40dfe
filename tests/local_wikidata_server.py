"""Runs the local Wikidata as the process that it is, for tests. Owns start, clock and stop."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

AGENT = "almanac-tests/1.0 (https://almanac.example; tests@almanac.example) httpx"


class LocalServer:
    """A server process on a free port with a clock file that the test moves."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.clock_file = folder / "clock"
        self._flags = flags
        self.http = httpx.Client(headers={"User-Agent": AGENT}, timeout=20, trust_env=False)
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "daemon.demo.wikidata", "--seed", "it"]
        command += ["--clock-file", str(self.clock_file), *self._flags]
        root = Path(__file__).parents[1]
        self._process = subprocess.Popen(
            command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert "http://" in line, line + self._process.stdout.read()
        self.url = line.split()[2]
        self.eventually(lambda: self.http.get(f"{self.url}/_control/status").status_code == 200)

    def kill(self) -> None:
        """End the process without a word, as a crash does."""
        if self._process and self._process.stdout:
            self._process.kill()
            self._process.wait(5)
            self._process.stdout.close()

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        self.kill()
        self.http.close()

    def status(self) -> dict[str, Any]:
        return self.http.get(f"{self.url}/_control/status").json()

    def set_clock(self, now: dt.datetime) -> None:
        """Move the clock and wait until the server has seen it."""
        fresh = self.clock_file.with_suffix(".new")
        fresh.write_text(now.isoformat())
        os.replace(fresh, self.clock_file)
        self.eventually(lambda: self.status()["now"] == now.isoformat())

    def eventually(self, holds: Any, timeout_s: float = 15.0) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                if holds():
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        raise AssertionError("the local Wikidata did not get there in time")

    def api(self, **params: object) -> dict[str, Any]:
        values = {"format": "json", **{k: str(v) for k, v in params.items()}}
        return self.http.get(f"{self.url}/w/api.php", params=values).json()

    def faults(self, **asked: int) -> None:
        answer = self.http.post(f"{self.url}/_control/faults", json=asked)
        assert answer.status_code == 200, answer.text
