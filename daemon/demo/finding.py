"""What the watch found, held against what the scenario knows. Owns only the comparison."""

from __future__ import annotations

from sqlmodel import col, func, select

from daemon.demo.result import Found
from daemon.demo.wikidata.scenario import Scenario
from daemon.services import Services
from daemon.store.rows import EditVerdictRow
from daemon.store.states import ChangeState
from knowledge.facts import FactChange

LOST = frozenset({ChangeState.DISMISSED, ChangeState.WITHDRAWN, ChangeState.REJECTED})
KEPT = tuple(state for state in ChangeState if state not in LOST)


def kept_changes(services: Services) -> list[FactChange]:
    """The changes that went on, whatever became of them since, oldest first."""
    going_on = tuple(s for s in KEPT if s not in (ChangeState.DETECTED, ChangeState.SETTLING))
    return [item.fact for item in services.review.list(going_on)]


def found(services: Services, scenario: Scenario) -> Found:
    """Compare the changes that went on with the scenario's answer key."""
    kept = kept_changes(services)
    expected = {slot: f"{slot}:{old}:{new}" for slot, (old, new) in scenario.expected.items()}
    keys: set[str] = {str(change.key) for change in kept}
    by_kind = services.watch.edits_by_kind()
    return Found(
        edits_seen=sum(good + bad for good, bad in by_kind.values()),
        kept=sum(good for good, _ in by_kind.values()),
        dismissed={kind: bad for kind, (_, bad) in by_kind.items() if bad},
        unexplained=_unexplained(services),
        expected=len(expected),
        misses=tuple(sorted(slot for slot, key in expected.items() if key not in keys)),
        false_keeps=tuple(sorted(keys - set(expected.values()))),
    )


def _unexplained(services: Services) -> int:
    """Edits that were dismissed without a word why."""
    with services.database.read() as session:
        return session.exec(
            select(func.count())
            .select_from(EditVerdictRow)
            .where(col(EditVerdictRow.kept).is_(False), EditVerdictRow.reason == "")
        ).one()
