"""Metrics of the service for Prometheus, read from the database when they are asked for.

Owns names and meanings; alert rules and dashboard in `deploy/` are written against these names, and
a test holds them to it. No label has more values than the code has states.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from sqlmodel import Session, col, func, select

from daemon.store.rows import AliasRow, ChangeRow, EvaluationRow, LeaseRow, ReleaseRow, ScheduleRow
from daemon.store.states import ChangeState, ReleaseState
from daemon.upkeep.degraded import Degraded, Mode
from daemon.upkeep.disk import free_share
from daemon.upkeep.gauges import labelled, plain
from daemon.upkeep.watch_metrics import watch_metrics

if TYPE_CHECKING:
    from daemon.services import Services

_ON_THE_WAY = (
    ChangeState.SETTLING,
    ChangeState.SETTLED,
    ChangeState.DRAFTING,
    ChangeState.IN_REVIEW,
    ChangeState.APPROVED,
    ChangeState.BATCHED,
)


class ServiceCollector(Collector):
    """One scrape is one snapshot. While the database is away, what needs none is still told."""

    def __init__(self, services: Services, degraded: Degraded) -> None:
        self._services = services
        self._degraded = degraded

    def describe(self) -> list[Metric]:
        return []  # registering must not ask the database

    def collect(self) -> Iterator[Metric]:
        yield labelled(
            "almanac_degraded",
            "1 while a degraded mode holds in this process",
            "mode",
            {mode.value: float(self._degraded.holds(mode)) for mode in Mode},
        )
        share = free_share(self._services.settings.home)
        yield plain("almanac_disk_free_ratio", "Share of the disk that is free", share)
        try:
            found = list(self._of_the_database())
        except Exception:
            yield plain("almanac_database_up", "1 while the database answers", 0.0)
            return
        yield plain("almanac_database_up", "1 while the database answers", 1.0)
        yield from found

    def _of_the_database(self) -> Iterator[Metric]:
        services = self._services
        now = services.clock.now()
        with services.database.read() as session:
            yield from _changes(session, now)
            yield from _releases(session)
            yield from _timetable(session, now)
            held = session.exec(
                select(func.count())
                .select_from(LeaseRow)
                .where(col(LeaseRow.held).is_(True), LeaseRow.expires_at > dt.datetime.now(dt.UTC))
            ).one()
            yield plain("almanac_leases_held", "Leases that are held now", held)
        yield from watch_metrics(services)
        yield labelled(
            "almanac_dead_letters", "Parked after too many failures", "kind", services.dead.counts()
        )
        yield labelled("almanac_spend", "Spent today, by kind", "kind", services.spending.today())
        workers = services.workers.list()
        yield plain("almanac_workers_alive", "Live processes", sum(w.alive for w in workers))
        yield plain(
            "almanac_leaders", "Live processes that lead", sum(w.alive and w.leads for w in workers)
        )
        age = services.backups.newest_age_s()
        if age is not None:
            yield plain("almanac_backup_age_seconds", "Age of the newest backup", age)


def _changes(session: Session, now: dt.datetime) -> Iterator[Metric]:
    rows = session.exec(
        select(ChangeRow.state, func.count(), func.min(ChangeRow.updated_at)).group_by(
            col(ChangeRow.state)
        )
    ).all()
    counts = {state.value: 0.0 for state in ChangeState}
    ages = {state.value: 0.0 for state in _ON_THE_WAY}
    for state, count, oldest in rows:
        counts[state] = float(count)
        if state in ages and oldest is not None:
            ages[state] = (now - oldest).total_seconds()
    yield labelled("almanac_changes", "Changes by state", "state", counts)
    yield labelled(
        "almanac_changes_oldest_seconds", "Longest stay in a state on the way", "state", ages
    )


def _releases(session: Session) -> Iterator[Metric]:
    counts = {state.value: 0.0 for state in ReleaseState}
    for state, count in session.exec(
        select(ReleaseRow.state, func.count()).group_by(col(ReleaseRow.state))
    ).all():
        counts[state] = float(count)
    yield labelled("almanac_releases", "Releases by state", "state", counts)
    verdicts: dict[str, float] = {"pass": 0.0, "fail": 0.0, "inconclusive": 0.0}
    for verdict, count in session.exec(
        select(EvaluationRow.verdict, func.count()).group_by(col(EvaluationRow.verdict))
    ).all():
        verdicts[verdict] = float(count)
    yield labelled("almanac_gate_verdicts", "Verdicts of the gate so far", "verdict", verdicts)
    aliases = {row.name: float(row.generation) for row in session.exec(select(AliasRow)).all()}
    yield labelled("almanac_alias_generation", "Moves of an alias so far", "alias", aliases)


def _timetable(session: Session, now: dt.datetime) -> Iterator[Metric]:
    rows = [row for row in session.exec(select(ScheduleRow)).all() if row.last_ended is not None]
    yield labelled(
        "almanac_schedule_age_seconds",
        "Time since a line of the timetable ended",
        "line",
        {row.name: (now - row.last_ended).total_seconds() for row in rows if row.last_ended},
    )
    yield labelled(
        "almanac_schedule_failed",
        "1 when the last run of a line failed",
        "line",
        {row.name: float(row.outcome.startswith("failed")) for row in rows},
    )
