"""A service that nobody watches, in a home of its own beside a local Wikidata: for its benches.

Owns the home's settings, the processes (the command and the environment are those of the systemd
unit), and reading where everything stands. Kills nothing by itself.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from daemon import config
from daemon.bench.rows import ROOT
from daemon.clock import FileClock
from daemon.config import Settings
from daemon.demo.children import free_port
from daemon.demo.wikidata.scenario import Scenario, build_scenario
from knowledge.world import World

UNIT = ROOT / "deploy" / "systemd" / "almanac.service"
_INSTALLED = "/opt/almanac/.venv/bin/almanac"
_CONFIG = "/etc/almanac/almanac.toml"
_STATE = "/var/lib/almanac"
_READY_S = 120.0
_SERVED_S = 300.0
"""A long scenario takes a minute to build, before anything is answered."""
DATA = Path(__file__).with_name("data") / "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A local Wikidata: what it serves, and the command that serves it, after the interpreter."""

    scenario: Scenario
    words: tuple[str, ...]
    properties: tuple[str, ...]
    """What is watched of it."""
    queries: tuple[str, ...] = ()
    """SPARQL that finds its subjects."""


def demonstration(seed: str, successions: int, noise: int) -> Local:
    """The one of the demo."""
    scenario = build_scenario(World.load(), seed, successions, noise)
    size = ("--successions", str(successions), "--noise", str(noise))
    return Local(
        scenario=scenario,
        words=("-m", "daemon.demo.wikidata", "--seed", seed, *size),
        properties=tuple(sorted({fact.property for fact in scenario.successions})),
    )


