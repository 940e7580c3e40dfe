"""Catching up: every watched fact as it was on an earlier day becomes the base that today is
compared with.

Owns the first run of a model whose knowledge ends before the watch begins: for each item the legacy
view (`agents.wikidata.legacy`), stored as its base, so that the next look finds every difference.
Does not judge or emit (`agents.watch` does, with the same rules as for any other look).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agents.errors import Permanent
from agents.ledger import Base, ItemOutcome, WatchLedger
from agents.wikidata.api import BATCH, Fetched
from agents.wikidata.entity import EntityDoc, base_document
from agents.wikidata.history import Revision
from agents.wikidata.legacy import LegacySlot, Told, legacy_groups, needs_revision
from agents.wikidata.memory import Memory
from agents.wikidata.side import STORED_HELPERS
from knowledge.properties import WATCHED

RECENT = dt.timedelta(days=14)
"""Edits so recent are read one by one, so that what is being fought over is not taken for old."""


class PastSource(Protocol):
    """What catching up asks of Wikidata; `ActionApi` answers it."""

    async def entities(self, items: Iterable[str]) -> Fetched: ...

    async def revision_at(self, item: str, when: dt.datetime) -> Revision | None: ...


@dataclass(slots=True)
class CaughtUp:
    """What came of it: items given a legacy base, facts by what decided them, items left out."""

    items: int = 0
    facts: Counter[Told] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    """Items that keep their base, with the reason."""


async def catch_up(
    api: PastSource,
    ledger: WatchLedger,
    clock: Callable[[], dt.datetime],
    since: dt.date,
    *,
    items: Sequence[str] | None = None,
    properties: Sequence[str] = WATCHED,
) -> CaughtUp:
    """Give every watched item (or these) the base of the day `since`; a look follows by itself.

    Two to three requests an item where its dates do not tell, one for fifty items where they do.
    May be repeated. Raises Retryable when Wikidata cannot be asked."""
    watched = await ledger.watched()
    wanted = sorted(watched if items is None else watched.keys() & set(items))
    done = CaughtUp()
    for start in range(0, len(wanted), BATCH):
        part = wanted[start : start + BATCH]
        fetched = await api.entities(part)
        for item in part:
            doc = fetched.docs.get(item)
            if item in fetched.redirects or doc is None or doc.missing:
                done.skipped[item] = fetched.broken.get(item, "merged, deleted or unknown")
                continue
            await _one(api, ledger, clock(), since, item, doc, properties, done)
    return done


async def _one(
    api: PastSource,
    ledger: WatchLedger,
    now: dt.datetime,
    since: dt.date,
    item: str,
    head: EntityDoc,
    properties: Sequence[str],
    done: CaughtUp,
) -> None:
    then: Revision | None = None
    try:
        if needs_revision(head, since, properties):
            then = await api.revision_at(item, _end_of(since))
        slots = legacy_groups(head, then.doc if then else None, since, properties)
        revision = await _before_recent(api, item, head, now)
    except Permanent as error:
        done.skipped[item] = str(error)
        return
    done.items += 1
    done.facts.update(slot.told for slot in slots.values())
    await ledger.record(_outcome(item, head, revision, since, now, slots))


async def _before_recent(api: PastSource, item: str, head: EntityDoc, now: dt.datetime) -> int:
    """The revision from which edits are to be read; the head's if it has not been edited lately."""
    if head.modified is None or head.modified < now - RECENT:
        return head.revision
    before = await api.revision_at(item, now - RECENT)
    return before.id if before is not None else head.revision


def _outcome(
    item: str,
    head: EntityDoc,
    revision: int,
    since: dt.date,
    now: dt.datetime,
    slots: dict[str, LegacySlot],
) -> ItemOutcome:
    keep = {property_id: slot.group for property_id, slot in slots.items()}
    memory = Memory(day=since, legacy=since)
    entity = base_document(head, (*WATCHED, *STORED_HELPERS), keep, memory.write())
    return ItemOutcome(
        item=item,
        status="unchanged",
        base=Base(item=item, revision=revision, entity=entity),
        reason=f"the state of {since} is the base",
        look_again_at=now,
    )


def _end_of(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(23, 59, 59), dt.UTC)
