"""The timetable: what runs when, what ran last, and what a person has paused.

Owns the `schedule` table and the names of its lines. A slot is marked before its work begins and
counted when it has ended, so a crash runs it again, and missed ones are made up for once. When a
slot is due is `daemon.timetable`'s rule; the work itself is the service loop's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlmodel import Session, col, select

from daemon.clock import Clock
from daemon.errors import NotFound
from daemon.operating import ScheduleSettings
from daemon.store.engine import Database
from daemon.store.rows import ScheduleRow
from daemon.store.states import record_event
from daemon.timetable import Cron, due, ran_ahead

EVERYTHING = "all"
"""Paused: nothing is taken in, drafted, trained or promoted. Reviewing and serving go on."""
CONTINUOUS = ("poll", "curate", "train", "evaluate", "promote")
"""Lines that run whenever there is something to do, unless the settings give them times."""
TIMED = ("sweep", "discovery", "audit", "release", "integrity", "retention", "backup")
NAMES = (*CONTINUOUS, *TIMED)
_AT_FIRST_START = frozenset({"sweep"})

log = structlog.get_logger()
Fence = Callable[[Session], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the timetable. No expression: whenever there is something to do."""

    name: str
    expression: str
    paused: bool
    paused_reason: str
    next: tuple[dt.datetime, ...]
    runs: int
    last_started: dt.datetime | None
    last_ended: dt.datetime | None
    outcome: str


class Schedule:
    """Blocking calls. Raises ConfigError at once for expressions that are none."""

    def __init__(self, database: Database, clock: Clock, settings: ScheduleSettings) -> None:
        self._database = database
        self._clock = clock
        self._timezone = settings.timezone
        self._crons = {
            name: Cron(expression, settings.timezone)
            for name in NAMES
            if (expression := getattr(settings, name, ""))
        }

    def has_times(self, name: str) -> bool:
        """Whether the line runs at planned times, rather than whenever there is work."""
        return name in self._crons

    def lines(self, upcoming: int = 1) -> list[Line]:
        """Every line with its next slots; a paused one has none."""
        now = self._clock.now()
        with self._database.read() as session:
            rows = {row.name: row for row in session.exec(select(ScheduleRow)).all()}
        everything = rows.get(EVERYTHING)
        whole = everything is not None and everything.paused
        found = []
        for name in NAMES:
            cron, row = self._crons.get(name), rows.get(name)
            if cron is None and name in TIMED:
                continue  # no time was given, so it never runs by itself
            paused = whole or (row is not None and row.paused)
            reason = row.paused_reason if row and row.paused else ""
            found.append(
                Line(
                    name=name,
                    expression=cron.expression if cron else "",
                    paused=paused,
                    paused_reason=reason or (everything.paused_reason if whole else ""),  # type: ignore[union-attr]
                    next=tuple(cron.upcoming(now, upcoming)) if cron and not paused else (),
                    runs=row.runs if row else 0,
                    last_started=row.last_started if row else None,
                    last_ended=row.last_ended if row else None,
                    outcome=row.outcome if row else "",
                )
            )
        return found

    def paused(self) -> frozenset[str]:
        """Names of the lines that are paused now."""
        with self._database.read() as session:
            names = session.exec(
                select(ScheduleRow.name).where(col(ScheduleRow.paused).is_(True))
            ).all()
        return frozenset(NAMES) | {EVERYTHING} if EVERYTHING in names else frozenset(names)

    def pause(self, names: Sequence[str], *, actor: str, reason: str) -> None:
        """Start nothing of these lines any more; what runs ends. Raises NotFound."""
        self._set(names, True, actor=actor, reason=reason)

    def resume(self, names: Sequence[str], *, actor: str, reason: str = "") -> None:
        """Go on from now: slots that passed meanwhile stay unrun. Raises NotFound."""
        self._set(names, False, actor=actor, reason=reason)

    def ask(self, name: str, *, actor: str) -> None:
        """Have a line's work done once, as soon as a leader looks. Raises NotFound."""
        _known([name])
        now = self._clock.now()
        with self._database.write() as session:
            row = _row(session, name, now)
            row.running_slot = row.running_slot or now
            session.add(row)
            record_event(session, "schedule", name, actor=actor, reason="asked for", now=now)

    def begin(self, name: str, fence: Fence) -> dt.datetime | None:
        """The slot whose work is to be done now, marked as begun; None when there is none.

        `fence` proves in the same transaction that the caller leads.
        """
        now = self._clock.now()
        with self._database.read() as session:
            row = session.get(ScheduleRow, name)
            if row is not None and not self._is_due(name, row, now):
                return None
        with self._database.write() as session:
            fence(session)
            first = session.get(ScheduleRow, name) is None
            row = _row(session, name, now)
            if ran_ahead(row.counted_from, now):
                log.warning("schedule.clock_was_set_back", line=name, now=now.isoformat())
                row.counted_from = now
            cron = self._crons.get(name)
            slot = row.running_slot or (due(cron, row.counted_from, now) if cron else None)
            if slot is None and first and name in _AT_FIRST_START:
                slot = now
            if slot is not None:
                row.running_slot, row.last_started = slot, now
            session.add(row)
            return slot

    def end(self, name: str, slot: dt.datetime, outcome: str, fence: Fence) -> None:
        """Count the slot as run."""
        now = self._clock.now()
        with self._database.write() as session:
            fence(session)
            row = _row(session, name, now)
            row.counted_from = max(row.counted_from, slot)
            row.running_slot, row.last_ended, row.outcome = None, now, outcome
            row.runs += 1
            session.add(row)

    def _is_due(self, name: str, row: ScheduleRow, now: dt.datetime) -> bool:
        if row.running_slot is not None or ran_ahead(row.counted_from, now):
            return True
        cron = self._crons.get(name)
        return cron is not None and due(cron, row.counted_from, now) is not None

    def _set(self, names: Sequence[str], paused: bool, *, actor: str, reason: str) -> None:
        chosen = list(names) or [EVERYTHING]
        _known(chosen)
        now = self._clock.now()
        with self._database.write() as session:
            for name in chosen:
                row = _row(session, name, now)
                if row.paused and not paused:
                    row.counted_from = now
                row.paused, row.paused_by, row.paused_reason = paused, actor, reason
                session.add(row)
                what = "paused" if paused else "resumed"
                text = f"{what}: {reason}" if reason else what
                record_event(session, "schedule", name, actor=actor, reason=text, now=now)
            if EVERYTHING in chosen and not paused:
                for row in session.exec(select(ScheduleRow)).all():
                    row.counted_from = now
                    session.add(row)


def _row(session: Session, name: str, now: dt.datetime) -> ScheduleRow:
    return session.get(ScheduleRow, name) or ScheduleRow(name=name, counted_from=now)


def _known(names: Sequence[str]) -> None:
    for name in names:
        if name not in NAMES and name != EVERYTHING:
            known = ", ".join((EVERYTHING, *NAMES))
            raise NotFound(f"the timetable has no line {name!r}; it has {known}")
