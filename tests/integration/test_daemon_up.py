"""`almanac up` as a process: it watches, answers, refuses what is wrong, and stops when told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from daemon.config import Settings
from daemon.services import Services
from tests.local_wikidata_server import LocalServer

ROOT = Path(__file__).parents[2]
BASE = ROOT / "trainer" / "embedded" / "weights"

pytestmark = pytest.mark.skipif(
    not (BASE / "config.json").is_file(), reason="needs the embedded base model"
)


@pytest.fixture(scope="module")
def wikidata(tmp_path_factory: pytest.TempPathFactory):
    server = LocalServer(tmp_path_factory.mktemp("wikidata"), "--successions", "3", "--noise", "60")
    yield server
    server.stop()


def settings_file(folder: Path, url: str, web_port: int) -> Path:
    path = folder / "almanac.toml"
    path.write_text(
        f'home = "{folder / "home"}"\n'
        f"[wikidata]\n"
        f'api_url = "{url}/w/api.php"\n'
        f'stream_url = "{url}/v2/stream/mediawiki.page_change.v1"\n'
        f'sparql_url = "{url}/sparql"\n'
        f'wikipedia_url = "{url}/wikipedia/w/api.php"\n'
        f"[gateway]\nenabled = false\n"
        f"[web]\nport = {web_port}\n"
    )
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def start(config: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "daemon", "--config", str(config), "up"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def eventually(url: str, holds, timeout_s: float = 40.0):
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        try:
            answer = httpx.get(url, timeout=5)
            if holds(answer):
                return answer.json()
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} did not get there in time")


def end(process: subprocess.Popen[str]) -> str:
    try:
        _, errors = process.communicate(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
    return errors


def test_the_service_watches_and_stops_when_told(wikidata: LocalServer, tmp_path: Path) -> None:
    port = free_port()
    config = settings_file(tmp_path, wikidata.url, port)
    items = sorted(
        {
            binding["item"]["value"].rpartition("/")[2]
            for binding in httpx.get(
                f"{wikidata.url}/sparql",
                params={
                    "query": "SELECT DISTINCT ?item WHERE { ?item "
                    "<http://www.wikidata.org/prop/P6> ?s } LIMIT 5",
                    "format": "json",
                },
                headers={"User-Agent": "almanac-tests/1.0 (tests@almanac.example)"},
            ).json()["results"]["bindings"]
        }
    )
    with Services.open(Settings(home=tmp_path / "home")) as services:
        services.watch.add(items)
    process = start(config)
    try:
        eventually(f"http://127.0.0.1:{port}/healthz", lambda a: a.status_code == 200)
        status = eventually(
            f"http://127.0.0.1:{port}/status", lambda a: a.json()["watch"]["dirty"] == 0
        )
        assert status["watch"]["items"] == len(items) > 0
        second = start(config)
        errors = end(second)
        assert second.returncode == 2
        assert "another Almanac works on" in errors.strip().splitlines()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        errors = end(process)
    assert process.returncode == 0, errors
    assert json.loads(errors.strip().splitlines()[-1])["event"] == "service.stopped"
    with Services.open(Settings(home=tmp_path / "home")) as services:
        assert all(item.revision for item in services.watch.list())


def test_a_busy_port_is_told_in_one_line(wikidata: LocalServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        process = start(settings_file(tmp_path, wikidata.url, port))
        errors = end(process)
    assert process.returncode == 2
    last = errors.strip().splitlines()[-1]
    assert last.startswith("almanac: ") and f"127.0.0.1:{port}" in last and "web.port" in last
