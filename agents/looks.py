"""One item on its way through the watch, and what a fault on that way costs: this item alone.

Owns the look, the outcomes that need no judgement, and the rule by which an error is one item's or
the whole source's. The way itself is `agents.watch`'s.
"""

from __future__ import annotations

import datetime as dt
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agents.errors import Permanent, Retryable
from agents.ledger import Base, Candidate, ItemOutcome
from agents.wikidata.classify import ItemHistory, ItemJudgement
from agents.wikidata.entity import EntityDoc
from agents.wikidata.errors import BrokenAnswer
from agents.wikidata.history import Revision
from agents.wikidata.memory import Memory


@dataclass(slots=True)
class Look:
    """One item on its way through the graph."""

    item: str
    base: Base
    started_from: str
    """The identity of the base, before anything was done with it."""
    settling: list[Candidate]
    head: EntityDoc | None = None
    memory: Memory = field(default_factory=Memory)
    revisions: list[Revision] = field(default_factory=list)
    history: ItemHistory | None = None
    judgement: ItemJudgement | None = None
    outcome: ItemOutcome | None = None
    """Set as soon as nothing further is to be done for the item."""


def still_open(looks: Sequence[Look]) -> list[Look]:
    """Those that have no outcome yet."""
    return [look for look in looks if look.outcome is None]


async def alone(look: Look, step: Callable[[Look], Awaitable[None]]) -> None:
    """One step of one look. If it fails, by what Wikidata said of the item or by a fault of the
    watch itself, the item is unknown and no other is touched by it.

    Raises the Retryables that tell of the whole source (429, maxlag, no answer)."""
    try:
        await step(look)
    except Exception as error:
        if is_of_the_source(error):
            raise
        look.outcome = unknown(look.item, told(error))


def is_of_the_source(error: Exception) -> bool:
    """Whether nothing else can be asked either. An answer that is not whole may be one item's."""
    return isinstance(error, Retryable) and not isinstance(error, BrokenAnswer)


def told(error: Exception) -> str:
    """What went wrong, for a person; of an error that nobody raised on purpose, also where."""
    if isinstance(error, (Permanent, Retryable)):
        return str(error)
    at = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" at {Path(f.filename).name}:{f.lineno}" for f in at)
    return f"a fault of the watch itself: {error!r}{where}"


def unknown(item: str, reason: str) -> ItemOutcome:
    return ItemOutcome(item=item, status="unknown", reason=reason)


def early(item: str, until: dt.datetime) -> ItemOutcome:
    """The item is being edited: nothing is judged before it rests."""
    reason = f"edited a moment ago: left until {until:%Y-%m-%d %H:%M:%S} UTC"
    return ItemOutcome(item=item, status="early", look_again_at=until, reason=reason)
