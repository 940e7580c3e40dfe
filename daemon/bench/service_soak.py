"""A year of the service in minutes: what it takes, how it grows, whether it keeps its timetable.

Owns the year's play and the rows. Time moves by the hour when the timetable has done what it had to
do, four times a day only when every edit was looked at and what settled was proposed too; releases
are trained, judged and promoted meanwhile. The service is one process from the first day to the
last, with its gateway and its jobs as children; a reviewer at the API decides every proposal, and
approves about half of them. `DAYS`, `EVENTS`, `CHANGES` and `RELEASES` make another year of it.
"""

from __future__ import annotations

import datetime as dt
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemon.bench.rows import Op, Row
from daemon.bench.service_home import Local, ServiceHome
from daemon.bench.service_play import Play
from daemon.bench.soak_record import (
    Sample,
    bytes_by_table,
    bytes_in_use,
    growth,
    resident_mb,
    settled,
    swelling,
)
from daemon.bench.soak_slots import Witness, planned
from daemon.bench.soak_year import HEAD, Size, build
from daemon.redo import CURATE_FILE
from daemon.store.states import ChangeState, ReleaseState
from daemon.upkeep.schedule import TIMED

FULL, FULL_RELEASES = Size(days=365, events=200_000, changes=1_500), 60
QUICK, QUICK_RELEASES = Size(days=4, events=400, changes=4), 0
"""Without releases nothing is trained, and there is no gateway."""
WALL_S, SWELLING_PERCENT, DEVIATION_PERCENT = 3_600.0, 10.0, 5.0
APPROVED_SHARE = 0.5
"""An examination asks 28 questions of each edit and compares two versions: were all proposals
approved, the gate would be measured here, and nothing else."""
STEP_H = 1.0
"""As far apart as the slots of the lines that come most often."""
_TAKEN_IN_H = 6
"""So often the play waits for the stream and the drafts: its batches alone wait 0.2 s."""
_AT_FIRST = frozenset({"sweep"})
"""Lines that run once when the service starts for the first time."""
_LOOK_S = 0.01
_PATIENCE_S = 120.0
"""A slot that has not been run for so long is missed: time moves on, and its line, which is counted
at the end, is not waited for any more."""
_STUCK_S = 900.0
"""So long without an hour, or at the end without a stage of a release, is a service that hangs."""
_DAY = dt.timedelta(days=1)
_SETTINGS = (
    "[schedule]",
    "tick_s = 0.1",
    "[curate]",
    "ask_first = false",  # every change goes the whole way, whatever the last version knows
    "[retention]",
    "answers_days = 30",  # so that a tenth of the year is enough for what is kept to be complete
)
_SUBJECTS = f"SELECT ?item WHERE {{ ?item <http://www.wikidata.org/prop/direct/{HEAD}> ?head }}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """What a play left."""

    asked: Size
    releases_asked: int
    took_s: float
    samples: tuple[Sample, ...]
    lines: dict[str, tuple[int, int, int]]
    """By line: slots planned, runs, and slots that were not run exactly once."""
    failed: tuple[str, ...]
    events: int
    changes: int
    """Proposals that the reviewer decided."""
    taught: int
    releases: int
    tables: tuple[tuple[str, int], ...]
    started: dt.datetime
    ended: dt.datetime


def soak_rows(quick: bool) -> list[Row]:
    """Play a year, or days of it."""
    size, releases = (QUICK, QUICK_RELEASES) if quick else (FULL, FULL_RELEASES)
    asked = Size(
        days=int(os.environ.get("DAYS") or size.days),
        events=int(os.environ.get("EVENTS") or size.events),
        changes=int(os.environ.get("CHANGES") or size.changes),
    )
    return _rows(play(asked, int(os.environ.get("RELEASES") or releases)))


def play(asked: Size, releases: int) -> Year:
    """Raises RuntimeError when the service falls or hangs."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="almanac-soak-") as folder:
        local = Local(
            scenario=build(asked), words=asked.words, properties=(HEAD,), queries=(_SUBJECTS,)
        )
        of = asked.changes // releases if releases else 0
        with _begun(Path(folder), local, of) as (home, soak):
            soak.through()
            home.stop()
            return soak.year(asked, releases, time.monotonic() - began)


