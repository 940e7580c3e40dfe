"""The limiter, counted at a server: requests in any window and requests at once, over restarts.

Owns a server that notes when each request came and went, and client processes that ask as fast as
they may, are killed in mid-request and started again. The clients use the product's limiter.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.context import SpawnProcess
from pathlib import Path

import httpx

from agents.wikidata.limiter import Limiter
from agents.wikidata.quota import FileQuota
from daemon.bench.rows import Op, Row

PER_WINDOW, WINDOW_S, AT_ONCE = 200, 60.0, 3
_FULL_S, _QUICK_S = 135.0, 7.0
_QUICK = (20, 2.0)
"""Requests and window of the quick version."""


class _Counting(ThreadingHTTPServer):
    """Notes arrivals, and the most requests that were in flight together."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.arrivals: list[float] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def came(self) -> None:
        with self._lock:
            self.arrivals.append(time.monotonic())
            self._now += 1
            self.most = max(self.most, self._now)

    def went(self) -> None:
        with self._lock:
            self._now -= 1


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Counting  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self.server.came()
        try:
            time.sleep(random.uniform(0.005, 0.05))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
        except OSError:
            return  # the client was killed
        finally:
            self.server.went()

    def log_message(self, format: str, *args: object) -> None:
        return


def limiter_rows(quick: bool) -> list[Row]:
    """Two processes over one folder, killed and started again at random."""
    allowed, window_s = _QUICK if quick else (PER_WINDOW, WINDOW_S)
    seconds = _QUICK_S if quick else _FULL_S
    server = _Counting()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host, port = server.server_address[:2]
    with tempfile.TemporaryDirectory() as scratch:
        kills = _drive(f"http://{host}:{port}/", Path(scratch), allowed, window_s, seconds)
    server.shutdown()
    server.server_close()
    most = most_in_window(server.arrivals, window_s)
    told = (
        f"{len(server.arrivals)} requests in {seconds:g} s by two processes, {kills} of them killed"
    )
    share = most / allowed
    return [
        Row(
            what=f"limiter: most requests in any {window_s:g} s, at the server",
            value=most,
            unit="",
            bar=allowed,
            op=Op.AT_MOST,
            detail=told,
        ),
        Row(
            what="limiter: most requests at once, at the server",
            value=server.most,
            unit="",
            bar=AT_ONCE,
            op=Op.AT_MOST,
            detail=told,
        ),
        Row(
            what="limiter: share of the allowance that is used",
            value=round(share, 3),
            unit="",
            bar=0.9,
            op=Op.AT_LEAST,
            detail="a limiter that never asks would keep the limits too",
        ),
    ]


def most_in_window(arrivals: list[float], window_s: float) -> int:
    """The most arrivals within any half-open window of so many seconds."""
    times, first, most = sorted(arrivals), 0, 0
    for last, at in enumerate(times):
        while times[first] <= at - window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def _drive(url: str, folder: Path, allowed: int, window_s: float, seconds: float) -> int:
    context = multiprocessing.get_context("spawn")
    rng = random.Random(7)
    ends = time.monotonic() + seconds

    def start() -> SpawnProcess:
        child = context.Process(
            target=_client, args=(url, str(folder), allowed, window_s, ends), daemon=True
        )
        child.start()
        return child

    children, kills = [start(), start()], 0
    pause = max(1.5, seconds / 8)
    while (left := ends - time.monotonic()) > pause:
        time.sleep(min(pause * rng.uniform(0.6, 1.2), left))
        victim = rng.randrange(2)
        pid = children[victim].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        children[victim].join(5)
        kills += 1
        children[victim] = start()
    for child in children:
        child.join(max(0.1, ends - time.monotonic() + 5))
        if child.is_alive():
            child.kill()
            child.join(5)
    return kills


def _client(url: str, folder: str, allowed: int, window_s: float, ends: float) -> None:
    asyncio.run(_ask(url, Path(folder), allowed, window_s, ends))


async def _ask(url: str, folder: Path, allowed: int, window_s: float, ends: float) -> None:
    quota = FileQuota(folder, per_window=allowed, window_s=window_s, at_once=AT_ONCE, orphan_s=1.0)
    limiter = Limiter(per_minute=None, at_once=8, quota=quota)

    async def one(client: httpx.AsyncClient) -> None:
        while time.monotonic() < ends:
            async with limiter.slot("server"):
                try:
                    await client.get(url)
                except httpx.HTTPError:
                    continue

    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        asking = [asyncio.create_task(one(client)) for _ in range(6)]
        await asyncio.sleep(max(0.0, ends - time.monotonic()))
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
