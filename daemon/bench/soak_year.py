"""A long time on a local Wikidata of its own: towns change their heads, and nearly all edits are of
other items. `python -m daemon.bench.soak_year` serves it.

Owns the size of a year, its items and its edits, drawn from a seed. Nothing here knows the service.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import random
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.bench.watch_stage import HUMAN, Stage, add, set_qualifier, set_value
from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.__main__ import bound, serve
from daemon.demo.wikidata.lifeline import end_with_parent
from daemon.demo.wikidata.plan import about, created
from daemon.demo.wikidata.scenario import Scenario
from daemon.demo.wikidata.server import LocalWikidata
from daemon.demo.wikidata.snaks import Json
from knowledge.facts import Date

HEAD = "P6"
TOWN = "Q515"
START = dt.datetime(2025, 11, 1, tzinfo=dt.UTC)
_SEED = "soak"
_FIRST_TOWN, _FIRST_PERSON, _FIRST_OTHER = 2_300_000_000, 2_310_000_000, 2_320_000_000
_TOWNS, _OTHERS = 60, 1_000
"""Watched items, and items whose edits the stream tells of and nobody watches."""
_WATCHED_EVERY = 20
"""One event in so many is of a watched item, as in the watch's bench (on Wikidata far fewer)."""
_CALM = dt.timedelta(days=5)
"""Nothing changes so shortly before the end: what began is through by then."""
_APART = dt.timedelta(days=4)
"""Vandalism keeps so far from a succession of its town: it would put it back to the beginning of
its waiting time, and a rollback could undo it too."""
_STEMS = "Alder Bram Cald Dun Elm Fern Glen Harrow Ister Kell Lang Mar Nor Ost Pen Quen"
_ENDINGS = "ford by ham wick mouth stead ton dale burgh haven ley mere rup vik gate hurst"
_FIRST_NAMES = (
    "Ada Boris Clara Dario Edda Franz Greta Hugo Ines Jonas Karin Ludo Mona Nils Olga Pavel Rita "
    "Sven Tilda Urs Vera Walt Xenia Yann Zora Anton Berta Cyril Doris Emil Fanny Georg Hilda Ivan "
    "Judit Kurt Lena Milan Nora Otto Petra Ralf Silke Timo Ulla Viktor Wanda Arno Britta Carl"
)
_LAST_NAMES = (
    "Abel Brandt Corvin Dahl Ekman Falk Gruber Holm Ibsen Jansen Kovac Lund Moser Novak Olsen Pohl "
    "Quist Rossi Sandel Tamm Ullman Vogel Winter Ystad Zeller Anders Becker Cruz Duval Egger "
    "Fabian Grimm Hansen Iversen Jung Keller Larsen Meier Nagel Oster"
)

Moment = dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How long, how much on the stream, and how many changes of heads."""

    days: int
    events: int
    changes: int

    @property
    def words(self) -> tuple[str, ...]:
        """The command that serves it, after the interpreter's name."""
        numbers = ("--days", self.days, "--events", self.events, "--changes", self.changes)
        return ("-m", "daemon.bench.soak_year", *map(str, numbers))


def build(size: Size) -> Scenario:
    """The same for the same size."""
    return _Year(size).scenario()