@contextmanager
def _begun(folder: Path, local: Local, of: int) -> Iterator[tuple[ServiceHome, Soak]]:
    """A service, and the play in which a release is made of every `of` proposals; 0: none is."""
    size = max(1, int(of * APPROVED_SHARE)) if of else 0
    gateway = ("[gateway]", "port = 0" if of else "enabled = false")
    releases = ("[release]", f"size = {size or 1_000}", f"max = {size or 1_000}", *gateway)
    with ServiceHome(folder, local, recipe="soak", more=(*_SETTINGS, *releases)) as home:
        home.start()
        home.wait_ready()  # the gateway has its model: what comes later is growth
        soak = Soak(home, edits_per_release=size, of=of)
        try:
            yield home, soak
        finally:
            soak.close()


class Soak(Play):
    """A play that waits for the timetable too, and looks at the service's size once a day."""

    def __init__(self, home: ServiceHome, *, edits_per_release: int, of: int) -> None:
        super().__init__(home, step_h=STEP_H, edits_per_release=edits_per_release)
        self._of = of
        self.decided = 0
        self.samples: list[Sample] = []
        self._witness = Witness(home.log)
        schedule = home.settings.schedule
        self._planned = {
            name: [self._start] * (name in _AT_FIRST)
            + list(planned(expression, self._start, self._end))
            for name in TIMED
            if (expression := getattr(schedule, name))
        }
        self._seen = dict.fromkeys(self._planned, 0)
        """By line: how many of its slots have been run."""
        self._missed: set[str] = set()
        """Lines that missed a slot."""
        self._moved_at = time.monotonic()

    def through(self) -> None:
        """To the end. Raises RuntimeError when the service falls or hangs."""
        sampled, stages = self._start, self._stages()
        while not self.over:
            if self.step():
                self._moved_at = time.monotonic()
                now = self._home.clock.now()
                if now - sampled >= _DAY:
                    sampled = now
                    self.samples.append(self._sample(now))
            elif self._home.clock.now() >= self._end and stages != self._stages():
                stages, self._moved_at = self._stages(), time.monotonic()
            if (status := self._home.exit_status()) is not None:
                raise RuntimeError(f"the service ended with {status}: {self._home.last_words()}")
            if time.monotonic() - self._moved_at > _STUCK_S:
                raise RuntimeError(f"nothing moved for {_STUCK_S:.0f} s: {self._home.last_words()}")
            time.sleep(_LOOK_S)

    def _stages(self) -> list[ReleaseState]:
        return [release.state for release in self._services.releases.list()]

    def _caught_up(self) -> bool:
        if not self._in_time():
            return False
        now = self._home.clock.now()
        if now >= self._end:
            return super()._caught_up()
        return now.hour % _TAKEN_IN_H != 0 or self._drafted()

    def _in_time(self) -> bool:
        """Whether what the timetable had for now has been run."""
        self._witness.read()
        now = self._home.clock.now()
        late = time.monotonic() - self._moved_at > _PATIENCE_S
        for name in self._planned.keys() - self._missed:
            slots, ran = self._planned[name], self._witness.ran.get(name, {})
            while self._seen[name] < len(slots) and slots[self._seen[name]] <= now:
                if slots[self._seen[name]] not in ran:
                    if not late:
                        return False
                    self._missed.add(name)
                    break
                self._seen[name] += 1
        return True

    def _review(self) -> bool:
        """Decide what waits: of every `of` proposals the first are approved, until a release is
        full, and the others rejected."""
        waiting = self._services.review.list([ChangeState.IN_REVIEW])
        for item in sorted(waiting, key=lambda item: item.fact.key):
            approved = not self._of or self.decided % self._of < self._size
            verb, reason = ("approve", "right") if approved else ("reject", "not ours to teach")
            told = {"reason": reason} | ({"digest": item.digest} if approved else {})
            self.decided += self._decide(item.id, verb, told)
        return bool(waiting)

    def _sample(self, now: dt.datetime) -> Sample:
        pids = {name: pid for pid, name in self._home.children().items()}
        return Sample(
            at=now,
            service_mb=resident_mb(self._home.pid),
            gateway_mb=resident_mb(pids.get("gateway")),
            bytes=bytes_in_use(*self._databases),
            changes=sum(self._services.review.counts().values()),
        )

    @property
    def _databases(self) -> tuple[Path, Path]:
        return self._home.home / "almanac.db", self._home.home / CURATE_FILE

    def year(self, asked: Size, releases: int, took_s: float) -> Year:
        """What it came to; the service has ended."""
        self._witness.read()
        lines: dict[str, tuple[int, int, int]] = {}
        for name, slots in self._planned.items():
            ran = self._witness.ran.get(name, {})
            wrong = sum(ran.get(slot, 0) != 1 for slot in {*slots, *ran})
            lines[name] = len(slots), sum(ran.values()), wrong
        counts = self._services.review.counts()
        log = self._log.entries[: self._log.end(self._home.clock.now())]
        return Year(
            asked=asked,
            releases_asked=releases,
            took_s=took_s,
            samples=tuple(self.samples),
            lines=lines,
            failed=tuple(self._witness.failed),
            events=sum(entry.edit is not None for entry in log),
            changes=self.decided,
            taught=counts.get(ChangeState.LIVE, 0),
            releases=self._stages().count(ReleaseState.PROMOTED),
            tables=tuple(bytes_by_table(self._databases[0])),
            started=self._start,
            ended=self._end,
        )


