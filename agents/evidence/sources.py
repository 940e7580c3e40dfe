"""Where evidence comes from: the dossier of a change, and Wikidata with Wikipedia as its source.

Owns the port `EvidenceSource` and the gathering of statements and extracts into snapshots. Does not
read causes out of them (`extract`), store them, or retry.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from agents.errors import Retryable
from agents.evidence.fetch import GuardedFetcher, PageMissing
from agents.evidence.hygiene import clean, label_objections
from agents.evidence.pages import CitedPages
from agents.evidence.statements import WITHHELD, linked_items, snapshot
from agents.wikidata.entity import EntityDoc, parse_entity
from knowledge.facts import Entity, FactChange, Statement
from knowledge.narrative import Evidence
from knowledge.properties import CATALOGUE
from knowledge.rendering import HOP_FORWARD, HOP_VIA

MAX_EXTRACT_CHARS = 20_000
MAX_STATEMENTS_PER_ITEM = 300
LABELS_PER_REQUEST = 50

_KINDS = {
    "Q5": "person",
    "Q6256": "country",
    "Q3624078": "country",
    "Q515": "city",
    "Q476028": "club",
    "Q847017": "club",
    "Q12973014": "club",
    "Q13393265": "club",
    "Q4830453": "company",
    "Q783794": "company",
    "Q891723": "company",
    "Q6881511": "company",
    "Q7278": "party",
    "Q3918": "university",
    "Q33506": "museum",
    "Q43229": "organisation",
    "Q484652": "organisation",
    "Q1153191": "newspaper",
}
"""Coarse kinds by `instance of`, where several classes are one to a question."""


class WikiUnready(Retryable):
    """The wiki answered, but not with what was asked for (lag, maintenance, a cut answer)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """All that is known about one change: typed values, and the snapshots to quote from.

    `change` carries names and dates as the sources have them now; `statements` are those of
    subject, old and new object; `entities` names every item that they mention.
    """

    change: FactChange
    evidence: tuple[Evidence, ...]
    statements: tuple[Statement, ...] = ()
    entities: tuple[Entity, ...] = ()
    not_fetched: tuple[str, ...] = ()
    """Reference pages that could not be read, each with the reason."""

    @property
    def names(self) -> dict[str, str]:
        """Item ids to labels."""
        return {entity.id: entity.label for entity in self.entities}

    def entity(self, item_id: str) -> Entity:
        """The entity of that id; one that nobody has named bears its id."""
        return next(
            (e for e in self.entities if e.id == item_id), Entity(id=item_id, label=item_id)
        )

    def of(self, item_id: str, property_id: str) -> tuple[Statement, ...]:
        """The statements of one property of one item, in the item's order."""
        return tuple(
            s for s in self.statements if s.subject == item_id and s.property == property_id
        )

    def source(self, evidence_id: str) -> Evidence | None:
        return next((e for e in self.evidence if e.id == evidence_id), None)


class EvidenceSource(Protocol):
    """Gathers what is to be known about a change."""

    async def gather(self, change: FactChange) -> Dossier:
        """The dossier of a change. Raises Retryable when a source did not answer whole."""
        ...


class EvidenceStore(Protocol):
    """Keeps snapshots. Idempotent by `Evidence.id`; the first retrieval time stays."""

    async def put(self, *evidence: Evidence) -> None: ...