class _Year:
    def __init__(self, size: Size) -> None:
        self._size = size
        self._end = START + dt.timedelta(days=size.days)
        self._stage = Stage(START, _SEED)
        self._rng = random.Random(f"{_SEED}:{size}")
        names = [
            f"{a} {b}" for a, b in itertools.product(_FIRST_NAMES.split(), _LAST_NAMES.split())
        ]
        self._rng.shuffle(names)
        self._names = iter(names)
        self._persons = itertools.count(_FIRST_PERSON)
        self._planned = 0
        self._towns = [f"Q{_FIRST_TOWN + n}" for n in range(min(_TOWNS, size.changes))]
        self._terms: dict[str, list[tuple[Moment, str]]] = {}
        """By town: since when which statement is in force, oldest first."""
        self._vandalised: dict[str, list[Moment]] = {town: [] for town in self._towns}

    def scenario(self) -> Scenario:
        names = [a + b for a, b in itertools.product(_STEMS.split(), _ENDINGS.split())]
        for town, name in zip(self._towns, self._rng.sample(names, len(self._towns)), strict=True):
            self._stage.item(town, name, TOWN)
            head = self._person()
            made = self._stage.statement(town, HEAD, head, start=Date(2019, 5, 2))
            self._stage.has(town, made)
            self._terms[town] = [(START, made["id"])]
        self._changes()
        watched = self._size.events // _WATCHED_EVERY
        while self._planned < watched:
            self._on_town()
        others = [f"Q{_FIRST_OTHER + n}" for n in range(_OTHERS)]
        for number, item in enumerate(others):
            self._stage.item(item, f"Subject {number}", TOWN)
        while self._planned < self._size.events:
            item = self._rng.choice(others)
            self._edit(self._moment(), item, "/* wbsetdescription-set:1|en */", self._described())
        return self._stage.scenario(self._end)

    # -- the changes ------------------------------------------------------------------------------

    def _changes(self) -> None:
        """Spread over the towns in turn, and over the time until it has to be calm."""
        rounds = -(-self._size.changes // len(self._towns))
        last = self._end - min(_CALM, (self._end - START) * 0.8)
        span = (last - START) / rounds
        for number in range(self._size.changes):
            turn, place = divmod(number, len(self._towns))
            inside = (place + self._rng.random()) / len(self._towns)
            # A town's next change comes at least half a span later: it has settled by then.
            at = START + span * turn + span * inside
            self._succession(self._towns[place], at)

    def _succession(self, town: str, at: Moment) -> None:
        """As a person enters it: the old statement is ended, then the new one is made."""
        new, by, truth = self._person(), self._stage.cast.regular(), self._stage.story()
        day = Date(at.year, at.month, at.day)
        _, old = self._terms[town][-1]
        made = self._stage.statement(town, HEAD, new, start=day)
        source = snaks.url_snak("P854", f"https://{town.lower()}.example/{day.to_wikibase()[1:11]}")
        snaks.add_reference(made, snaks.reference(source))
        ends = set_qualifier(HEAD, old, snaks.time_snak("P582", day))
        comment = about("wbsetclaim-update-qualifiers", HEAD, new, args="1||1")
        self._stage.edit(at, town, comment, ends, by=by, truth=truth)
        later = at + dt.timedelta(seconds=self._rng.randint(40, 900))
        self._stage.edit(later, town, created(HEAD, new, 1), add(made), by=by, truth=truth)
        self._terms[town].append((later, made["id"]))
        self._planned += 2

    # -- what changes nothing ---------------------------------------------------------------------

    def _on_town(self) -> None:
        """A description, or somebody who is no head put in and rolled back."""
        town, at = self._rng.choice(self._towns), self._moment()
        if self._rng.random() < 0.9:
            self._edit(at, town, "/* wbsetdescription-set:1|en */", self._described())
            return
        length = dt.timedelta(minutes=self._rng.randint(4, 300))
        terms = self._terms[town]
        near = [*(since for since, _ in terms[1:]), *self._vandalised[town]]
        if any(abs(at - other) < _APART for other in near) or at + length >= self._end:
            return
        self._vandalised[town].append(at)
        guid = next(guid for since, guid in reversed(terms) if since <= at)
        false = f"Q{_FIRST_PERSON + self._rng.randrange(len(self._towns))}"
        vandal = self._stage.cast.stranger(int((at - START).total_seconds()))
        truth = self._stage.story()
        comment = about("wbsetclaim-update", HEAD, false, args="2||1|1")
        self._stage.edit(at, town, comment, set_value(HEAD, guid, false), by=vandal, truth=truth)
        self._stage.undo(at + length, town, truth)
        self._planned += 2

    def _described(self) -> Callable[[Json], None]:
        text = f"place, note {self._rng.randrange(10**6)}"

        def change(entity: Json) -> None:
            entity["descriptions"] = {"en": snaks.term("en", text)}

        return change

    def _edit(self, at: Moment, item: str, comment: str, change: Callable[[Json], None]) -> None:
        self._stage.edit(at, item, comment, change)
        self._planned += 1

    def _person(self) -> str:
        item = f"Q{next(self._persons)}"
        self._stage.item(item, next(self._names), HUMAN)
        return item

    def _moment(self) -> Moment:
        return START + (self._end - START) * self._rng.random()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve it on loopback until told to stop."""
    parser = argparse.ArgumentParser(prog="daemon.bench.soak_year", description=__doc__)
    for name in ("--days", "--events", "--changes", "--port"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--clock-file", type=Path, required=True)
    parser.add_argument("--end-with-parent", action="store_true", help="stop when it is gone")
    asked = parser.parse_args(arguments)
    if asked.end_with_parent:
        end_with_parent(signal.SIGTERM)
    size = Size(days=asked.days, events=asked.events, changes=asked.changes)
    serve(LocalWikidata(build(size), asked.clock_file), bound("127.0.0.1", asked.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
