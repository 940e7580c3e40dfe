"""The registry and the gateway, measured: kills, races, swaps under load, rollback, refusals,
overhead, a full queue.

Owns the rows of `make bench-gateway`. The pieces are `crashing`, `serving_home`, `serving_load` and
`serving_refusals`. `BASE` names another base model's folder than the embedded one.
"""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from daemon.bench.rows import ROOT, Op, Row
from daemon.bench.serving_home import ANSWER_TOKENS, Home, answer_directly, build
from daemon.bench.serving_load import (
    Crowd,
    Seen,
    asker,
    body_of,
    gateway,
    health,
    percentile,
    swap_every,
    wait_for,
    wait_until_gone,
)
from daemon.bench.serving_refusals import CASES, refusals
from daemon.errors import ConfigError
from knowledge.model import Sampling

BASE = ROOT / "trainer" / "embedded" / "weights"
VERSIONS = 6
CLIENTS = 8
SWAP_EVERY_S = 2.0
_QUEUE = 8
"""Bound of the waiting queue while it is flooded."""


def measure(quick: bool) -> list[Row]:
    """Every bar of the gateway, one row each."""
    seed = os.environ.get("SEED") or secrets.token_hex(4)
    rows = [*_killed(15 if quick else 1000, seed), *_raced(50, 2 if quick else 20)]
    base = Path(os.environ.get("BASE") or BASE).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        home = build(Path(scratch), base, VERSIONS)
        try:
            rows += overhead(home, 30 if quick else 500)
            with gateway(home) as url:
                rows += loaded(home, url, 6.0 if quick else 60.0)
                rows += _rolled_back(home, url, 1 if quick else 5)
                rows.append(_refused(home, url, Path(scratch) / "bad"))
            with gateway(home, f"gateway.max_queue={_QUEUE}", "gateway.max_running=4") as url:
                rows += _flooded(home, url, 120)
            rows += _restarted(home, 1 if quick else 5)
        finally:
            home.close()
    return [*rows, _vllm()]


def _row(what: str, value: float | None, unit: str, bar: float, op: Op, detail: str = "") -> Row:
    shown = None if value is None else round(value, 3)
    return Row(what=what, value=shown, unit=unit, bar=bar, op=op, detail=detail)


# -- registry -------------------------------------------------------------------------------------


def _killed(kills: int, seed: str) -> list[Row]:
    from daemon.bench.crashing import kill_many

    damage = kill_many(kills, seed)
    by = ", ".join(f"{count} in {what}" for what, count in damage.kills.most_common())
    detail = f"seed {seed}; {by}; {damage.moves} moves committed"
    first = "; ".join(damage.broken[:1] + damage.worker_errors[:1])
    broken = len(damage.broken) + len(damage.worker_errors)
    return [
        _row("workers killed", sum(damage.kills.values()), "", 1000, Op.AT_LEAST, detail),
        _row(
            "promises broken by kills",
            broken,
            "",
            0,
            Op.EQUAL,
            first
            or "one live version, its "
            "bytes hash to its digest, the chain holds, nothing referenced is missing",
        ),
        _row("left over after collecting", damage.left_over, "", 0, Op.EQUAL),
    ]


def _raced(promoters: int, generations: int) -> list[Row]:
    from daemon.bench.crashing import race

    winners = race(promoters, generations)
    detail = f"{promoters} processes, {generations} generations"
    odd = sum(count != 1 for count in winners)
    return [_row("generations without exactly one winner", odd, "", 0, Op.EQUAL, detail)]


# -- under load -----------------------------------------------------------------------------------


