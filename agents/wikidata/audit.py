"""The audit: a sample of watched items read in full and compared with what is stored of them.

Owns the sample and the comparison. Any difference is a change that was missed: an alarm, for the
sweep is to find all of them. Does not judge what differs; the item is marked and looked at.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agents.ledger import Base, DirtyMark, WatchLedger
from agents.wikidata.api import Fetched
from agents.wikidata.diff import state_key
from agents.wikidata.entity import EntityDoc, parse_entity
from agents.wikidata.memory import Memory
from knowledge.properties import WATCHED

SHARE = 0.01
LEAST = 20
"""Items of a small list that are read at least."""


class Items(Protocol):
    """What the audit asks of Wikidata; `ActionApi` answers it."""

    async def entities(self, items: Iterable[str]) -> Fetched: ...


@dataclass(slots=True)
class Audited:
    """How many were read, and what had been missed, by item."""

    checked: int = 0
    missed: dict[str, str] = field(default_factory=dict)


async def audit(
    api: Items,
    ledger: WatchLedger,
    now: dt.datetime,
    *,
    grace: dt.timedelta,
    rng: random.Random,
    properties: Sequence[str] = WATCHED,
) -> Audited:
    """Read 1 % of the watched items (20 at least). `grace` is how old an edit must be before it
    counts as missed: until then a sweep may still find it. What was missed is marked."""
    watched = sorted(i for i, revision in (await ledger.watched()).items() if revision)
    sample = rng.sample(watched, min(len(watched), max(LEAST, round(SHARE * len(watched)))))
    bases = await ledger.bases(sample)
    fetched = await api.entities(sample)
    done = Audited()
    for item in sample:
        base, head = bases.get(item), fetched.docs.get(item)
        if base is None or base.entity is None or head is None:
            continue
        done.checked += 1
        told = _missed(base, head, fetched.redirects.get(item), now - grace, properties)
        if told:
            done.missed[item] = told
    marks = [
        DirtyMark(item=i, revision=fetched.docs[i].revision, reason="audit") for i in done.missed
    ]
    await ledger.mark(marks)
    return done


def _missed(
    base: Base,
    head: EntityDoc,
    target: str | None,
    latest: dt.datetime,
    properties: Sequence[str],
) -> str:
    """What was missed, in a few words; empty for nothing."""
    if head.missing or target is not None:
        return "" if head.modified and head.modified > latest else "merged or deleted unnoticed"
    if head.revision > base.revision:
        if head.modified is None or head.modified > latest:
            return ""
        return f"edited on {head.modified:%Y-%m-%d %H:%M}, last looked at revision {base.revision}"
    known = parse_entity(base.entity, item=base.item)
    memory = Memory.read(base.entity)
    if head.revision != base.revision or memory.legacy:
        return ""
    for property_id in properties:
        if property_id in memory.starts:
            continue  # still open: its base is older on purpose
        if state_key(known.claims.get(property_id, ())) != state_key(
            head.claims.get(property_id, ())
        ):
            return f"{property_id} is stored otherwise than revision {head.revision} has it"
    return ""
