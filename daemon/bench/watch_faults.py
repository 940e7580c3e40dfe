"""Fault runs: the same edits watched under random schedules of kills and misbehaviour.

Owns the story that is edited, the schedules, and the comparison: what was emitted must equal what
an undisturbed run emits, each change exactly once. The worker is `watch_worker`, killed with
SIGKILL at any moment; Wikidata is the local one over HTTP, with faults asked for through its
control path. Workers are forked from this process, which holds their imports and no threads.
"""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import random
import shutil
import signal
import socket
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlmodel import select

from daemon.bench import watch_worker
from daemon.bench.rows import Op, Row
from daemon.bench.watch_stage import AGENT, Stage, add, set_qualifier, set_rank, set_value
from daemon.clock import FileClock
from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.edits import EditKind
from daemon.demo.wikidata.scenario import Scenario
from daemon.store.engine import Database
from daemon.store.rows import ChangeRow, EventRow
from daemon.store.watch_list import add_items
from knowledge.facts import Date

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
DAYS = 64
_RETENTION = dt.timedelta(days=4)
_SCHEDULES, _QUICK = 500, 4
_QUIET_S = 120.0
"""A worker that has not come to rest after so long has hung; the schedule counts as failed."""
_DAY = dt.timedelta(days=1)
_FAULTS = ("429", "503", "maxlag", "truncate", "duplicate", "reorder", "jump", "silent")
Emitted = dict[str, tuple[str, int]]
"""By key: the change's last state, and how often it came to `settled`."""


@dataclass(slots=True)
class Run:
    """One schedule that was run."""

    seed: int
    emitted: Emitted = field(default_factory=dict)
    kills: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    hung: bool = False


def fault_rows(quick: bool) -> list[Row]:
    """`SCHEDULES` runs another number than 500 (or the few of `QUICK`)."""
    wanted = int(os.environ.get("SCHEDULES") or (_QUICK if quick else _SCHEDULES))
    with tempfile.TemporaryDirectory(dir=_fast()) as scratch, _Theatre(Path(scratch)) as theatre:
        plain = theatre.run(Run(seed=-1), disturbed=False)
        runs = [theatre.run(Run(seed=seed), disturbed=True) for seed in range(wanted)]
    wrong = [r for r in runs if r.hung or r.emitted != plain.emitted]
    twice = sum(times > 1 for r in runs for _, times in r.emitted.values())
    kills = sum(r.kills for r in runs)
    faults = sum((r.faults for r in runs), Counter[str]())
    told = ", ".join(f"{n} {c}" for n, c in sorted(faults.items()))
    bad = "; ".join(_difference(r, plain) for r in wrong[:3])
    return [
        Row(
            what="faults: schedules that emit what an undisturbed run emits",
            value=len(runs) - len(wrong),
            unit=f"of {len(runs)}",
            bar=_QUICK if quick else _SCHEDULES,
            op=Op.AT_LEAST,
            detail=f"{kills} kills; {told}; {len(plain.emitted)} changes; {bad}",
        ),
        Row(
            what="faults: changes emitted more than once",
            value=twice,
            unit="",
            bar=0,
            op=Op.EQUAL,
            detail="",
        ),
        Row(
            what="faults: changes that the undisturbed run emits",
            value=len(plain.emitted),
            unit="",
            bar=len(EXPECTED),
            op=Op.EQUAL,
            detail="by the story: " + ", ".join(sorted(EXPECTED)),
        ),
    ]


def _difference(run: Run, plain: Run) -> str:
    lost = sorted(plain.emitted.items() - run.emitted.items())
    more = sorted(run.emitted.items() - plain.emitted.items())
    return f"seed {run.seed}{' hung' if run.hung else ''}: lacks {lost}, has {more}"


def _fast() -> Path | None:
    return Path("/dev/shm") if Path("/dev/shm").is_dir() else None


# -- the story -----------------------------------------------------------------------------------

EXPECTED = (
    "Q9001:P6:Q8001:Q7001",
    "Q9002:P6:Q8002:Q7002",
    "Q9003:P6:Q8003:Q7003",
    "Q9004:P6:Q8004:Q7004",
    "Q9005:P6:Q8005:Q7005",
    "Q9006:P6:Q8006:-",
    "Q9007:P6:Q8007:Q7007",
    "Q9007:P6:Q7007:Q8007",
    "Q9011:P6:Q8010:Q7010",
)
"""The changes that the story contains; the last but one is taken back, the last is of a merge."""
_WATCHED = tuple(f"Q{number}" for number in (*range(9001, 9011), 9012, 9013))


