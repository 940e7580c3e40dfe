"""The current view of one property of an item: which statements hold at a moment.

Owns the rules of time and rank: time is filtered before rank, precision counts, an end that
somebody knows of but not when is an end. Does not compare states (`diff`) or judge (`classify`).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from knowledge.facts import Date, Rank, Snak, SnakKind, Statement

START = "P580"
END = "P582"
POINT = "P585"
ACTING = "Q4676846"
"""The item `acting`, as the value of any qualifier."""

ENDS = (END, "P8554", "P12506", "P3416")
"""Qualifiers that say that a statement has ended."""
_YEAR = re.compile(r"^([+-])(\d+)-")


class Phase(StrEnum):
    """Where a statement stands in time."""

    RUNNING = "running"
    ENDED = "ended"
    NOT_STARTED = "not_started"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True)
class View:
    """The statements that hold. For a functional property more than one value is ambiguous."""

    held: tuple[Statement, ...] = ()

    @property
    def values(self) -> frozenset[str]:
        """Canonical values held; statements without a known value do not count."""
        return frozenset(value_key(s) for s in self.held if has_value(s))

    def of(self, value: str) -> Statement:
        """The statement behind a value, the preferred and longest qualified first. KeyError."""
        found = [s for s in self.held if value_key(s) == value]
        if not found:
            raise KeyError(value)
        return max(found, key=lambda s: (s.rank is Rank.PREFERRED, len(s.qualifiers), s.id))


def value_key(statement: Statement) -> str:
    """What a statement says, as text; somevalue and novalue included."""
    snak = statement.mainsnak
    return snak.value if snak.kind is SnakKind.VALUE else f"({snak.kind})"


def has_value(statement: Statement) -> bool:
    return statement.mainsnak.kind is SnakKind.VALUE


def is_acting(statement: Statement) -> bool:
    return any(q.value == ACTING for q in statement.qualifiers)


def qualifier_date(statement: Statement, property_id: str) -> Date | None:
    """The latest date of a qualifier; None when absent, unknown, or coarser than a year."""
    dates = [d for q in statement.qualifiers if q.property == property_id and (d := q.date())]
    return max(dates, key=lambda d: d.latest(), default=None)


def reached(snak: Snak, day: dt.date) -> bool:
    """Whether a date qualifier lies at or before the day. A year or month is reached as soon as it
    has begun; `somevalue` is a date that somebody knows to have passed; `novalue` never comes."""
    if snak.kind is not SnakKind.VALUE:
        return snak.kind is SnakKind.SOMEVALUE
    if snak.datatype != "time":
        return True
    date = _date(snak)
    if date is not None:
        return date.earliest() <= day
    match = _YEAR.match(snak.value)
    return bool(match) and (match.group(1) == "-" or int(match.group(2)) <= day.year)


def phase(statement: Statement, day: dt.date) -> Phase:
    """Where the statement stands on that day, by its qualifiers alone."""
    if statement.rank is Rank.DEPRECATED:
        return Phase.DEPRECATED
    if any(q.property in ENDS and reached(q, day) for q in statement.qualifiers):
        return Phase.ENDED
    starts = [q for q in statement.qualifiers if q.property == START]
    if starts and not any(reached(q, day) or q.kind is SnakKind.NOVALUE for q in starts):
        return Phase.NOT_STARTED
    return Phase.RUNNING


def current_view(statements: Iterable[Statement], day: dt.date, *, dated: bool = False) -> View:
    """What holds on that day; `dated` is for figures with a point in time (P585): the latest."""
    running = [s for s in statements if phase(s, day) is Phase.RUNNING]
    if dated:
        return View(tuple(_latest(running, day)))
    preferred = [s for s in running if s.rank is Rank.PREFERRED]
    held = preferred or running
    return View(tuple(sorted(held, key=lambda s: (value_key(s), s.id))))


def _latest(running: list[Statement], day: dt.date) -> list[Statement]:
    points = [(d, s) for s in running if (d := qualifier_date(s, POINT)) and d.earliest() <= day]
    if not points:
        preferred = [s for s in running if s.rank is Rank.PREFERRED]
        return sorted(preferred or running, key=lambda s: (value_key(s), s.id))
    last = max(d.latest() for d, _ in points)
    best = [s for d, s in points if d.latest() == last]
    return sorted(best, key=lambda s: (value_key(s), s.id))


def _date(snak: Snak) -> Date | None:
    try:
        date = snak.date()
        if date is not None:
            date.latest()
        return date
    except ValueError:  # a month 13 or a year 0 that some old edit left behind
        return None
