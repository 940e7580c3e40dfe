"""The gateway as the service sees it: one that refuses or no longer answers is told, and mended."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from daemon import gateway_child
from daemon.gateway_child import SILENT_ENDED, SILENT_TOLD, STARTING_TOLD, GatewayChild
from daemon.serving.announcement import announced
from daemon.serving.gateway import Gateway
from daemon.upkeep.degraded import Degraded, Mode
from tests.daemon_support import settings_at
from tests.databases import url_for
from tests.gateway_fakes import (
    BASE,
    ONE,
    MemorySource,
    ScriptedEngine,
    gateway_over,
    running,
    until,
)


class Sleeping(GatewayChild):
    """Its process does nothing at all."""

    started: list[asyncio.subprocess.Process]

    async def _start(self) -> asyncio.subprocess.Process:
        self.started.append(await asyncio.create_subprocess_exec("sleep", "60"))
        return self.started[-1]


@pytest.fixture
def degraded() -> Degraded:
    return Degraded()


@pytest.fixture
def child(tmp_path: Path, degraded: Degraded, monkeypatch: pytest.MonkeyPatch) -> Sleeping:
    monkeypatch.setattr(gateway_child, "_RESTART_S", 0.01)
    monkeypatch.setattr(gateway_child, "_ANSWER_S", 0.01)
    made = Sleeping(settings_at(tmp_path, url_for("sqlite", tmp_path)), degraded)
    made.started = []
    return made


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of something that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def reasons(degraded: Degraded) -> dict[Mode, str]:
    return {trouble.mode: trouble.reason for trouble in degraded.list()}


async def kept(child: Sleeping, play: object) -> None:
    """`play()` while the child is kept."""
    assert callable(play)
    stop = asyncio.Event()
    keeping = asyncio.create_task(child.keep(stop))
    try:
        await _until(lambda: child._child is not None)
        await play()
    finally:
        stop.set()
        await child.end(0.5)
        await keeping


async def _until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def test_one_that_no_longer_answers_is_told_ended_and_started_again(
    child: Sleeping, degraded: Degraded, tmp_path: Path, mute: str
) -> None:
    async def play() -> None:
        with announced(tmp_path, mute):
            for look in range(1, SILENT_ENDED):
                await child.look()
                assert degraded.holds(Mode.GATEWAY) == (look >= SILENT_TOLD)
            assert child.started[0].returncode is None, "it had its time"
            await child.look()
            await _until(lambda: len(child.started) == 2)
        assert "was ended" in reasons(degraded)[Mode.GATEWAY]
        assert child.started[0].returncode == -9
        await child.look()
        assert child.started[1].returncode is None, "a new one has its own time"

    asyncio.run(kept(child, play))


def test_one_that_reads_a_large_model_is_told_and_left_alone(
    child: Sleeping, degraded: Degraded
) -> None:
    async def play() -> None:
        for _ in range(STARTING_TOLD + SILENT_ENDED):
            await child.look()
        assert "reading its model" in reasons(degraded)[Mode.GATEWAY]
        assert len(child.started) == 1 and child.started[0].returncode is None

    asyncio.run(kept(child, play))


def test_what_the_gateway_says_of_itself_is_told(
    child: Sleeping, degraded: Degraded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_child, "_ANSWER_S", 5.0)
    source = MemorySource(BASE)
    gateway: Gateway = gateway_over(ScriptedEngine(), source)
    with running(gateway) as url:
        until(lambda: httpx.get(f"{url}/healthz").status_code == 200)

        def scraped(mode: str) -> bool:
            return f'almanac_degraded{{mode="{mode}"}} 1.0' in httpx.get(f"{url}/metrics").text

        async def play() -> None:
            with announced(tmp_path, url):
                await child.look()
                assert not degraded.list()
                source.broken[ONE] = "its files were altered"
                source.move(ONE)
                await _until(lambda: gateway.reconciler.refusal)
                await child.look()
                assert list(reasons(degraded)) == [Mode.SERVING]
                assert "altered" in reasons(degraded)[Mode.SERVING]
                assert scraped("serving") and not scraped("gateway")
                gateway.upstream.problem = "vLLM cannot be reached"  # pyright: ignore
                await child.look()
                assert "vLLM cannot be reached" in reasons(degraded)[Mode.GATEWAY]
                assert httpx.get(f"{url}/healthz").status_code == 503
                assert scraped("gateway")
                gateway.upstream.problem = None  # pyright: ignore
                source.move(BASE)
                await _until(lambda: not gateway.reconciler.refusal)
                await child.look()
                assert not degraded.list()

        asyncio.run(kept(child, play))
