"""Runs of one editor over many items: recognised, named, and dismissed with their sample.

Owns asking recent changes how far an edit's run went, the identity of a run, and what a dismissed
one makes of its changes. Holding and releasing is the gate's (`wikidata.turnstile`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from agents.ledger import BulkRun, Candidate, RunStanding, RunState, Traffic
from agents.wikidata.api import RecentChange
from agents.wikidata.classify import ItemHistory, ItemJudgement, NetResult
from agents.wikidata.history import Revision
from agents.wikidata.risk import run_summary
from knowledge.facts import ChangeKind

_HOUR = dt.timedelta(hours=1)


class Changes(Protocol):
    """Who tells what an editor did; `ActionApi` answers it."""

    def recentchanges(
        self, since: dt.datetime, until: dt.datetime, *, user: str | None = None
    ) -> AsyncIterator[RecentChange]: ...


async def with_runs(
    history: ItemHistory,
    judgement: ItemJudgement,
    settling: Sequence[Candidate],
    source: Changes,
    bulk_items: int,
) -> ItemJudgement:
    """The judgement with the bulk runs that its changes are part of.

    A change that was seen as part of a run stays so: recent changes forget within a month. What a
    run wrote on several items does not corroborate itself, so its changes are without any."""
    known = {c.change.key: c for c in settling if c.run}
    slots = []
    for slot in judgement.slots:
        results = []
        for result in slot.results:
            edits = [r for r in history.revisions if r.id in result.edits]
            if result.goes_on and edits and not result.decision.retraction:
                run = await _run_of(edits, known.get(result.change.key), source, bulk_items)
                result = _in_run(result, run)
            results.append(result)
        slots.append(replace(slot, results=tuple(results)))
    return replace(judgement, slots=tuple(slots))


def without_dismissed(judgement: ItemJudgement, traffic: Traffic) -> ItemJudgement:
    """The judgement with the changes of dismissed runs as such."""
    slots = [
        replace(s, results=tuple(_dismissed(r, traffic.standings) for r in s.results))
        for s in judgement.slots
    ]
    return replace(judgement, slots=tuple(slots))


def run_id(editor: str, summary: str, day: dt.date) -> str:
    """Of a run: the same for all of its edits on a day."""
    text = "\x1f".join((editor, summary, day.isoformat()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _in_run(result: NetResult, run: BulkRun | None) -> NetResult:
    if run is None:
        return result
    return replace(result, run=run, change=replace(result.change, corroborations=()))


def _dismissed(result: NetResult, standings: Mapping[str, RunStanding]) -> NetResult:
    standing = standings.get(result.run.id) if result.run else None
    if standing is None or standing.state is not RunState.DISMISSED or not result.goes_on:
        return result
    reason = f"part of a bulk run that was dismissed: {standing.reason}"
    return replace(result, change=replace(result.change, kind=ChangeKind.BULK_RUN, reason=reason))


async def _run_of(
    edits: Sequence[Revision], known: Candidate | None, source: Changes, bulk_items: int
) -> BulkRun | None:
    """The least widespread of the runs of these edits, if even that went over so many items."""
    smallest: BulkRun | None = None
    for edit in edits:
        run = _named(edit, 0)
        if known is not None and known.run == run.id:
            run = replace(run, size=int(known.context.get("run_size", 0)))
        else:
            run = replace(run, size=await _size(edit, source))
            if run.size <= bulk_items:
                return None
        if smallest is None or run.size < smallest.size:
            smallest = run
    return smallest


def _named(edit: Revision, size: int) -> BulkRun:
    summary, day = run_summary(edit.comment), edit.time.astimezone(dt.UTC).date()
    return BulkRun(
        id=run_id(edit.user, summary, day), editor=edit.user, summary=summary, day=day, size=size
    )


async def _size(edit: Revision, source: Changes) -> int:
    """Items that the editor touched with the same summary within an hour around the edit; 0 for an
    editor whose name is hidden, because nobody can be asked for."""
    if not edit.user:
        return 0
    summary = run_summary(edit.comment)
    items = {
        row.item
        async for row in source.recentchanges(edit.time - _HOUR, edit.time + _HOUR, user=edit.user)
        if run_summary(row.comment) == summary and abs(row.time - edit.time) <= _HOUR / 2
    }
    return len(items)
