"""The watch's metrics: what is told of streams, sweeps, classes, take-backs and audits."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.ledger import BulkRun, Candidate, CandidateState, Cursor, Dismissal, ItemOutcome
from daemon.services import Services
from daemon.upkeep.degraded import Degraded
from daemon.upkeep.metrics import ServiceCollector
from daemon.upkeep.watch_metrics import watch_metrics
from knowledge.facts import ChangeKind, Entity, FactChange
from tests.daemon_support import settings_at
from tests.databases import BACKENDS, url_for

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


@pytest.fixture(params=BACKENDS)
def services(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Services]:
    with Services.open(settings_at(tmp_path, url_for(request.param, tmp_path))) as opened:
        yield opened


def told(services: Services) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in watch_metrics(services)
        for sample in metric.samples
    }


def change(item: str, kind: ChangeKind = ChangeKind.SUCCESSION) -> FactChange:
    one, two = Entity(id="Q11", label="A"), Entity(id="Q12", label="B")
    subject = Entity(id=item, label=item)
    return FactChange(subject=subject, property="P6", old=one, new=two, kind=kind)


def candidate(item: str, state: CandidateState, reason: str = "", **context: object) -> Candidate:
    return Candidate(
        change=change(item),
        state=state,
        first_seen=NOW,
        due_at=NOW,
        reason=reason,
        context=dict(context),
    )


def record(services: Services, item: str, **outcome: object) -> None:
    async def work() -> None:
        await services.ledger.watch([item])
        await services.ledger.record(ItemOutcome(item=item, status="changed", **outcome))  # type: ignore[arg-type]

    asyncio.run(work())


def age(services: Services, stream: str, seconds: float, event_id: str = "[]") -> None:
    when = services.clock.now() - dt.timedelta(seconds=seconds)
    cursor = Cursor(stream=stream, event_id=event_id, event_time=when)
    asyncio.run(services.ledger.mark([], cursor))


def test_an_empty_watch_tells_zeros_and_no_ages(services: Services) -> None:
    found = told(services)
    assert found["almanac_watched_items",] == 0
    assert found["almanac_candidates", "succession"] == 0
    assert found["almanac_dismissals", "vandalism_suspect"] == 0
    assert found["almanac_reverted_after_emit_ratio",] == 0
    names = {name for name, *_ in found}
    assert not names & {"almanac_audit_missed", "almanac_intake_age_seconds"}


def test_a_sweep_is_no_stream(services: Services) -> None:
    age(services, "mediawiki.page_change.v1", 30)
    age(services, "sweep", 4000)
    age(services, "audit", 600_000, json.dumps({"checked": 20, "missed": {"Q7": "P6"}}))
    found = told(services)
    assert found["almanac_stream_lag_seconds", "mediawiki.page_change.v1"] == pytest.approx(30, 1)
    assert ("almanac_stream_lag_seconds", "sweep") not in found
    assert found["almanac_intake_age_seconds", "sweep"] == pytest.approx(4000, 1)
    assert (found["almanac_audit_checked",], found["almanac_audit_missed",]) == (20, 1)


def test_candidates_and_dismissals_by_class_and_what_is_held(services: Services) -> None:
    run = BulkRun(id="r1", editor="Bot", summary="s", day=NOW.date(), size=90)
    held = candidate("Q1", CandidateState.SETTLING, "held: part of the bulk run r1")
    record(services, "Q1", candidates=(held,), runs=(run,))
    record(services, "Q2", candidates=(candidate("Q2", CandidateState.SETTLING),))
    bad = change("Q3", ChangeKind.VANDALISM_SUSPECT)
    record(services, "Q3", dismissals=(Dismissal(change=bad, kind=bad.kind, reason="odd"),))
    found = told(services)
    assert found["almanac_candidates", "succession"] == 2
    assert found["almanac_dismissals", "vandalism_suspect"] == 1
    assert (found["almanac_held_changes",], found["almanac_bulk_runs_open",]) == (1, 1)


def test_the_share_of_emitted_changes_that_were_taken_back(services: Services) -> None:
    for item in ("Q1", "Q2", "Q3", "Q4"):
        record(services, item, candidates=(candidate(item, CandidateState.SETTLED),))
    back = candidate("Q5", CandidateState.SETTLED, retraction=True)
    record(services, "Q5", candidates=(back,))
    found = told(services)
    assert found["almanac_emitted_changes",] == 4
    assert found["almanac_reverted_after_emit_ratio",] == 0.25


def test_they_are_exported_with_the_others(services: Services) -> None:
    names = {metric.name for metric in ServiceCollector(services, Degraded()).collect()}
    assert {metric.name for metric in watch_metrics(services)} <= names
