"""Several processes of one service, each of one role with a home of its own, on one PostgreSQL.

Owns their settings, their start, and their end. They stand as on machines of their own: what they
share is the database, a local Wikidata and, where one is given, a model's endpoint. Every bound of
a worker is the default. No gateway runs, so production is not asked first.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from daemon import config
from daemon.bench.rows import ROOT
from daemon.bench.service_wikidata import Addresses
from daemon.demo.children import free_port
from daemon.operating import Role

_WAIT_S = 120.0


class Crew:
    """The processes. Use as a context: everything is ended at the end."""

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str,
        wikidata: Addresses,
        model_url: str | None,
        roles: Sequence[Role],
    ) -> None:
        """`model_url` is an OpenAI-compatible endpoint that drafts and judges; without one the
        template drafts and the rules judge."""
        self._folder = folder
        self._flags = _flags(database_url, wikidata, model_url)
        self._roles = roles
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Crew:
        with contextlib.ExitStack() as stack:
            stack.callback(self._end)
            urls = [self._start(role, number) for number, role in enumerate(self._roles, 1)]
            for process, url in zip(self._started, urls, strict=True):
                self._wait_ready(process, url)
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def check(self) -> None:
        """Raises RuntimeError when one of them has ended."""
        for process in self._started:
            if process.poll() is not None:
                raise RuntimeError(
                    f"a process ended with status {process.returncode}; its log is in "
                    f"{self._folder}"
                )

    def _start(self, role: Role, number: int) -> str:
        port, name = free_port(), f"{role.value}-{number}"
        home = self._folder / name
        home.mkdir(parents=True)
        flags = [*self._flags, f"home={home}", f"worker.name={name}", f"web.port={port}"]
        command = [sys.executable, "-m", "daemon", *(f"--set={flag}" for flag in flags)]
        child = [sys.executable, "-m", "daemon.jobs.child", str(os.getpid())]
        with (self._folder / f"{name}.log").open("ab") as log:
            self._started.append(
                subprocess.Popen(
                    [*child, *command, "up", "--role", role.value],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=_environment(),
                )
            )
        return f"http://127.0.0.1:{port}/readyz"

    def _wait_ready(self, process: subprocess.Popen[bytes], url: str) -> None:
        until = time.monotonic() + _WAIT_S
        while time.monotonic() < until:
            self.check()
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url, timeout=2.0).status_code == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"{url} did not answer within {_WAIT_S:.0f} s")

    def _end(self) -> None:
        for process in self._started:
            process.terminate()
        for process in self._started:
            try:
                process.wait(timeout=_WAIT_S / 4)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _flags(database_url: str, wikidata: Addresses, model_url: str | None) -> list[str]:
    flags = [f"database.url={database_url}", *wikidata.flags(), "gateway.enabled=false"]
    if model_url is not None:
        flags += ["drafter.kind=llm", f"drafter.endpoint={model_url}", "drafter.model=scripted"]
    return flags


def _environment() -> dict[str, str]:
    """Without settings of whoever runs the bench."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(config.ENV_PREFIX)}
    return {**kept, "OMP_NUM_THREADS": "1"}
