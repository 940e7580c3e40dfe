"""Replays snapshot rows through the watch itself, and counts what came out in which lane.

Owns the clock of the replay, the reading of the ledger afterwards, the rows and the table. The
watch, its store and the Wikidata are the product's own; only the socket is left out.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlmodel import select

from agents.ledger import CandidateState, DirtyMark
from agents.watch import Watcher
from agents.wikidata.sweep import sweep
from daemon.bench.rows import Op, Row
from daemon.bench.watch_data import SnapshotRow, recorded, snapshot_rows
from daemon.bench.watch_snapshots import FIRST, LAST, Case, Lane, Renderer, Way, cases
from daemon.bench.watch_stage import Stage, served
from daemon.demo.wikidata.scenario import Scenario
from daemon.store.engine import Database
from daemon.store.ledger import SqlWatchLedger
from daemon.store.rows import CandidateRow, DismissalRow
from knowledge.facts import ChangeKind

CHANGED, SAME = "snapshot-changes*.jsonl", "snapshot-unchanged*.jsonl"
_QUICK_SHARE = 24
_STEP = dt.timedelta(days=1)
MEMORY = Path("/dev/shm")
"""Where a throw-away database is fast, if there is such a place."""


@dataclass(slots=True)
class Found:
    """What the ledger holds after a replay, by item."""

    settled: dict[str, list[tuple[str, dt.datetime]]] = field(default_factory=dict)
    """Keys of settled changes, with the time at which each began to wait."""
    dismissed: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """(key, kind) of what was dismissed."""
    left_dirty: int = 0


class _Clock:
    def __init__(self, now: dt.datetime) -> None:
        self.time = now

    def now(self) -> dt.datetime:
        return self.time


def snapshot_replay(quick: bool, show: Callable[[Table], None] | None = None) -> list[Row]:
    """The rows of the bench; one skipped row where no snapshot rows are at hand."""
    changed = [r for path in recorded(CHANGED) for r in snapshot_rows(path)]
    same = [r for path in recorded(SAME) for r in snapshot_rows(path)]
    if not changed and not same:
        return [_row("snapshot rows replayed", None, 1, Op.AT_LEAST, f"no {CHANGED} at hand")]
    if quick:
        changed, same = _some(changed), same[::_QUICK_SHARE]
    told: dict[Way, tuple[list[Case], Found]] = {}
    for way in Way:
        chosen = cases(changed, same, way)
        told[way] = (chosen, asyncio.run(_replay(chosen, changed, way)))
    (show or Console(width=120).print)(_table(told))
    return _rows(told)


def _some(rows: Sequence[SnapshotRow]) -> list[SnapshotRow]:
    """A share of the rows, with additive ones among them."""
    current = [r for r in rows if r.kind == "current"]
    several = [r for r in current if len(r.after) > 1][:3]
    return current[::_QUICK_SHARE] + several


async def _replay(chosen: Sequence[Case], rows: Sequence[SnapshotRow], way: Way) -> Found:
    stage = Stage(FIRST, f"snapshots:{way}")
    renderer = Renderer(stage, rows)
    for case in chosen:
        renderer.put(case)
    scenario = stage.scenario(LAST)
    folder = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        database = Database.open(f"sqlite:///{scratch}/watch.db")
        try:
            return await _watch(scenario, [c.item for c in chosen], database)
        finally:
            database.close()


async def _watch(scenario: Scenario, items: Sequence[str], database: Database) -> Found:
    """Two years of looks: each day the edited items are marked, as the stream would."""
    clock = _Clock(scenario.start)
    ledger = SqlWatchLedger(database, clock)
    wikidata, api = served(scenario)
    await ledger.watch(items)
    async with api:
        watcher = Watcher(api, ledger, clock.now)
        edits = list(scenario.edits)
        while clock.time <= scenario.end:
            wikidata.clock.now = clock.time
            marks: dict[str, int] = {}
            while edits and edits[0].time <= clock.time:
                edit = edits.pop(0)
                marks[edit.item] = edit.revision
            await ledger.mark(
                [DirtyMark(item=i, revision=r, reason="stream") for i, r in marks.items()]
            )
            while await watcher.reconcile():
                pass
            clock.time += _STEP
        left = await sweep(api, ledger)
    return _found(database, left)


def _found(database: Database, left: int) -> Found:
    found = Found(left_dirty=left)
    with database.read() as session:
        for row in session.exec(select(CandidateRow)).all():
            if row.state == CandidateState.SETTLED:
                found.settled.setdefault(row.item, []).append((row.key, row.first_seen))
        for row in session.exec(select(DismissalRow)).all():
            found.dismissed.setdefault(row.item, set()).add((row.key, row.kind))
    return found


def _in_lane(case: Case, found: Found) -> bool:
    """Whether exactly what is expected of the case came out of it."""
    settled = found.settled.get(case.item, [])
    told = found.dismissed.get(case.item, set())
    match case.lane:
        case Lane.WORLD:
            return [key for key, _ in settled] == [case.key]
        case Lane.CORRECTION:
            return not settled and (case.key, ChangeKind.CORRECTION) in told
        case Lane.HELD:
            return not settled and any(kind == ChangeKind.AMBIGUOUS for _, kind in told)
        case Lane.NOTHING:
            return not settled
        case Lane.OPEN:
            return True


def _rows(told: dict[Way, tuple[list[Case], Found]]) -> list[Row]:
    def share(lane: Lane) -> tuple[float | None, str]:
        counts = {
            way: Counter(_in_lane(c, found) for c in chosen if c.lane is lane)
            for way, (chosen, found) in told.items()
        }
        good = sum(c[True] for c in counts.values())
        every = sum(sum(c.values()) for c in counts.values())
        detail = ", ".join(f"{w} {c[True]}/{sum(c.values())}" for w, c in counts.items() if c)
        return (good / every if every else None), detail

    early = sum(
        seen.date() < c.event
        for way, (chosen, found) in told.items()
        if way is Way.EARLY
        for c in chosen
        for _, seen in found.settled.get(c.item, [])
    )
    reported = [
        key
        for chosen, found in told.values()
        for c in chosen
        if c.lane is Lane.NOTHING
        for key, _ in found.settled.get(c.item, [])
    ]
    asked = sum(c.lane is Lane.NOTHING for chosen, _ in told.values() for c in chosen)
    left = sum(found.left_dirty for _, found in told.values())
    world, of_world = share(Lane.WORLD)
    mended, of_mended = share(Lane.CORRECTION)
    held, of_held = share(Lane.HELD)
    equal = Op.EQUAL
    return [
        _row("snapshots: one-to-one changes found", world, 1.0, equal, of_world),
        _row("snapshots: overwritten in place, as corrections", mended, 1, equal, of_mended),
        _row(
            "snapshots: unchanged rows reported",
            len(reported),
            0,
            equal,
            f"of {asked} with noise on them; {' '.join(reported[:4])}",
        ),
        _row("snapshots: additive rows held as ambiguous", held, 1.0, equal, of_held),
        _row("snapshots: reported before the day of the change", early, 0, equal, ""),
        _row("snapshots: items that a last sweep finds unseen", left, 0, equal, ""),
    ]


def _table(told: dict[Way, tuple[list[Case], Found]]) -> Table:
    table = Table(title="snapshot rows: in the lane expected / of", title_justify="left")
    for name in ("edited", *Lane):
        table.add_column(str(name))
    for way, (chosen, found) in told.items():
        cells = []
        for lane in Lane:
            part = [c for c in chosen if c.lane is lane]
            good = sum(_in_lane(c, found) for c in part)
            cells.append(f"{good} / {len(part)}" if lane is not Lane.OPEN else str(len(part)))
        table.add_row(way, *cells)
    return table


def misses(told: dict[Way, tuple[list[Case], Found]]) -> list[str]:
    """Each case that is not in its lane, with what came of it instead."""
    return [
        f"{way}: {c.lane} {c.key} event {c.event}: settled {found.settled.get(c.item)} "
        f"dismissed {sorted(found.dismissed.get(c.item, ()))}"
        for way, (chosen, found) in told.items()
        for c in chosen
        if not _in_lane(c, found)
    ]


def _row(what: str, value: float | None, bar: float, op: Op, detail: str) -> Row:
    figure = None if value is None else round(value, 4)
    return Row(what=what, value=figure, unit="", bar=bar, op=op, detail=detail)
