"""Office histories: who held an office on any date, and what catching up from that date reports.

Owns reading of recorded histories (mandates from the query service, answers with dates), the truth
by plain intervals, and the comparison with `agents.wikidata.legacy` and a catch-up through the
watch itself.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import random
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlmodel import select

from agents.catch_up import catch_up
from agents.ledger import CandidateState
from agents.watch import Watcher
from agents.wikidata.entity import parse_entity
from agents.wikidata.legacy import holders_on
from agents.wikidata.view import value_key
from daemon.bench.rows import Op, Row
from daemon.bench.watch_data import recorded
from daemon.bench.watch_stage import HUMAN, Stage, served
from daemon.store.engine import Database
from daemon.store.ledger import SqlWatchLedger
from daemon.store.rows import CandidateRow
from knowledge.facts import Date

_ITEM = re.compile(r"/entity/(Q\d+)$")
_ANSWER = re.compile(r"^(?P<name>.*?)\s*(?:\|S:\s*(?P<start>[^|]*))?(?:\|E:\s*(?P<end>[^|]*))?$")
_NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
_DATES, _QUICK_DATES = 200, 12
_OFFICES_FROM = 2_200_000_000
_HOLDERS_FROM = 2_300_000_000


@dataclass(frozen=True, slots=True)
class Term:
    """A holder with the days between which he held it, as far as they are known."""

    holder: str
    start: Date | None
    end: Date | None

    def covers(self, day: dt.date) -> bool | None:
        """Whether it held on the day; None where that is not known."""
        if (self.start and self.start.earliest() > day) or (self.end and self.end.latest() <= day):
            return False
        if self.start is None or self.start.latest() > day:
            return None
        return None if self.end and self.end.earliest() <= day else True


@dataclass(frozen=True, slots=True)
class Office:
    """One history. `item` is made up, holders keep the recorded ids where there are any."""

    item: str
    name: str
    terms: tuple[Term, ...]

    def truth(self, day: dt.date) -> str | None:
        """Its only holder on the day; None where there is none, several, or nobody can tell."""
        sure = {t.holder for t in self.terms if t.covers(day)}
        perhaps = {t.holder for t in self.terms if t.covers(day) is None}
        return next(iter(sure)) if len(sure) == 1 and perhaps <= sure else None

    def possible(self, day: dt.date) -> frozenset[str]:
        return frozenset(t.holder for t in self.terms if t.covers(day) is not False)


def office_rows(quick: bool, show: Callable[[Table], None] | None = None) -> list[Row]:
    """The rows of the bench; one skipped row where no histories are at hand."""
    offices = list(histories())
    if not offices:
        return [_row("office histories: holder on a date", None, 1.0, "none at hand")]
    dates = _QUICK_DATES if quick else _DATES
    told, right, wrong, asked = [], 0, 0, 0
    for office in offices:
        good, bad, count = _compare(office, dates)
        right, wrong, asked = right + good, wrong + bad, asked + count
        told.append((office.name, len(office.terms), f"{good} / {count}", bad))
    found, expected, false = asyncio.run(_caught_up(offices[:8] if quick else offices))
    (show or Console(width=120).print)(_table(told))
    return [
        _row(
            "office histories: the holder on a date",
            right / asked if asked else None,
            1.0,
            f"{asked} dates with one holder, in {len(offices)} histories",
        ),
        _row("office histories: somebody else named", wrong, 0, "on any of the dates", Op.EQUAL),
        _row(
            "catch-up: changes since a date found",
            found / expected if expected else None,
            1.0,
            f"{found} of {expected}, one date a history, by statement dates or revision",
        ),
        _row("catch-up: changes that are none", false, 0, "", Op.EQUAL),
    ]


def histories() -> Iterator[Office]:
    """Every history at hand."""
    number = 0
    for path in recorded("*position-history-mandates-*.json"):
        terms = tuple(_mandates(json.loads(path.read_text(encoding="utf-8"))))
        yield Office(f"Q{_OFFICES_FROM + number}", path.stem.rpartition("-")[2], terms)
        number += 1
    for path in recorded("dyknow-qa_generated.json"):
        raw = json.loads(path.read_text(encoding="utf-8"))
        for name, answers in _answers(raw):
            terms = tuple(_terms(answers))
            if terms:
                yield Office(f"Q{_OFFICES_FROM + number}", name, terms)
                number += 1


def _mandates(raw: dict[str, Any]) -> Iterator[Term]:
    for row in raw["results"]["bindings"]:
        match = _ITEM.search(row["item"]["value"])
        if match:
            start, end = (_date(row, "start"), _date(row, "end"))
            yield Term(match.group(1), start, end)


def _date(row: dict[str, Any], which: str) -> Date | None:
    text = row.get(f"{which}_date", {}).get("value", "")
    precision = int(row.get(f"{which}_precision", {}).get("value", "11"))
    return Date.from_wikibase(text if text[:1] in "+-" else f"+{text}", precision)


def _answers(tree: Any, name: str = "") -> Iterator[tuple[str, list[str]]]:
    """Every list of dated answers in a file of questions, with its place as a name."""
    if isinstance(tree, dict):
        if isinstance(tree.get("answers"), list):
            yield name, tree["answers"]
        else:
            for key, part in tree.items():
                yield from _answers(part, f"{name} / {key}".strip(" /"))


def _terms(answers: list[str]) -> Iterator[Term]:
    for text in answers:
        match = _ANSWER.match(text.strip())
        if match and match.group("name"):
            holder = f"Q{_HOLDERS_FROM + sum(map(ord, match.group('name'))) * 977}"
            start, end = (_wikibase(match.group(part)) for part in ("start", "end"))
            yield Term(f"{holder}{len(match.group('name'))}", start, end)


def _wikibase(text: str | None) -> Date | None:
    """Zeros, or 1 January, for what is not known."""
    if not text or not text.strip():
        return None
    text = text.strip()
    precision = 9 if "-00-00T" in text else 10 if "-00T" in text else 11
    return Date.from_wikibase(text, precision)


def _days(office: Office, count: int) -> list[dt.date]:
    """Random days over the whole history, the same for every run."""
    known = [d for t in office.terms for d in (t.start, t.end) if d]
    if not known:
        return []
    first, last = min(d.earliest() for d in known), _NOW.date()
    rng = random.Random(office.name)
    return [first + dt.timedelta(days=rng.randrange((last - first).days + 1)) for _ in range(count)]


def _compare(office: Office, dates: int) -> tuple[int, int, int]:
    """(right, wrong, asked) over random days."""
    stage = Stage(_NOW, office.item)
    document = parse_entity(_put(stage, office), item=office.item)
    statements = document.claims.get("P1308", ())
    right = wrong = asked = 0
    for day in _days(office, dates):
        truth = office.truth(day)
        found = holders_on(statements, day)
        named = value_key(found[0]) if found else None
        asked += truth is not None
        right += truth is not None and named == truth
        wrong += named is not None and named not in office.possible(day)
    return right, wrong, asked


def _put(stage: Stage, office: Office) -> dict[str, Any]:
    made = stage.item(office.item, office.name, "Q4164871")
    for term in office.terms:
        stage.item(term.holder, f"holder {term.holder}", HUMAN)
        one = stage.statement(office.item, "P1308", term.holder, start=term.start, end=term.end)
        stage.has(office.item, one)
    return made


async def _caught_up(offices: Sequence[Office]) -> tuple[int, int, int]:
    """Catch up each office from one of its days to today: (found, expected, false)."""
    stage = Stage(_NOW - dt.timedelta(days=1), "offices")
    for office in offices:
        _put(stage, office)
    wikidata, api = served(stage.scenario(_NOW))
    wikidata.clock.now = _NOW
    found = expected = false = 0
    with tempfile.TemporaryDirectory() as scratch:
        database = Database.open(f"sqlite:///{scratch}/watch.db")
        ledger = SqlWatchLedger(database, _Fixed())
        await ledger.watch([o.item for o in offices])
        async with api:
            watcher = Watcher(api, ledger, _Fixed().now)
            since = {o.item: _days(o, 1)[-1] for o in offices if _days(o, 1)}
            for item, day in since.items():
                await catch_up(api, ledger, _Fixed().now, day, items=[item])
            while await watcher.reconcile():
                pass
        with database.read() as session:
            rows = session.exec(select(CandidateRow)).all()
            settled = {r.key for r in rows if r.state == CandidateState.SETTLED}
        database.close()
    for office in offices:
        day = since.get(office.item)
        now = office.truth(_NOW.date())
        then = office.truth(day) if day else None
        if then and now and then != now:
            expected += 1
            found += f"{office.item}:P1308:{then}:{now}" in settled
        mine = {key.split(":")[3] for key in settled if key.startswith(f"{office.item}:")}
        false += sum(new != "-" and new not in office.possible(_NOW.date()) for new in mine)
    return found, expected, false


class _Fixed:
    def now(self) -> dt.datetime:
        return _NOW


def _table(told: Sequence[tuple[str, int, str, int]]) -> Table:
    table = Table(title="holder on a random date: right / of", title_justify="left")
    for name in ("history", "terms", "right", "wrong"):
        table.add_column(name)
    for name, terms, right, wrong in told:
        table.add_row(name, str(terms), right, str(wrong))
    return table


def _row(what: str, value: float | None, bar: float, detail: str, op: Op = Op.AT_LEAST) -> Row:
    figure = None if value is None else round(value, 4)
    return Row(what=what, value=figure, unit="", bar=bar, op=op, detail=detail)