def story() -> Scenario:
    """Ten offices in ten ways, among vandalism, a merge and a deletion. Short-lived noise is gone
    within a day, everything else stands longer than the longest outage."""
    stage = Stage(START, "faults")
    olds: dict[int, snaks.Json] = {}
    for number in range(1, 14):
        item, old, new = f"Q{9000 + number}", f"Q{8000 + number}", f"Q{7000 + number}"
        stage.item(item, f"Town {number}", "Q515")
        for person in (old, new):
            stage.item(person, f"Person {person}", "Q5")
        holder = "Q8010" if number == 11 else old
        olds[number] = stage.statement(item, "P6", holder, start=Date(2019, 5), rank="normal")
        stage.has(item, olds[number])
    for number in (1, 2, 3, 4, 5, 7):
        _succession(stage, number, olds[number])
    _ended(stage, 6, olds[6], at=_on(5))
    _vandals(stage, olds)
    _taken_back(stage, 7)
    stage.edit(_on(9), "Q9010", "/* wbcreateredirect:0||Q9010|Q9011 */", None, redirect="Q9011")
    _ended(stage, 11, olds[11], at=_on(24))
    _entered(stage, 11, at=_on(24, 1), value="Q7010")
    stage.edit(_on(30), "Q9012", "deleted", None, kind=EditKind.DELETE)
    return stage.scenario(START + dt.timedelta(days=DAYS))


def _succession(stage: Stage, number: int, old: snaks.Json) -> None:
    at = _on(2 + number)
    if number == 2:  # the new one first, at a day to come
        made = _entered(stage, number, at=at, day=_on(14))
        _ended(stage, number, old, at=at + _DAY / 24, day=_on(14))
        return
    if number == 3:  # ranks alone
        made = _entered(stage, number, at=at)
        change = set_rank("P6", made["id"], "preferred")
        stage.edit(at + _DAY, f"Q{9000 + number}", "/* wbsetclaim-update-rank:1||1 */", change)
        return
    _ended(stage, number, old, at=at)
    _entered(stage, number, at=at + (_DAY if number == 4 else _DAY / 48))


def _entered(
    stage: Stage, number: int, *, at: dt.datetime, day: dt.datetime | None = None, value: str = ""
) -> snaks.Json:
    item, when = f"Q{9000 + number}", day or at
    start = Date(when.year, when.month, when.day)
    made = stage.statement(item, "P6", value or f"Q{7000 + number}", start=start)
    stage.edit(at, item, "/* wbsetclaim-create:2||1|1 */", add(made))
    return made


def _ended(
    stage: Stage, number: int, old: snaks.Json, *, at: dt.datetime, day: dt.datetime | None = None
) -> None:
    when = day or at
    snak = snaks.time_snak("P582", Date(when.year, when.month, when.day))
    change = set_qualifier("P6", old["id"], snak)
    stage.edit(at, f"Q{9000 + number}", "/* wbsetclaim-update-qualifiers:1||1 */", change)


def _vandals(stage: Stage, olds: dict[int, snaks.Json]) -> None:
    for number, day in ((1, 20), (8, 4), (9, 6), (8, 17), (13, 12), (5, 33)):
        item, at, truth = f"Q{9000 + number}", _on(day), stage.story()
        stranger = stage.cast.stranger(day * 86_400)
        change = set_value("P6", olds[number]["id"], "Q8999")
        stage.edit(at, item, "/* wbsetclaim-update:2||1 */", change, by=stranger, truth=truth)
        stage.undo(at + _DAY / 3, item, truth)


def _taken_back(stage: Stage, number: int) -> None:
    """Long after it has been emitted the succession turns out to be wrong."""

    def change(entity: snaks.Json) -> None:
        group = entity["claims"]["P6"]
        group[0].pop("qualifiers", None)
        group[0].pop("qualifiers-order", None)
        del group[1:]

    stage.edit(_on(31), f"Q{9000 + number}", "/* undo:0||1|somebody */", change)


def _on(day: float, hour: float = 8.0) -> dt.datetime:
    return START + dt.timedelta(days=day, hours=hour)


# -- the schedules -------------------------------------------------------------------------------


