"""The service, measured: start, stop, a full disk, two workers, kills, a year.

Owns the list of parts of `make bench-service`, and the starts and stops of each role. Each part
starts real processes on a home of its own; what cannot run here is a skipped row that says why.
`PART` runs one part alone, whose rows stand beside the kept ones of the others (`parts`).
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from sqlmodel import Session

from daemon.bench.rows import ROOT, Op, Row
from daemon.bench.service_chaos import chaos_rows
from daemon.bench.service_disk import disk_rows
from daemon.bench.service_soak import soak_rows
from daemon.bench.service_stop import STOP_LIMIT_S, stop_rows
from daemon.bench.service_workers import worker_rows
from daemon.store.engine import Database
from daemon.store.rows import ChangeRow

READY_LIMIT_S = 5.0
GATEWAY_LIMIT_S = 15.0
_NOWHERE = "http://127.0.0.1:9"
_WAIT_S = 120.0


def measure_parts(quick: bool) -> dict[str, list[Row]]:
    """Rows by part: all parts in turn, or the one that `PART` names."""
    wanted = os.environ.get("PART")
    if wanted and wanted not in PARTS:
        raise SystemExit(f"PART={wanted} is none of {', '.join(PARTS)}")
    chosen = [wanted] if wanted else list(PARTS)
    return {name: PARTS[name](quick) for name in chosen}


def measure(quick: bool) -> list[Row]:
    """The rows of what was measured now."""
    return [row for rows in measure_parts(quick).values() for row in rows]


def role_rows(quick: bool) -> list[Row]:
    """Start and stop each role on a database of many changes."""
    changes = 2_000 if quick else 100_000
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        fill(home, changes)
        for role, limit_s in (
            ("web", READY_LIMIT_S),
            ("worker", READY_LIMIT_S),
            ("gateway", GATEWAY_LIMIT_S),
        ):
            if quick and role == "gateway":
                continue
            starts, stops = zip(
                *(start_and_stop(home, role) for _ in range(1 if quick else 5)), strict=True
            )
            told = f"{changes} changes"
            rows.append(_row(f"{role}, start to ready", min(starts), limit_s, told))
            rows.append(_row(f"{role}, stop", max(stops), STOP_LIMIT_S, told))
    return rows


PARTS: dict[str, Callable[[bool], list[Row]]] = {
    "roles": role_rows,
    "stop": stop_rows,
    "disk": disk_rows,
    "chaos": chaos_rows,
    "workers": worker_rows,
    "soak": soak_rows,
}


def fill(home: Path, changes: int) -> None:
    """A home whose database holds so many changes that wait for nothing."""
    home.mkdir(parents=True)
    database = Database.open(f"sqlite:///{home / 'almanac.db'}")
    now = dt.datetime.now(dt.UTC)
    try:
        with database.write() as session:
            _insert(session, changes, now)
    finally:
        database.close()


def start_and_stop(home: Path, role: str) -> tuple[float, float]:
    """(seconds from start to ready, seconds from SIGTERM to the end) of one process."""
    port = _free_port()
    flags = [
        f"home={home}",
        f"web.port={port}",
        f"gateway.port={port}",
        *(f"wikidata.{name}={_NOWHERE}" for name in ("api_url", "stream_url", "sparql_url")),
        f"wikidata.wikipedia_url={_NOWHERE}",
    ]
    command = [sys.executable, "-m", "daemon", *(f"--set={flag}" for flag in flags), "up"]
    path = "healthz" if role == "gateway" else "readyz"
    began = time.monotonic()
    with (home / "service.log").open("ab") as log:
        child = subprocess.Popen(
            [*command, "--role", role],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    try:
        _until_ready(child, f"http://127.0.0.1:{port}/{path}")
        ready_s = time.monotonic() - began
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=_WAIT_S)
        return ready_s, time.monotonic() - began
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def _until_ready(child: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        if child.poll() is not None:
            raise RuntimeError(f"the service ended with status {child.returncode} before {url}")
        try:
            if httpx.get(url, timeout=2.0).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"{url} did not answer within {_WAIT_S:.0f} s")


def _insert(session: Session, number: int, now: dt.datetime) -> None:
    for start in range(0, number, 1000):
        session.add_all(
            ChangeRow(
                key=f"change-{n}",
                slot=f"slot-{n}",
                subject=f"Q{n + 1}",
                property="P6",
                state="live",
                fact={},
                created_at=now,
                updated_at=now,
            )
            for n in range(start, min(number, start + 1000))
        )
        session.flush()
        session.expunge_all()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _row(what: str, value: float, bar: float, detail: str) -> Row:
    return Row(what=what, value=round(value, 2), unit="s", bar=bar, op=Op.AT_MOST, detail=detail)
