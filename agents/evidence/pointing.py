"""Items that point at an item: who or what has it as the value of a property.

Owns the port and the search for such items through the wiki's index of statements. What a question
may be made of is decided in `agents.questions`; the index can be late, so what it finds is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.evidence.fetch import GuardedFetcher
from agents.evidence.hygiene import label_objections
from agents.evidence.sources import EntityReader, WikiUnready
from agents.wikidata.entity import parse_entity
from knowledge.facts import Entity, Statement

MOST = 20
"""Items read for one search: the best known ones come first."""

ENDED = ("P570", "P576")
"""Dates of death and dissolution: what was, is no way to say what is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointing:
    """An item that points at another, with its statements of the properties that were asked for."""

    entity: Entity
    statements: tuple[Statement, ...]
    ended: bool = False
    """Dead or dissolved."""

    def of(self, property_id: str) -> tuple[Statement, ...]:
        return tuple(s for s in self.statements if s.property == property_id)


class Pointers(Protocol):
    """Finds the items that have an item as a value."""

    async def pointing_at(self, item: str, properties: Sequence[str]) -> list[Pointing]:
        """At most `MOST` items with a statement of one of the properties whose value is `item`, the
        best known first. Raises Retryable when the wiki did not answer whole."""
        ...


class SearchedPointers:
    """`Pointers` over the search of the Action API, two requests a question."""

    def __init__(self, fetcher: GuardedFetcher, api_url: str, entities: EntityReader) -> None:
        self._fetcher = fetcher
        self._api_url = api_url
        self._entities = entities

    async def pointing_at(self, item: str, properties: Sequence[str]) -> list[Pointing]:
        wanted = "|".join(f"{property_id}={item}" for property_id in properties)
        answer = await self._fetcher.get_json(
            self._api_url,
            {
                "action": "query",
                "list": "search",
                "srsearch": f"haswbstatement:{wanted}",
                "srnamespace": "0",
                "srsort": "incoming_links_desc",
                "srlimit": str(MOST),
                "srinfo": "",
                "srprop": "",
                "format": "json",
                "formatversion": "2",
                "maxlag": "5",
            },
        )
        found = answer.get("query") if isinstance(answer, Mapping) else None
        hits = found.get("search") if isinstance(found, Mapping) else None
        if not isinstance(hits, Sequence):
            raise WikiUnready(f"{self._api_url} answered a search without results")
        ids = [str(hit.get("title")) for hit in hits if isinstance(hit, Mapping)][:MOST]
        return await read_pointing(self._entities, ids, properties)


async def read_pointing(
    entities: EntityReader, ids: Sequence[str], properties: Sequence[str]
) -> list[Pointing]:
    """The items of these ids in their order, those without a fit name left out."""
    if not ids:
        return []
    raw = await entities.raw_entities(ids)
    docs = [parse_entity(raw[i], item=i) for i in ids if i in raw]
    return [
        Pointing(
            entity=Entity(id=doc.id, label=doc.label),
            statements=tuple(s for p in properties for s in doc.claims.get(p, ())),
            ended=any(doc.claims.get(p) for p in ENDED),
        )
        for doc in docs
        if doc.labels and not label_objections(doc.label)
    ]
