"""What properties demand of their values, asked of Wikidata and held against a judged change.

Owns reading the properties' items (kept for a day) and the classes of values, and turning a
violation into a hold. A property that cannot be read makes nothing pass and nothing fail.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Protocol

from agents.errors import Permanent, Retryable
from agents.wikidata.api import Fetched
from agents.wikidata.classify import ItemHistory, ItemJudgement, NetResult, SlotResult
from agents.wikidata.constraints import (
    Check,
    Constraint,
    Demand,
    Finding,
    examine,
    read_constraints,
    verdict,
)
from agents.wikidata.side import SideFacts
from agents.wikidata.view import current_view, value_key
from knowledge.facts import ChangeKind
from knowledge.properties import CATALOGUE, Tier

_KEPT = dt.timedelta(days=1)
_DEPTH = 8
"""Levels of superclasses that are asked for; beyond, a class is not at hand."""

Learn = Callable[[SideFacts, Iterable[str]], Awaitable[None]]


class Entities(Protocol):
    """Who answers for properties; `ActionApi` does."""

    async def entities(self, items: Iterable[str]) -> Fetched: ...


class Demands:
    """Constraints by property, each read once a day."""

    def __init__(self, source: Entities, clock: Callable[[], dt.datetime]) -> None:
        self._source = source
        self._clock = clock
        self._known: dict[str, tuple[dt.datetime, tuple[Constraint, ...] | None]] = {}

    async def of(self, property_id: str) -> tuple[Constraint, ...] | None:
        """The constraints of a property; None where its item cannot be read."""
        now = self._clock()
        known = self._known.get(property_id)
        if known is not None and now - known[0] < _KEPT:
            return known[1]
        try:
            doc = (await self._source.entities([property_id])).docs.get(property_id)
        except Retryable:
            return None  # asked again at the next look
        except Permanent:
            doc = None
        found = None if doc is None or doc.missing else read_constraints(doc)
        self._known[property_id] = (now, found)
        return found


async def with_demands(
    history: ItemHistory,
    judgement: ItemJudgement,
    demands: Demands,
    facts: SideFacts,
    learn: Learn,
    today: dt.date,
) -> ItemJudgement:
    """The judgement with what its changes' properties demand; violations are held."""
    slots = []
    for slot in judgement.slots:
        if any(_is_checked(r) for r in slot.results):
            constraints = await demands.of(slot.property)
            await _learn_classes(slot, constraints or (), facts, learn)
            slot = _checked(history, slot, constraints, facts, today)
        slots.append(slot)
    return replace(judgement, slots=tuple(slots))


def _is_checked(result: NetResult) -> bool:
    """A retraction restores what was there before, whatever is demanded of it."""
    return result.goes_on and not result.decision.retraction


def _checked(
    history: ItemHistory,
    slot: SlotResult,
    constraints: tuple[Constraint, ...] | None,
    facts: SideFacts,
    today: dt.date,
) -> SlotResult:
    dated = CATALOGUE[slot.property].tier is Tier.N
    head = history.head
    held = current_view(head.claims.get(slot.property, ()), today, dated=dated).held
    results = []
    for result in slot.results:
        if _is_checked(result):
            found = examine(constraints, head.id, result.decision.new, held, facts)
            result = _held_if_violated(replace(result, findings=found), found)
        results.append(result)
    return replace(slot, results=tuple(results))


def _held_if_violated(result: NetResult, findings: tuple[Finding, ...]) -> NetResult:
    if verdict(findings) is not Check.VIOLATED:
        return result
    broken = next(f for f in findings if f.check is Check.VIOLATED)
    kind = (
        ChangeKind.AMBIGUOUS if broken.kind is Demand.SINGLE_VALUE else ChangeKind.VANDALISM_SUSPECT
    )
    reason = f"violates the {broken.kind} constraint of {result.change.property}: {broken.reason}"
    return replace(result, change=replace(result.change, kind=kind, reason=reason))


async def _learn_classes(
    slot: SlotResult, constraints: tuple[Constraint, ...], facts: SideFacts, learn: Learn
) -> None:
    """Fetch the classes above the new values, as far as a value type is to be decided."""
    wanted = {i for c in constraints if c.kind is Demand.VALUE_TYPE for i in c.items}
    values = {value_key(r.decision.new) for r in slot.results if _is_checked(r) and r.decision.new}
    if not wanted:
        return
    level = {t for v in values for t in (facts.types(v) or {facts.target(v)})}
    for _ in range(_DEPTH):
        classes, whole = facts.classes(level)
        if whole or classes & wanted:
            return
        await learn(facts, classes - facts.docs.keys())