class _Theatre:
    """One server for all schedules, and an empty database to begin each with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = FileClock(folder / "clock")
        self._clock.set(START)
        self._template = folder / "template.db"
        self._listening = socket.socket()
        self._http = httpx.Client(headers={"User-Agent": AGENT}, timeout=10, trust_env=False)
        self.url = ""

    def __enter__(self) -> _Theatre:
        database = Database.open(f"sqlite:///{self._template}")
        with database.write() as session:
            add_items(session, _WATCHED, START)
        database.close()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(64)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        context = multiprocessing.get_context("fork")
        self._server = context.Process(
            target=watch_worker.serve,
            args=(story(), self._listening, self._folder / "clock", _RETENTION),
            daemon=True,
        )
        self._server.start()
        for _ in range(400):
            try:
                self._http.get(f"{self.url}/_control/status")
                return self
            except httpx.TransportError:
                time.sleep(0.05)
        raise RuntimeError("the local Wikidata of the fault runs does not answer")

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        self._server.join(5)
        self._listening.close()
        self._http.close()

    def run(self, run: Run, *, disturbed: bool) -> Run:
        """One schedule from the first day to the last."""
        home = self._folder / f"run{run.seed}"
        home.mkdir()
        shutil.copy(self._template, home / "watch.db")
        rng = random.Random(run.seed)
        self._ask_faults(dict.fromkeys((*_FAULTS, "cut_stream_after"), 0) | {"wait_ms": 20})
        self._set_clock(START)
        child = self._until_quiet(run, home, None)
        day, absent = 0.0, 0
        while day < DAYS and not run.hung:
            tail = day > DAYS - 20
            step = 1.0
            if disturbed:
                step = 4.0 if tail else rng.choice((1.1, 2.3, 3.4))
            day = min(DAYS, day + step)
            self._set_clock(START + dt.timedelta(days=day))
            if not disturbed or tail:
                self._ask_faults(dict.fromkeys((*_FAULTS, "cut_stream_after"), 0))
                child = self._until_quiet(run, home, child)
                continue
            if absent or rng.random() < 0.08:  # down for up to nine days
                child = self._kill(run, child) if child else None
                absent = (absent or rng.randrange(1, 4)) - 1
                continue
            self._ask_faults(self._drawn(run, rng))
            while rng.random() < 0.45:
                child = child or self._fork(home)
                time.sleep(rng.random() ** 2 * 0.25)
                child = self._kill(run, child)
            child = self._until_quiet(run, home, child)
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        run.emitted = _emitted(home / "watch.db")
        shutil.rmtree(home)
        return run

    def _drawn(self, run: Run, rng: random.Random) -> dict[str, int]:
        asked = {name: rng.randrange(1, 4) for name in _FAULTS if rng.random() < 0.15}
        if rng.random() < 0.3:
            asked["cut_stream_after"] = rng.randrange(1, 30)
        run.faults.update(asked)
        return {"cut_stream_after": 0, **asked}

    def _ask_faults(self, asked: dict[str, int]) -> None:
        self._http.post(f"{self.url}/_control/faults", json=asked).raise_for_status()

    def _set_clock(self, now: dt.datetime) -> None:
        self._clock.set(now)
        wanted = now.isoformat()
        while self._http.get(f"{self.url}/_control/status").json()["now"] != wanted:
            time.sleep(0.005)

    def _fork(self, home: Path) -> int:
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            watch_worker.work(home, self.url, self._folder / "clock")
            code = 0
        except BaseException:
            (home / "error").write_text(traceback.format_exc(), encoding="utf-8")
        finally:
            os._exit(code)

    def _kill(self, run: Run, child: int) -> None:
        run.kills += 1
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    def _until_quiet(self, run: Run, home: Path, child: int | None) -> int:
        """Let a worker come to rest at the present clock."""
        child = child or self._fork(home)
        wanted = self._clock.now().isoformat()
        ends = time.monotonic() + _QUIET_S
        while watch_worker.rested(home) != wanted:
            time.sleep(0.005)
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                error = home / "error"
                told = error.read_text(encoding="utf-8") if error.exists() else f"status {status}"
                raise RuntimeError(f"a worker of the fault runs ended by itself: {told}")
            if time.monotonic() > ends:
                run.hung = True
                return child
        return child


def _emitted(path: Path) -> Emitted:
    database = Database(f"sqlite:///{path}")
    try:
        with database.read() as session:
            changes = {str(c.id): c for c in session.exec(select(ChangeRow)).all()}
            settled: Counter[str] = Counter()
            for event in session.exec(select(EventRow)).all():
                if event.entity == "change" and event.from_state == "settling":
                    settled[changes[event.entity_id].key] += _counts(event)
            return {
                key: (max(c.state for c in changes.values() if c.key == key), times)
                for key, times in settled.items()
                if times
            }
    finally:
        database.close()


def _counts(event: EventRow) -> int:
    """A change came to its end: emitted, or it took back one that was."""
    return int(event.to_state == "settled" or "takes back" in event.reason)