def loaded(home: Home, url: str, seconds: float) -> list[Row]:
    """What a crowd of clients meets while the versions of the home change under it."""
    registry, digests = home.registry, home.digests

    def promote(number: int) -> Callable[[], str]:
        def run() -> str:
            registry.promote("production", digests[number - 1], actor="bench", reason="swap")
            return f"v{number}"

        return run

    def back() -> str:
        digest = registry.rollback(actor="bench", reason="swap back").to_digest
        return "v0" if digest is None else f"v{digests.index(digest) + 1}"

    # Promotions of versions that are not resident, and rollbacks to one that is.
    order = [n for n in (2, 4, 6, 1, 3, 5) if n <= len(digests)]
    moves = [m for n in order for m in (promote(n), back, promote(n))]
    promote(1)()
    wait_for(url, "v1")
    with Crowd(home, url, CLIENTS) as before:
        time.sleep(seconds / 2)
    with Crowd(home, url, CLIENTS) as during:
        swaps = swap_every(url, seconds, SWAP_EVERY_S, moves)
    with Crowd(home, url, CLIENTS) as after:
        time.sleep(seconds / 2)
    plain = [*before.seen, *after.seen]
    touched = [s for s in during.seen if any(swap.touches(s) for swap in swaps)]
    everything = [*plain, *during.seen]
    failed = [s for s in everything if s.failed]
    ratio, detail = _slower(plain, touched)
    load = f"{len(during.seen)} requests of {CLIENTS} clients in {seconds:g} s, {len(swaps)} swaps"
    served = len({s.version for s in during.seen})
    return [
        _row(
            "failed requests under swaps",
            len(failed),
            "",
            0,
            Op.EQUAL,
            failed[0].failed or "" if failed else load,
        ),
        _row(
            "answers that mix versions",
            sum(s.mixed for s in everything),
            "",
            0,
            Op.EQUAL,
            f"each compared with what its version says by itself; {served} versions answered",
        ),
        _row("p95 latency during a swap / without", ratio, "x", 1.5, Op.AT_MOST, detail),
    ]


def _slower(plain: list[Seen], touched: list[Seen]) -> tuple[float | None, str]:
    if not plain or not touched:
        return None, "no request met a swap"
    without = percentile([s.took_s for s in plain], 0.95)
    during = percentile([s.took_s for s in touched], 0.95)
    return during / without, (
        f"{1000 * during:.0f} ms over {len(touched)} requests that met a swap, "
        f"{1000 * without:.0f} ms over {len(plain)} without"
    )


# -- rollback -------------------------------------------------------------------------------------


def _rolled_back(home: Home, url: str, times: int) -> list[Row]:
    """The command as a person gives it, with nothing running but the gateway."""
    resident, cold = [], []
    for _ in range(times):
        serve(home, url, 1)
        serve(home, url, 2)
        resident.append(timed_rollback(home, url, "v1"))
        for number in (1, 5, 6):
            serve(home, url, number)
        for name in ("v3", "v4"):  # asked by name, so that v1 gives way as the idle one
            body = body_of(home.questions[0], model=name)
            httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60).raise_for_status()
        wait_until_gone(url, "v1")
        cold.append(timed_rollback(home, url, "v1", "--to", "v1"))
    alone = "`almanac rollback` to the first answer; only the gateway runs; best of "
    return [
        _row(
            "rollback, previous version resident",
            min(resident),
            "s",
            1.0,
            Op.AT_MOST,
            f"{alone}{times}, worst {max(resident):.2f} s",
        ),
        _row(
            "rollback, cold",
            min(cold),
            "s",
            5.0,
            Op.AT_MOST,
            f"{alone}{times}, worst {max(cold):.2f} s; hashed, loaded and smoked first",
        ),
    ]


def serve(home: Home, url: str, number: int) -> None:
    """Promote a version, unless it is, and wait until it answers."""
    if home.registry.current()[1] != home.digests[number - 1]:
        home.registry.promote(
            "production", home.digests[number - 1], actor="bench", reason="to start from"
        )
    wait_for(url, f"v{number}")


