"""Clients that ask a gateway, some of them streaming, while versions change under them.

Owns the clients, what each saw, and the gateway's process. Knows what every version answers by
itself, so an answer that is not wholly its version's is seen.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from daemon.bench.rows import ROOT
from daemon.bench.serving_home import ANSWER_TOKENS, Home
from daemon.serving.announcement import announced_url

_START_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as its client saw it; times are monotonic seconds."""

    began_s: float
    ended_s: float
    failed: str | None
    mixed: bool
    version: str | None

    @property
    def took_s(self) -> float:
        return self.ended_s - self.began_s


@contextmanager
def gateway(home: Home, *settings: str) -> Iterator[str]:
    """The gateway of the home as a process of its own, on a free port; its address."""
    given = [f"home={home.path}", f"model.base={home.base}", "gateway.port=0", *settings]
    flags = [part for one in given for part in ("--set", one)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ALMANAC_")}
    log = (home.path / "gateway.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon.serving", *flags],
        cwd=ROOT,
        env={**environment, "OMP_NUM_THREADS": "1"},
        stdout=log,
        stderr=log,
    )
    try:
        yield _address(home.path, process)
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def _address(home: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        url = announced_url(home)
        if url is not None and health(url).get("version") is not None:
            return url
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the gateway did not start; see {home / 'gateway.log'}")


def health(url: str, client: httpx.Client | None = None) -> dict[str, Any]:
    """What `/healthz` says; empty while nobody listens."""
    try:
        return (client or httpx).get(f"{url}/healthz", timeout=10).json()
    except (httpx.HTTPError, ValueError):
        return {}


def wait_for(url: str, version: str, timeout_s: float = 60.0) -> float:
    """Monotonic time at which the gateway serves that version. Raises RuntimeError."""
    deadline = time.monotonic() + timeout_s
    with httpx.Client() as client:  # one, because making it costs more than many questions
        while (found := health(url, client)).get("version") != version:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the gateway does not serve {version}: {found}")
            time.sleep(0.02)
    return time.monotonic()


def wait_until_gone(url: str, version: str, timeout_s: float = 60.0) -> None:
    """Wait until that version has been unloaded, which is done beside the serving. Raises
    RuntimeError."""
    deadline = time.monotonic() + timeout_s
    with httpx.Client() as client:
        while version in (found := health(url, client)).get("resident", [version]):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the gateway does not unload {version}: {found}")
            time.sleep(0.02)


@contextmanager
def asker(url: str) -> Iterator[Callable[[str], float]]:
    """A process that asks one question at a time: the seconds that its answer took."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield lambda question: pool.submit(_timed, url, question).result()


def _timed(url: str, question: str) -> float:
    """By the plainest client that keeps its connection: its own cost is not the gateway's."""
    connection = _kept_connection(url)
    body, headers = json.dumps(body_of(question)), {"Content-Type": "application/json"}
    began = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", body, headers)
    answer = connection.getresponse()
    told = answer.read()
    took_s = time.perf_counter() - began
    if answer.status != 200:
        raise RuntimeError(f"the gateway answered {answer.status}: {told[:200]!r}")
    return took_s


@cache
def _kept_connection(url: str) -> HTTPConnection:
    return HTTPConnection(urlsplit(url).netloc, timeout=60)


def body_of(question: str, *, stream: bool = False, model: str = "almanac") -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": ANSWER_TOKENS,
        "stream": stream,
    }


class Crowd:
    """So many clients, every other one streaming, each asking one thing after the other."""

    def __init__(self, home: Home, url: str, clients: int) -> None:
        self.seen: list[Seen] = []
        self._home = home
        self._url = url
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._client, args=(number,)) for number in range(clients)
        ]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)

    def _client(self, number: int) -> None:
        draw = random.Random(number)
        with httpx.Client(timeout=60) as client:
            while not self._stop.is_set():
                question = draw.choice(self._home.questions)
                self.seen.append(self._ask(client, question, stream=number % 2 == 1))

    def _ask(self, client: httpx.Client, question: str, *, stream: bool) -> Seen:
        began, failed, version, text, others = time.monotonic(), None, None, "", set[str]()
        try:
            version, text, others = (_streamed if stream else _whole)(client, self._url, question)
        except Exception as error:
            failed = f"{type(error).__name__}: {error}"
        wanted = self._home.answers.get(version or "", {}).get(question)
        mixed = failed is None and (text != wanted or others != {version})
        return Seen(
            began_s=began,
            ended_s=time.monotonic(),
            failed=failed,
            mixed=mixed,
            version=version,
        )


def _whole(client: httpx.Client, url: str, question: str) -> tuple[str, str, set[str]]:
    """The version in the header, the text, the versions named in the answer."""
    answer = client.post(f"{url}/v1/chat/completions", json=body_of(question))
    answer.raise_for_status()
    data = answer.json()
    text = data["choices"][0]["message"]["content"]
    return answer.headers["X-Almanac-Version"], text, {_named(data)}


def _streamed(client: httpx.Client, url: str, question: str) -> tuple[str, str, set[str]]:
    body, text, names, done = body_of(question, stream=True), "", set[str](), False
    with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if line == "data: [DONE]":
                done = True
            elif line.startswith("data: "):
                chunk = json.loads(line[6:])
                if "error" in chunk:
                    raise RuntimeError(str(chunk["error"]))
                names.add(_named(chunk))
                text += chunk["choices"][0]["delta"].get("content") or ""
    if not done:
        raise RuntimeError("the stream ended early")
    return answer.headers["X-Almanac-Version"], text, names


def _named(data: dict[str, Any]) -> str:
    return str(data["system_fingerprint"]).partition("-")[0]


@dataclass(frozen=True, slots=True)
class Swap:
    """From the command to the gateway serving the new version; monotonic seconds."""

    began_s: float
    ended_s: float

    def touches(self, seen: Seen) -> bool:
        return seen.began_s < self.ended_s and seen.ended_s > self.began_s


def swap_every(
    url: str, seconds: float, every_s: float, moves: Sequence[Callable[[], str]]
) -> list[Swap]:
    """Make one move after the other, each giving the version that shall serve then."""
    swaps: list[Swap] = []
    started, number = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        began = time.monotonic()
        wanted = moves[number % len(moves)]()
        swaps.append(Swap(began, wait_for(url, wanted)))
        number += 1
        time.sleep(max(0.0, began + every_s - time.monotonic()))
    return swaps


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie, by the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
