"""What becomes of a settled difference, given what is on its way about the same fact. Pure.

Owns the decision only; `daemon.store.ledger` carries it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from daemon.store.states import ChangeState
from knowledge.facts import FactChange

_TAUGHT = frozenset({ChangeState.BATCHED, ChangeState.LIVE})
_QUEUED = frozenset(
    {ChangeState.SETTLED, ChangeState.DRAFTING, ChangeState.IN_REVIEW, ChangeState.APPROVED}
)
CONSIDERED = _TAUGHT | _QUEUED
"""States of earlier changes that matter to a new one of the same slot."""


class Settlement(StrEnum):
    OPEN = "open"
    """A change of its own."""
    DUPLICATE = "duplicate"
    """The same change is already queued, frozen or live."""
    CANCEL = "cancel"
    """Takes back a change that was not taught yet: both end here."""
    RETRACT = "retract"
    """Takes back a change that the model was taught."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """An earlier change of the same slot that is still considered."""

    id: int
    state: ChangeState
    fact: FactChange


def settle(fact: FactChange, earlier: Sequence[Earlier]) -> tuple[Settlement, Earlier | None]:
    """Decide by the latest of `earlier` (in order of their ids), which is also returned."""
    if not earlier:
        return Settlement.OPEN, None
    latest = earlier[-1]
    if latest.fact.key == fact.key:
        return Settlement.DUPLICATE, latest
    if not _inverse(latest.fact, fact):
        return Settlement.OPEN, latest
    return (Settlement.RETRACT if latest.state in _TAUGHT else Settlement.CANCEL), latest


def _inverse(a: FactChange, b: FactChange) -> bool:
    def ends(fact: FactChange) -> tuple[str | None, str | None]:
        return (fact.old.id if fact.old else None, fact.new.id if fact.new else None)

    old, new = ends(a)
    return ends(b) == (new, old)