def timed_rollback(home: Home, url: str, wanted: str, *more: str) -> float:
    """Seconds from the command's start to the first answer of the wanted version."""
    command = [sys.executable, "-m", "daemon", "--set", f"home={home.path}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ALMANAC_")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's second call finds it compiled
    started = time.monotonic()
    child = subprocess.Popen(
        [*command, "rollback", "--reason", "to measure it", *more],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(timeout=30) as client:
            while time.monotonic() - started < 60:
                answer = client.post(f"{url}/v1/chat/completions", json=body_of(home.questions[0]))
                if answer.headers.get("X-Almanac-Version") == wanted:
                    return time.monotonic() - started
                time.sleep(0.01)
    finally:
        if child.wait(60) != 0:
            raise ConfigError("the rollback command failed")
    raise RuntimeError(f"{wanted} did not answer within 60 s")


def _restarted(home: Home, times: int) -> list[Row]:
    took: list[float] = []
    for _ in range(times):
        began = time.monotonic()
        with gateway(home) as url:
            httpx.post(
                f"{url}/v1/chat/completions", json=body_of(home.questions[0]), timeout=60
            ).raise_for_status()
            took.append(time.monotonic() - began)
    detail = f"from nothing to the first answer; best of {times}, worst {max(took):.2f} s"
    return [_row("gateway started, adapter loaded", min(took), "s", 10.0, Op.AT_MOST, detail)]


# -- refusals, overhead, backpressure -------------------------------------------------------------


def _refused(home: Home, url: str, folder: Path) -> Row:
    serve(home, url, 1)
    wrong = refusals(home, url, folder, "v1")
    detail = "; ".join(f"{name}: {why}" for name, why in wrong.items()) or ", ".join(
        case.name for case in CASES
    )
    return _row(
        "bad versions refused, old one serving on",
        len(CASES) - len(wrong),
        "",
        len(CASES),
        Op.EQUAL,
        detail,
    )


def overhead(home: Home, pairs: int) -> list[Row]:
    """The same question to the engine itself and through HTTP, in pairs and random order.

    Whoever asks through HTTP is a process of its own, as users are: its work is not the gateway's.
    """
    from daemon.bench.serving_inside import inside

    draw, added = random.Random(0), []
    sampling = Sampling(max_new_tokens=ANSWER_TOKENS)
    with inside(home) as (engine, url), asker(url) as through:

        def direct(question: str) -> float:
            began = time.perf_counter()
            answer_directly(engine, None, question, sampling)
            return time.perf_counter() - began

        for number in range(pairs + 5):
            question = draw.choice(home.questions)
            if draw.random() < 0.5:
                alone, whole = direct(question), through(question)
            else:
                whole, alone = through(question), direct(question)
            if number >= 5:  # the first few warm both up
                added.append(whole - alone)
    detail = f"{pairs} pairs at concurrency 1, median {1000 * percentile(added, 0.5):.2f} ms"
    return [
        _row(
            "gateway over the engine, p95 added",
            1000 * percentile(added, 0.95),
            "ms",
            5.0,
            Op.AT_MOST,
            detail,
        )
    ]


def _flooded(home: Home, url: str, requests: int) -> list[Row]:
    """More at once than may wait: some are refused, none waits beyond the bound."""
    most, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.is_set():
            most[0] = max(most[0], health(url).get("waiting", 0))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(requests) as pool:
        answers = list(pool.map(lambda n: _one(home, url, n), range(requests)))
    stop.set()
    watcher.join()
    counts = Counter(answer.status_code for answer in answers)
    refused = [a for a in answers if a.status_code == 429]
    odd = sum(1 for a in answers if a.status_code not in (200, 429))
    odd += sum(1 for a in refused if int(a.headers.get("Retry-After", "0")) < 1)
    said = ", ".join(f"{count} x {status}" for status, count in sorted(counts.items()))
    return [
        _row("most requests waiting", most[0], "", _QUEUE, Op.AT_MOST, f"{requests} at once"),
        _row("refused with 429 and Retry-After", len(refused), "", 1, Op.AT_LEAST, said),
        _row("other than an answer or such a refusal", odd, "", 0, Op.EQUAL, said),
    ]


def _one(home: Home, url: str, number: int) -> httpx.Response:
    question = home.questions[number % len(home.questions)]
    return httpx.post(f"{url}/v1/chat/completions", json=body_of(question), timeout=120)


def _vllm() -> Row:
    return _row(
        "vLLM upstream against a real server",
        None,
        "",
        0,
        Op.EQUAL,
        "unverified: tested against a double of the protocol; set VLLM_URL and VLLM_BASE and "
        "run tests/integration/test_gateway_vllm.py where a server can be had",
    )
