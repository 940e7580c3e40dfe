"""Snapshot rows as items that are edited from the first snapshot to the last, and what is expected.

Owns the six ways in which a change is edited, the noise on rows that did not change, and the lane
that each row belongs in. Replaying and counting is `watch_replay`.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from daemon.bench.watch_data import SnapshotRow
from daemon.bench.watch_stage import (
    HUMAN,
    Stage,
    add,
    set_qualifier,
    set_rank,
    set_value,
)
from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.snaks import Json
from knowledge.facts import Date, Entity

FIRST = dt.datetime(2021, 12, 15, tzinfo=dt.UTC)
LAST = dt.datetime(2024, 1, 31, tzinfo=dt.UTC)
_ITEMS_FROM = 2_100_000_000
_MINUTES = dt.timedelta(minutes=1)
_DAY = dt.timedelta(days=1)
_EVENTS = (dt.date(2022, 2, 1), dt.date(2023, 9, 1))
_PEOPLE = frozenset({"P6", "P35", "P286", "P488", "P1037", "P169", "P1308", "P3975", "P1075"})
_CLASS = {"P54": "Q476028", "P39": "Q4164871", "P108": "Q43229", "P102": "Q7278"}
_ORGANISATION = "Q43229"


class Way(StrEnum):
    """How a change is edited."""

    ENDED = "old ended"
    STALE_PREFERRED = "stale preferred"
    RANK_ONLY = "rank only"
    EARLY = "entered early"
    IN_PLACE = "in place"
    DAYS = "over days"


class Lane(StrEnum):
    """What has to become of a row."""

    WORLD = "world change"
    CORRECTION = "correction"
    HELD = "held as ambiguous"
    NOTHING = "nothing"
    OPEN = "not asked"
    """Several values before or after that overlap in part: shown, not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row in one way. `item` stands for its subject; `event` is the day of the change."""

    row: SnapshotRow
    way: Way
    item: str
    lane: Lane
    event: dt.date

    @property
    def key(self) -> str:
        """The key of the change that is expected."""
        return f"{self.item}:{self.row.property}:{self.row.before[0].id}:{self.row.after[0].id}"


def cases(changed: Sequence[SnapshotRow], same: Sequence[SnapshotRow], way: Way) -> list[Case]:
    """A case for each `current` row; `changed` rows may be unchanged in part, `same` may not."""
    rng = random.Random(f"events:{way}")
    days = (_EVENTS[1] - _EVENTS[0]).days
    found = []
    rows = [(r, _lane(r, way)) for r in changed if r.kind == "current"]
    rows += [(r, Lane.NOTHING) for r in same]
    for number, (row, lane) in enumerate(rows):
        event = _EVENTS[0] + dt.timedelta(days=rng.randrange(days))
        item = f"Q{_ITEMS_FROM + number}"
        found.append(Case(row=row, way=way, item=item, lane=lane, event=event))
    return found


def _lane(row: SnapshotRow, way: Way) -> Lane:
    before, after = {e.id for e in row.before}, {e.id for e in row.after}
    if before == after:
        return Lane.NOTHING if before else Lane.OPEN
    if len(before) == 1 == len(after):
        return Lane.CORRECTION if way is Way.IN_PLACE else Lane.WORLD
    return Lane.HELD if before and before < after else Lane.OPEN


class Renderer:
    """Puts cases on a stage. `past` are the `previous` rows by subject and property."""

    def __init__(self, stage: Stage, past: Sequence[SnapshotRow]) -> None:
        self._stage = stage
        self._rng = stage.rng
        self._past = {(r.subject.id, r.property): r for r in past if r.kind == "previous"}

    def put(self, case: Case) -> None:
        """The item as it was at the first snapshot, and the edits up to the last."""
        row, stage = case.row, self._stage
        person = row.property in ("P39", "P54", "P108", "P102")
        stage.item(case.item, row.subject.label, HUMAN if person else _ORGANISATION)
        values = row.before or row.after  # nothing known before: as it was found later
        for entity in (*values, *row.after):
            stage.item(entity.id, entity.label, _class(row.property))
        olds = [self._held(case, value, rank=_first_rank(case)) for value in values]
        stage.has(case.item, *self._history(case), *olds)
        match case.lane:
            case Lane.WORLD | Lane.CORRECTION:
                self._change(case, olds[0], row.after[0])
            case Lane.HELD:
                self._joined(case)
            case Lane.OPEN:
                self._mixed(case, olds)
            case Lane.NOTHING:
                self._noise(case, olds)

    # -- before ------------------------------------------------------------------------------

    def _held(self, case: Case, value: Entity, *, rank: str) -> Json:
        """A statement that holds; a third of them have no start date, as on Wikidata."""
        year, rng = self._rng.randrange(2008, 2021), self._rng
        start = None
        if rng.random() > 1 / 3:
            start = rng.choice((Date(year), Date(year, 6), Date(year, 6, 15)))
        return self._stage.statement(case.item, case.row.property, value.id, start=start, rank=rank)

    def _history(self, case: Case) -> list[Json]:
        """The previous holder, ended long ago, where a `previous` row names one."""
        row = self._past.get((case.row.subject.id, case.row.property))
        if row is None or row.before[0].id in {e.id for e in (*case.row.before, *case.row.after)}:
            return []
        value = row.before[0]
        self._stage.item(value.id, value.label, _class(row.property))
        return [
            self._stage.statement(
                case.item, row.property, value.id, start=Date(2001), end=Date(2007, 3)
            )
        ]

    # -- one value after another -----------------------------------------------------------------

    def _change(self, case: Case, old: Json, new: Entity) -> None:
        rng, stage = self._rng, self._stage
        lag = rng.randrange(100, 140) if rng.random() < 0.1 else rng.randrange(0, 20)
        at = _at(case.event, lag) + dt.timedelta(minutes=rng.randrange(600))
        day = Date(case.event.year, case.event.month, case.event.day)
        date = day
        if case.way is not Way.EARLY:
            date = rng.choice((day, day, day, Date(day.year, day.month), Date(day.year)))
        made = stage.statement(case.item, case.row.property, new.id, start=date)
        match case.way:
            case Way.ENDED:
                self._end(case, old, at, date)
                self._enter(case, made, at + 5 * _MINUTES)
                self._rank(case, old, "normal", at + 9 * _MINUTES)
                self._rank(case, made, "preferred", at + 10 * _MINUTES)
            case Way.STALE_PREFERRED:
                self._enter(case, made, at)
                self._end(case, old, at + 30 * _MINUTES, date)
            case Way.RANK_ONLY:
                self._enter(case, made, at)
                self._rank(case, old, "normal", at + 3 * _DAY)
                self._rank(case, made, "preferred", at + 3 * _DAY + _MINUTES)
            case Way.EARLY:
                at = _at(case.event, -rng.randrange(6, 40))
                self._enter(case, made, at)
                self._end(case, old, at + 20 * _MINUTES, day)
            case Way.IN_PLACE:
                change = set_value(case.row.property, old["id"], new.id)
                stage.edit(at, case.item, "/* wbsetclaim-update:2||1 */", change)
            case Way.DAYS:
                bare = stage.statement(case.item, case.row.property, new.id)
                self._end(case, old, at, date)
                self._enter(case, bare, at + 1 * _DAY)
                snak = snaks.time_snak("P580", date)
                self._qualify(case, bare, at + 2 * _DAY, snak)
                self._rank(case, bare, "preferred", at + 4 * _DAY)

    def _end(self, case: Case, made: Json, at: dt.datetime, date: Date) -> None:
        self._qualify(case, made, at, snaks.time_snak("P582", date))

    def _qualify(self, case: Case, made: Json, at: dt.datetime, snak: Json) -> None:
        change = set_qualifier(case.row.property, made["id"], snak)
        self._stage.edit(at, case.item, "/* wbsetclaim-update-qualifiers:1||1 */", change)

    def _enter(self, case: Case, made: Json, at: dt.datetime) -> None:
        self._stage.edit(at, case.item, "/* wbsetclaim-create:2||1 */", add(made))

    def _rank(self, case: Case, made: Json, rank: str, at: dt.datetime) -> None:
        change = set_rank(case.row.property, made["id"], rank)
        self._stage.edit(at, case.item, "/* wbsetclaim-update-rank:1||1 */", change)

    # -- several values -----------------------------------------------------------------------

    def _joined(self, case: Case) -> None:
        """New values beside the old ones, which go on."""
        at = _at(case.event, 3)
        known = {e.id for e in case.row.before}
        for number, value in enumerate(e for e in case.row.after if e.id not in known):
            start = Date(case.event.year, case.event.month, case.event.day)
            made = self._stage.statement(case.item, case.row.property, value.id, start=start)
            if _first_rank(case) == "preferred":
                made["rank"] = "preferred"
            self._enter(case, made, at + number * _DAY)

    def _mixed(self, case: Case, olds: Sequence[Json]) -> None:
        at, kept = _at(case.event, 3), {e.id for e in case.row.after}
        day = Date(case.event.year, case.event.month, case.event.day)
        for made in olds:
            if snaks.value_of(made) not in kept:
                self._end(case, made, at, day)
        self._joined(case)

    # -- nothing ---------------------------------------------------------------------------------

    def _noise(self, case: Case, olds: Sequence[Json]) -> None:
        """Edits that change nothing in the world: one or two kinds an item."""
        kinds = [self._renamed, self._referenced, self._vandalised, self._dated, self._doubled]
        at = _at(case.event, 0)
        for kind in self._rng.sample(kinds, 2):
            kind(case, olds, at)
            at += 40 * _DAY

    def _renamed(self, case: Case, olds: Sequence[Json], at: dt.datetime) -> None:
        def change(entity: Json) -> None:
            entity["labels"]["en"]["value"] += " (official)"

        self._stage.edit(at, case.item, "/* wbsetlabel-set:1|en */", change)

    def _referenced(self, case: Case, olds: Sequence[Json], at: dt.datetime) -> None:
        source = snaks.reference(snaks.url_snak("P854", "https://source.example/a"))

        def change(entity: Json) -> None:
            snaks.add_reference(entity["claims"][case.row.property][-1], source)

        self._stage.edit(at, case.item, "/* wbsetreference-add:2| */", change)

    def _vandalised(self, case: Case, olds: Sequence[Json], at: dt.datetime) -> None:
        """Overwritten or ended by a stranger, put right within a day."""
        truth, stage = self._stage.story(), self._stage
        stranger = stage.cast.stranger(int((at - stage.start).total_seconds()))
        if self._rng.random() < 0.5:
            change = set_value(case.row.property, olds[0]["id"], case.item)
        else:
            day = Date(at.year, at.month, at.day)
            change = set_qualifier(case.row.property, olds[0]["id"], snaks.time_snak("P582", day))
        stage.edit(at, case.item, "/* wbsetclaim-update:2||1 */", change, by=stranger, truth=truth)
        wait = dt.timedelta(hours=self._rng.randrange(1, 40))
        stage.undo(at + wait, case.item, truth)

    def _dated(self, case: Case, olds: Sequence[Json], at: dt.datetime) -> None:
        """A start date is added, or the one that is there is said finer."""
        start = olds[0].get("qualifiers", {}).get("P580")
        year = int(start[0]["datavalue"]["value"]["time"][1:5]) if start else 2015
        self._qualify(case, olds[0], at, snaks.time_snak("P580", Date(year, 6, 15)))

    def _doubled(self, case: Case, olds: Sequence[Json], at: dt.datetime) -> None:
        """A second value without dates, which somebody takes out again."""
        truth, stage = self._stage.story(), self._stage
        made = stage.statement(case.item, case.row.property, case.item)
        stage.edit(at, case.item, "/* wbsetclaim-create:2||1 */", add(made), truth=truth)
        stage.undo(at + 2 * _DAY, case.item, truth)


def _first_rank(case: Case) -> str:
    """Ranks before the change, as the way needs them."""
    return "preferred" if case.way in (Way.STALE_PREFERRED, Way.RANK_ONLY) else "normal"


def _class(property_id: str) -> str:
    return HUMAN if property_id in _PEOPLE else _CLASS.get(property_id, _ORGANISATION)


def _at(day: dt.date, plus: int) -> dt.datetime:
    return dt.datetime.combine(day + dt.timedelta(days=plus), dt.time(9), dt.UTC)