class EntityReader(Protocol):
    """Reads entity documents of Wikidata, sitelinks included."""

    async def raw_entities(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Entity JSON by requested id, at most 50 ids; missing items are left out or `missing`."""
        ...


class ArticleReader(Protocol):
    """Reads articles of one encyclopaedia."""

    async def of(self, title: str) -> tuple[str, str] | None:
        """Address and plain text of an article; None when there is none."""
        ...


class FetchedEntities:
    """`EntityReader` over the Action API through the guarded fetcher."""

    def __init__(self, fetcher: GuardedFetcher, api_url: str) -> None:
        self._fetcher = fetcher
        self._api_url = api_url

    async def raw_entities(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        answer = await self._fetcher.get_json(
            self._api_url,
            {
                "action": "wbgetentities",
                "ids": "|".join(ids),
                "props": "info|labels|aliases|claims|sitelinks",
                "languages": "en|mul|en-gb|en-ca",
                "format": "json",
                "formatversion": "2",
                "maxlag": "5",
            },
        )
        if not isinstance(answer, Mapping) or not isinstance(answer.get("entities"), Mapping):
            raise WikiUnready(
                f"{self._api_url} answered wbgetentities without entities: {_code(answer)}"
            )
        found = dict(answer["entities"])
        for raw in answer["entities"].values():
            hop = raw.get("redirects") if isinstance(raw, Mapping) else None
            if isinstance(hop, Mapping) and isinstance(hop.get("from"), str):
                found[hop["from"]] = raw  # a merged item is answered under its target's id
        return found


class Extracts:
    """`ArticleReader` over the Action API of one Wikipedia: plain-text extracts."""

    def __init__(self, fetcher: GuardedFetcher, api_url: str, page_url: str) -> None:
        """`page_url` is the address of an article up to its title."""
        self._fetcher = fetcher
        self._api_url = api_url
        self._page_url = page_url

    async def of(self, title: str) -> tuple[str, str] | None:
        query = {
            "action": "query",
            "prop": "extracts",
            "explaintext": "1",
            "exsectionformat": "plain",
            "redirects": "1",
            "titles": title,
            "format": "json",
            "formatversion": "2",
        }
        try:
            answer = await self._fetcher.get_json(self._api_url, query)
        except PageMissing:
            return None
        pages = (answer.get("query") or {}).get("pages") if isinstance(answer, Mapping) else None
        if pages is None:
            raise WikiUnready(f"{self._api_url} answered without pages: {_code(answer)}")
        for page in pages.values() if isinstance(pages, Mapping) else pages:
            text = clean(str(page.get("extract") or ""))[:MAX_EXTRACT_CHARS].strip()
            if text:
                return self._page_url + title.replace(" ", "_"), text
        return None


class WikimediaEvidence:
    """`EvidenceSource` over Wikidata and, through sitelinks, one Wikipedia.

    Three requests for a change without extracts: the three items, and the labels of what they name.
    """

    def __init__(
        self,
        entities: EntityReader,
        extracts: ArticleReader | None,
        *,
        site: str = "enwiki",
        item_url: str = "https://www.wikidata.org/wiki/",
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        pages: CitedPages | None = None,
    ) -> None:
        """Without `pages` no page that a statement cites is read."""
        self._pages = pages
        self._entities = entities
        self._extracts = extracts
        self._site = site
        self._item_url = item_url
        self._clock = clock

    async def gather(self, change: FactChange) -> Dossier:
        asked = _ids(change)
        raw = await self._entities.raw_entities(asked)
        docs = {i: parse_entity(raw[i], item=i) for i in asked if i in raw}
        statements = {i: _relevant(docs[i], change) for i in asked if i in docs}
        entities = await self._named(change, docs, statements)
        names = {e.id: e.label for e in entities}
        now = self._clock().astimezone(dt.UTC).isoformat(timespec="seconds")
        evidence = [
            Evidence(
                source=f"wikidata:{item}",
                url=f"{self._item_url}{item}",
                retrieved_at=now,
                text=snapshot(item, found, names),
            )
            for item, found in statements.items()
        ]
        evidence += await self._articles(raw, asked, now)
        pages, not_fetched = await self._cited(change, statements)
        evidence += pages
        by_id = {e.id: e for e in entities}
        return Dossier(
            change=replace(
                change,
                subject=by_id[change.subject.id],
                old=by_id[change.old.id] if change.old else None,
                new=by_id[change.new.id] if change.new else None,
                cause=by_id.get(change.cause.id, change.cause) if change.cause else None,
            ),
            evidence=tuple({e.id: e for e in evidence}.values()),
            statements=tuple(s for found in statements.values() for s in found),
            entities=tuple(entities),
            not_fetched=tuple(not_fetched),
        )

    async def _cited(
        self, change: FactChange, statements: Mapping[str, tuple[Statement, ...]]
    ) -> tuple[list[Evidence], list[str]]:
        """The pages that the new and the old statement cite, the new one's first."""
        if self._pages is None:
            return [], []
        own = {s.id: s for s in statements.get(change.subject.id, ())}
        telling = [own.get(i or "") for i in (change.new_statement, change.old_statement)]
        return await self._pages.read([s for s in telling if s], self._clock())

    async def _named(
        self,
        change: FactChange,
        docs: Mapping[str, EntityDoc],
        statements: Mapping[str, tuple[Statement, ...]],
    ) -> list[Entity]:
        """The three items and all that they name, each with its label, in a fixed order."""
        known = {change.subject.id: change.subject}
        known |= {e.id: e for e in (change.old, change.new, change.cause) if e}
        linked = linked_items(s for found in statements.values() for s in found)
        missing = sorted(set(linked) - set(docs))
        chunks = [
            missing[i : i + LABELS_PER_REQUEST] for i in range(0, len(missing), LABELS_PER_REQUEST)
        ]
        more = dict(docs)
        for raw in await asyncio.gather(*(self._entities.raw_entities(chunk) for chunk in chunks)):
            for item, document in raw.items():
                more[item] = parse_entity(document, item=item)
        found: list[Entity] = []
        for item in dict.fromkeys([*_ids(change), *missing]):
            doc, told = more.get(item), known.get(item)
            if doc is None or doc.missing or not doc.labels:
                found.append(told or Entity(id=item, label=item))
                continue
            entity = doc.entity((told.kind if told else "") or _kind(doc, more))
            found.append(replace(entity, id=item, aliases=_aliases(entity)))
        return found

    async def _articles(
        self, raw: Mapping[str, Mapping[str, Any]], asked: Sequence[str], now: str
    ) -> list[Evidence]:
        extracts = self._extracts
        if extracts is None:
            return []
        titles = [title for item in asked if (title := _sitelink(raw.get(item), self._site))]
        found = await asyncio.gather(*(extracts.of(title) for title in titles))
        return [
            Evidence(source=_article(t), url=page[0], retrieved_at=now, text=page[1])
            for t, page in zip(titles, found, strict=True)
            if page
        ]


def _ids(change: FactChange) -> list[str]:
    items = [change.subject, change.old, change.new]
    return list(dict.fromkeys(item.id for item in items if item))


def _relevant(doc: EntityDoc, change: FactChange) -> tuple[Statement, ...]:
    """The statements that bear on the change or on questions about it, capped, in a fixed order."""
    wanted = dict.fromkeys([change.property, "P31", "P39", "P569", "P570"])
    wanted |= dict.fromkeys(CATALOGUE[change.property].inverse)
    wanted |= dict.fromkeys([*HOP_FORWARD, *HOP_VIA])
    found = [s for property_id in wanted for s in doc.claims.get(property_id, ())]
    return tuple(found[:MAX_STATEMENTS_PER_ITEM])


def _kind(doc: EntityDoc, known: Mapping[str, EntityDoc]) -> str:
    """A coarse kind: by the table, else the plain name of what the item is an instance of."""
    classes = doc.items("P31")
    if found := next((i for i in classes if i in _KINDS), None):
        return _KINDS[found]
    named = [known[i].label for i in classes[:1] if i in known and known[i].labels]
    return next((n for n in named if len(n.split()) <= 3 and not label_objections(n)), "")


def _aliases(entity: Entity) -> tuple[str, ...]:
    """The aliases that are names; the others count for nothing."""
    return tuple(dict.fromkeys(a for a in entity.aliases if not label_objections(a)))


def _sitelink(document: Mapping[str, Any] | None, site: str) -> str | None:
    links = (document or {}).get("sitelinks") or {}
    link = links.get(site) if isinstance(links, Mapping) else None
    title = link.get("title") if isinstance(link, Mapping) else None
    return title if isinstance(title, str) and 0 < len(title) < 300 else None


def _article(title: str) -> str:
    """The name of an article as a source; a title that is no name is withheld."""
    return f"wikipedia:{WITHHELD if label_objections(title) else clean(title)}"


def _code(answer: Any) -> str:
    error = answer.get("error") if isinstance(answer, Mapping) else None
    return str(error.get("code"))[:60] if isinstance(error, Mapping) else type(answer).__name__