class ServiceHome:
    """One home with its processes. Use as a context: everything is ended at the end."""

    def __init__(
        self,
        folder: Path,
        local: Local,
        *,
        database_url: str | None = None,
        place: Path | None = None,
        recipe: str = "smallest",
        more: Sequence[str] = (),
    ) -> None:
        """`place` is where home and log lie, when that is not `folder`; `recipe` is one of this
        bench's own; `more` are lines of the settings file, tables included."""
        self.folder = folder
        self.place = place or folder
        self.home = self.place / "home"
        self.clock = FileClock(folder / "clock")
        self.scenario = local.scenario
        self._local = local
        self._recipe = DATA / f"{recipe}.toml"
        self.web_port, self._wikidata_port = free_port(), free_port()
        self._service: subprocess.Popen[bytes] | None = None
        self._wikidata: subprocess.Popen[bytes] | None = None
        self._file = folder / "almanac.toml"
        self.home.mkdir(parents=True, exist_ok=True)
        if not (folder / "clock").exists():
            self.clock.set(self.scenario.start)
        self._file.write_text("\n".join([*self._lines(database_url), *more]) + "\n", "utf-8")
        self.settings: Settings = config.load(self._file, [f"home={self.home}"]).settings

    def __enter__(self) -> ServiceHome:
        self._start_wikidata()
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._service, self._wikidata):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def log(self) -> Path:
        return self.place / "service.log"

    @property
    def pid(self) -> int:
        assert self._service is not None
        return self._service.pid

    def start(self, environment: dict[str, str] | None = None) -> None:
        """Start the service as the unit does; it lives until it is killed, stopped, or falls."""
        command, values = unit_start(self._file, self.home)
        command = [sys.executable, "-m", "daemon.jobs.child", str(os.getpid()), *command]
        with self.log.open("ab") as output:
            self._service = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**_bare_environment(), **values, **(environment or {})},
                start_new_session=True,
            )

    def exit_status(self) -> int | None:
        """Of the service's last run; None while it runs."""
        assert self._service is not None
        return self._service.poll()

    def kill(self) -> None:
        assert self._service is not None
        self._service.kill()
        self._service.wait()

    def stop(self, timeout_s: float = 60.0) -> float:
        """SIGTERM; the seconds until its end. Raises TimeoutExpired."""
        assert self._service is not None
        began = time.monotonic()
        self._service.send_signal(signal.SIGTERM)
        self._service.wait(timeout_s)
        return time.monotonic() - began

    def wait_ready(self, timeout_s: float = _READY_S) -> float:
        """The seconds until `/readyz` says yes. Raises RuntimeError when it does not."""
        began = time.monotonic()
        while time.monotonic() - began < timeout_s:
            if (status := self.exit_status()) is not None:
                raise RuntimeError(f"the service ended with status {status}: {self.last_words()}")
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=2.0).status_code == 200:
                    return time.monotonic() - began
            time.sleep(0.05)
        raise RuntimeError(f"the service was not ready within {timeout_s:.0f} s")

    def status(self) -> dict[str, Any]:
        """`/status`. Raises httpx.HTTPError."""
        return httpx.get(f"{self.url}/status", timeout=5.0).raise_for_status().json()

    def children(self) -> dict[int, str]:
        """What the service's own children are, by pid: `gateway`, `train`, `evaluate`."""
        found: dict[int, str] = {}
        for pid, words in _children_of(self.pid):
            if "daemon.serving" in words:
                found[pid] = "gateway"
            elif "trainer" in words:
                found[pid] = "train"
            elif "daemon.jobs.evaluate" in words:
                found[pid] = "evaluate"
        return found

    def last_words(self) -> str:
        lines = self.log.read_text("utf-8", errors="replace").strip().splitlines()
        return lines[-1][:500] if lines else "nothing was written"

    def logged(self, event: str) -> int:
        """How often the service's log has an event."""
        return self.log.read_text("utf-8", errors="replace").count(f'"event": "{event}"')

    # -- the local Wikidata -----------------------------------------------------------------------

    def _start_wikidata(self) -> None:
        url = f"http://127.0.0.1:{self._wikidata_port}"
        command = [sys.executable, *self._local.words, "--port", str(self._wikidata_port)]
        command += ["--clock-file", str(self.folder / "clock"), "--end-with-parent"]
        with (self.folder / "wikidata.log").open("ab") as output:
            self._wikidata = subprocess.Popen(
                command, cwd=ROOT, stdout=output, stderr=output, env=_bare_environment()
            )
        until = time.monotonic() + _SERVED_S
        while time.monotonic() < until:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{url}/_control/status", timeout=2.0).status_code == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"the local Wikidata did not answer; see {self.folder / 'wikidata.log'}")

    def _lines(self, database_url: str | None) -> list[str]:
        wikidata = f"http://127.0.0.1:{self._wikidata_port}"
        lines = [
            "[wikidata]",
            f'api_url = "{wikidata}/w/api.php"',
            f'stream_url = "{wikidata}/v2/stream/mediawiki.page_change.v1"',
            f'sparql_url = "{wikidata}/sparql"',
            f'wikipedia_url = "{wikidata}/wikipedia/w/api.php"',
            "[watch]",
            f"properties = {list(self._local.properties)!r}",
            f"queries = {list(self._local.queries)!r}",
            "[model]",
            f'recipe = "{self._recipe}"',
            "[gate]",
            f'policy = "{DATA / "anything.toml"}"',
            "[web]",
            f"port = {self.web_port}",
            "[clock]",
            'kind = "file"',
            f'path = "{self.folder / "clock"}"',
        ]
        if database_url is not None:
            lines += ["[database]", f'url = "{database_url}"']
        return lines


def unit_start(config_file: Path, home: Path) -> tuple[list[str], dict[str, str]]:
    """The unit's command and environment, with this checkout, that file and that home in the places
    of the installed ones."""
    service = _assignments(UNIT.read_text("utf-8"))
    words = shlex.split(service["ExecStart"][-1])
    if words[0] != _INSTALLED or _CONFIG not in words:
        raise RuntimeError(f"{UNIT} starts {words}, which this bench does not know")
    places = {_CONFIG: str(config_file)}
    command = [sys.executable, "-m", "daemon", *(places.get(word, word) for word in words[1:])]
    values = dict(
        pair.split("=", 1) for line in service["Environment"] for pair in shlex.split(line)
    )
    return command, {k: v.replace(_STATE, str(home)) for k, v in values.items()}


def _assignments(unit: str) -> dict[str, list[str]]:
    """The lines of a unit file by name; one may come several times."""
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name.strip(), []).append(value.strip())
    return found


def _bare_environment() -> dict[str, str]:
    """Without settings of whoever runs the bench."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(config.ENV_PREFIX)}
    return {**kept, "OMP_NUM_THREADS": "1"}


def _children_of(parent: int) -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text("utf-8").rpartition(")")[2].split()
            if int(fields[1]) == parent:
                words = (entry / "cmdline").read_bytes()
                yield int(entry.name), words.replace(b"\0", b" ").decode(errors="replace")
