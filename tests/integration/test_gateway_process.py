"""The gateway as a process: bad input is told in one line, the exit status says so, and it ends in
time."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from daemon import service_loop
from daemon.serving import batching, process
from daemon.serving.announcement import announced, announced_url
from tests.gateway_fakes import until


def start(root: Path, home: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "daemon.serving", "--set", f"home={home}"]
    for flag in flags:
        command += ["--set", flag]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).write_text("{}")
    return folder


def test_a_busy_port_is_told_before_a_model_is_read(
    root: Path, tmp_path: Path, model_folder: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start(root, tmp_path, f"gateway.port={port}", f"model.base={model_folder}")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "gateway.port" in done.stderr


def test_an_unreadable_model_folder_is_told(root: Path, tmp_path: Path) -> None:
    done = start(root, tmp_path, f"model.base={tmp_path / 'nothing'}")
    assert done.returncode == 2
    assert "model.base" in done.stderr.strip().splitlines()[-1]


def test_an_unknown_setting_is_told(root: Path, tmp_path: Path) -> None:
    done = start(root, tmp_path, "gateway.prot=1")
    assert done.returncode == 2
    assert "gateway.prot" in done.stderr


def test_the_gateway_says_where_it_listens_while_it_does(tmp_path: Path) -> None:
    assert announced_url(tmp_path) is None
    with announced(tmp_path, "http://127.0.0.1:1234"):
        assert announced_url(tmp_path) == "http://127.0.0.1:1234"
    assert announced_url(tmp_path) is None


HANGING = """
import sys
from pathlib import Path
from daemon.listening import listen
from daemon.serving import process
from tests.gateway_fakes import BASE, MemorySource, ScriptedEngine, gateway_over
process.DRAIN_S = float(sys.argv[2])
engine = ScriptedEngine()
engine.hold.clear()
gateway = gateway_over(engine, MemorySource(BASE))
process.serve(gateway, listen("127.0.0.1", 0, "gateway.port"), Path(sys.argv[1]))
"""
"""A gateway whose engine takes 10 s a token."""


@contextmanager
def hanging(root: Path, home: Path, drain_s: float) -> Iterator[subprocess.Popen[bytes]]:
    """One that is at work on a request."""
    command = [sys.executable, "-c", HANGING, str(home), str(drain_s)]
    with subprocess.Popen(command, cwd=root) as gateway, ThreadPoolExecutor(1) as asking:
        try:
            until(lambda: announced_url(home), 30.0)
            url = announced_url(home)
            until(lambda: httpx.get(f"{url}/healthz", timeout=5.0).status_code == 200, 5.0)
            body = {"model": "almanac", "messages": [{"role": "user", "content": "Who?"}]}
            asked: Future[httpx.Response] = asking.submit(
                httpx.post, f"{url}/v1/chat/completions", json=body, timeout=30.0
            )
            until(lambda: httpx.get(f"{url}/healthz", timeout=5.0).status_code, 5.0)
            assert not asked.done()
            yield gateway
        finally:
            gateway.kill()


def test_a_gateway_of_its_own_tells_systemd_that_it_lives(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        with subprocess.Popen([sys.executable, "-c", HANGING, str(tmp_path), "1"], cwd=root) as one:
            try:
                assert manager.recv(500).startswith(b"READY=1")
                assert [manager.recv(500) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            finally:
                one.kill()


def test_a_request_that_does_not_end_keeps_no_gateway(root: Path, tmp_path: Path) -> None:
    with hanging(root, tmp_path, 1.0) as gateway:
        began = time.monotonic()
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(10) == 0
        assert time.monotonic() - began > 0.9  # it had its time
        assert announced_url(tmp_path) is None


def test_a_second_signal_ends_the_gateway_at_once(root: Path, tmp_path: Path) -> None:
    with hanging(root, tmp_path, 60.0) as gateway:
        gateway.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            gateway.wait(0.5)
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(10) == 130


def test_the_times_of_a_stop_fit_into_each_other() -> None:
    assert process.DRAIN_S + batching._JOIN_S < service_loop._GATEWAY_GRACE_S
    assert service_loop._GATEWAY_GRACE_S < service_loop.STOP_S < 15.0
