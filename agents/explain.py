"""The reasoning on one item, for a person: what differs from an earlier state, and why it is that.

Owns the base of such a look: what is stored of a watched item, or the item's own revision of a day.
Records nothing. The judgement is `agents.watch`'s own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from agents.errors import Permanent
from agents.ledger import Base, Candidate, WatchLedger
from agents.watch import Source, Watcher, WatchSettings
from agents.wikidata.api import ActionApi
from agents.wikidata.memory import KEY, Memory
from knowledge.properties import CATALOGUE, WATCHED


class _PastLedger:
    """Answers like the ledger, with one item's base from a day; takes no writes."""

    def __init__(self, base: Base) -> None:
        self._base = base

    async def bases(self, items: Sequence[str]) -> dict[str, Base]:
        return {self._base.item: self._base}

    async def settling(self, items: Sequence[str]) -> dict[str, list[Candidate]]:
        return {}


async def explain(
    api: ActionApi,
    ledger: WatchLedger,
    clock: Callable[[], dt.datetime],
    item: str,
    property_id: str | None = None,
    since: dt.date | None = None,
    cutoff: dt.date | None = None,
) -> list[str]:
    """Lines on the item (one property of it, if given): since what is stored of it, or since a day.
    `cutoff` is up to when the served model's own knowledge reaches.

    Raises Permanent for an item or a property that there is nothing to say about."""
    if property_id is not None and property_id not in CATALOGUE:
        raise Permanent(f"{property_id} is no property of the catalogue; watched are {_known()}")
    settings = WatchSettings(
        properties=(property_id,) if property_id else WATCHED, debounce_min=0.0, cutoff=cutoff
    )
    base = (await ledger.bases([item])).get(item) if since is None else None
    if base is None or base.entity is None:
        day = since or (clock() - dt.timedelta(days=90)).date()
        base = await _past(api, item, day)
    past: Any = _PastLedger(base)
    source: Source = api
    return await Watcher(source, past, clock, settings).explain(item)


async def _past(api: ActionApi, item: str, day: dt.date) -> Base:
    moment = dt.datetime.combine(day, dt.time(), dt.UTC)
    revision = await api.revision_at(item, moment)
    if revision is None or revision.doc is None:
        raise Permanent(f"{item} has no public revision of {day} or before; give a later --since")
    entity: dict[str, Any] = {
        "id": item,
        "lastrevid": revision.id,
        "claims": dict(revision.doc.raw_claims),
        KEY: Memory(day=day).write(),
    }
    return Base(item=item, revision=revision.id, entity=entity)


def _known() -> str:
    return ", ".join(WATCHED)
