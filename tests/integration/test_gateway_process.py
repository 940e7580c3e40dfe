"""The gateway as a process: bad input is told in one line, and the exit status says so."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.serving.process import announced, announced_url


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