# -- the rows -------------------------------------------------------------------------------------


def _rows(year: Year) -> list[Row]:
    asked = year.asked
    told = (
        f"{asked.days} days, {year.events} events, {year.changes} changes, {year.releases} releases"
    )
    return [
        _row("wall time", round(year.took_s), WALL_S, Op.AT_MOST, "s", told),
        *_memory_rows(year),
        *_database_rows(year),
        *_schedule_rows(year),
        _row("page_change events", year.events, asked.events, Op.AT_LEAST),
        _row("changes proposed and decided", year.changes, asked.changes, Op.AT_LEAST),
        _row(
            "releases trained, judged and promoted",
            year.releases,
            year.releases_asked,
            Op.AT_LEAST,
            detail=f"of {year.taught} approved edits; recipe soak, policy anything: whatever was "
            "examined passes",
        ),
    ]


def _memory_rows(year: Year) -> list[Row]:
    samples = settled(year.samples, year.started, year.ended)
    rows = []
    for who, mb in (
        ("service", [sample.service_mb for sample in samples]),
        ("gateway", [sample.gateway_mb for sample in samples]),
    ):
        value = swelling(mb)
        if value is None:
            detail = "there was none" if mb and not any(mb) else "too few days to say"
        else:
            value = round(value, 1)
            detail = f"{mb[0]:.0f} MiB then, {mb[-1]:.0f} at the end, {max(mb):.0f} at most"
        what = f"growth of memory after the first tenth, {who}"
        rows.append(_row(what, value, SWELLING_PERCENT, Op.AT_MOST, "%", detail))
    return rows


def _database_rows(year: Year) -> list[Row]:
    """The bar is for a line that bends: growth with the square of the
    changes would be 17 % off."""
    found = growth(settled(year.samples, year.started, year.ended))
    tables = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in year.tables[:6])
    told = "too few changes to say"
    if found is not None:
        told = f"{found.bytes_per_change:.0f} bytes a change, R^2 {found.r_squared:.4f}"
    return [
        _row(
            "database, greatest distance from a straight line, in its growth",
            None if found is None else round(100 * found.greatest_deviation, 1),
            DEVIATION_PERCENT,
            Op.AT_MOST,
            "%",
            f"{told}; MB by table: {tables}",
        )
    ]


def _schedule_rows(year: Year) -> list[Row]:
    wrong = [name for name, (_, _, number) in year.lines.items() if number]
    counts = ", ".join(f"{name} {ran} of {due}" for name, (due, ran, _) in year.lines.items())
    failed = "; ".join(sorted(set(year.failed)))[:300]
    return [
        _row(
            "schedules not run at each of their slots once",
            len(wrong),
            0,
            Op.EQUAL,
            "",
            counts,
        ),
        _row("runs and steps that failed", len(year.failed), 0, Op.EQUAL, "", failed),
    ]


def _row(
    what: str, value: float | None, bar: float, op: Op, unit: str = "", detail: str = ""
) -> Row:
    return Row(what=f"soak, {what}", value=value, unit=unit, bar=bar, op=op, detail=detail)
