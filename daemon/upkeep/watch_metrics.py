"""Metrics of the watch (R20): is it alive, is it behind, is what it emits any good.

Owns their names and meanings. All are read from the database, so that any process can tell them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import Metric
from sqlmodel import Session, col, func, select

from agents.ledger import CandidateState, RunState
from daemon.store.rows import BulkRunRow, CandidateRow, CursorRow, DismissalRow
from daemon.upkeep.gauges import labelled, plain
from daemon.upkeep.schedule import TIMED
from knowledge.facts import WORLD_CHANGES, ChangeKind

if TYPE_CHECKING:
    from daemon.services import Services

AUDIT = "audit"
REVERT_WINDOW = dt.timedelta(days=28)
"""How long an emitted change is watched for a way back."""


def watch_metrics(services: Services) -> Iterator[Metric]:
    """One snapshot. Raises what the database raises."""
    lag = services.watch.lag()
    yield plain("almanac_watched_items", "Items on the watch list", lag.watched)
    yield plain("almanac_dirty_items", "Items that wait for a look", lag.dirty)
    yield plain("almanac_dirty_oldest_seconds", "Age of the oldest mark", lag.oldest_mark_s or 0.0)
    streams = {name: age for name, age in lag.streams.items() if name not in TIMED}
    text = "Now minus the last event committed, by stream"
    yield labelled("almanac_stream_lag_seconds", text, "stream", streams)
    timed = {name: age for name, age in lag.streams.items() if name in TIMED}
    text = "Time since the watch list was last swept, discovered or audited"
    yield labelled("almanac_intake_age_seconds", text, "line", timed)
    now = services.clock.now()
    with services.database.read() as session:
        yield from _classes(session)
        yield from _held(session)
        yield from _quality(session, now - REVERT_WINDOW)
        yield from _audit(session)


def _classes(session: Session) -> Iterator[Metric]:
    kind = CandidateRow.change["kind"].as_string()  # type: ignore[index,attr-defined]
    counts = {k.value: 0.0 for k in sorted(WORLD_CHANGES)}
    rows = session.exec(
        select(kind, func.count())
        .where(CandidateRow.state == CandidateState.SETTLING)
        .group_by(kind)
    ).all()
    counts |= {str(name): float(count) for name, count in rows}
    yield labelled("almanac_candidates", "Changes that settle now, by class", "class", counts)
    put_aside = {k.value: 0.0 for k in ChangeKind if k not in WORLD_CHANGES}
    for name, count in session.exec(
        select(DismissalRow.kind, func.count()).group_by(col(DismissalRow.kind))
    ).all():
        put_aside[name] = float(count)
    text = "Differences put aside so far, by class"
    yield labelled("almanac_dismissals", text, "class", put_aside)


def _held(session: Session) -> Iterator[Metric]:
    waiting = session.exec(
        select(func.count())
        .select_from(CandidateRow)
        .where(
            CandidateRow.state == CandidateState.SETTLING,
            col(CandidateRow.reason).startswith("held: "),
        )
    ).one()
    yield plain("almanac_held_changes", "Changes held by a cap or with a bulk run", waiting)
    runs = session.exec(
        select(func.count()).select_from(BulkRunRow).where(BulkRunRow.state == RunState.OPEN)
    ).one()
    yield plain("almanac_bulk_runs_open", "Bulk runs whose sample is undecided", runs)


def _quality(session: Session, since: dt.datetime) -> Iterator[Metric]:
    back = CandidateRow.context["retraction"].as_boolean()  # type: ignore[index,attr-defined]
    rows = session.exec(
        select(back, func.count())
        .where(CandidateRow.state == CandidateState.SETTLED, col(CandidateRow.settled_at) > since)
        .group_by(back)
    ).all()
    counts: dict[bool, int] = {}
    for taken_back, count in rows:
        counts[bool(taken_back)] = counts.get(bool(taken_back), 0) + count
    emitted, reverted = counts.get(False, 0), counts.get(True, 0)
    yield plain("almanac_emitted_changes", "Changes that settled within 28 days", emitted)
    yield plain(
        "almanac_reverted_after_emit_ratio",
        "Changes taken back within 28 days, by those that settled; 0 while none has",
        reverted / emitted if emitted else 0.0,
    )


def _audit(session: Session) -> Iterator[Metric]:
    row = session.get(CursorRow, AUDIT)
    if row is None:
        return
    told = json.loads(row.event_id)
    yield plain("almanac_audit_checked", "Items that the last audit read", told["checked"])
    text = "Changes that the last audit found missed; must be 0"
    yield plain("almanac_audit_missed", text, len(told["missed"]))
