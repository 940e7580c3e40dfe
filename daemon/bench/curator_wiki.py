"""A small Wikidata in memory: items, statements and articles, read through the curator's ports.

Owns the documents as the API would show them, one whole case (Moldova in February 2023), and a
curator over them. Serves benches and tests; knows no protocol.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agents.curate import CurateSettings, Curator
from agents.evidence.pointing import MOST, Pointing, read_pointing
from agents.evidence.sources import WikimediaEvidence
from agents.questions import Neighbour
from knowledge.facts import ChangeKind, Date, Entity, FactChange
from knowledge.narrative import Evidence

NOW = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)
"""When everything of this wiki is read."""


def item_value(item_id: str) -> dict[str, Any]:
    return {"type": "wikibase-entityid", "value": {"entity-type": "item", "id": item_id}}


def snak(property_id: str, value: str) -> dict[str, Any]:
    """`value` is an item id, an ISO date prefix, or a text."""
    if value.startswith("Q") and value[1:].isdigit():
        data = item_value(value)
    elif value[:1].isdigit():
        date = Date.parse(value)
        data = {
            "type": "time",
            "value": {"time": date.to_wikibase(), "precision": int(date.precision)},
        }
    else:
        data = {"type": "string", "value": value}
    return {"snaktype": "value", "property": property_id, "datavalue": data}


class Wiki:
    """Items and articles, readable through the curator's ports and as API answers."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.articles: dict[str, str] = {}
        self.reads = 0

    def item(self, item_id: str, label: str, *aliases: str, article: str = "") -> str:
        document: dict[str, Any] = {
            "id": item_id,
            "type": "item",
            "lastrevid": 7,
            "labels": {"en": {"language": "en", "value": label}},
            "aliases": {"en": [{"language": "en", "value": a} for a in aliases]},
            "claims": {},
            "sitelinks": {},
        }
        if article:
            document["sitelinks"]["enwiki"] = {"site": "enwiki", "title": label}
            self.articles[label] = article
        self.items[item_id] = document
        return item_id

    def state(
        self,
        subject: str,
        property_id: str,
        value: str,
        *,
        rank: str = "normal",
        url: str = "",
        **qualifiers: str,
    ) -> str:
        """Add a statement; qualifiers as P580="2020-01-01". Answers its id."""
        group = self.items[subject]["claims"].setdefault(property_id, [])
        statement_id = f"{subject}${property_id}-{len(group)}"
        statement: dict[str, Any] = {
            "id": statement_id,
            "rank": rank,
            "mainsnak": snak(property_id, value),
            "qualifiers": {p: [snak(p, v)] for p, v in qualifiers.items() if v},
        }
        if url:
            statement["references"] = [{"snaks": {"P854": [snak("P854", url)]}}]
        group.append(statement)
        return statement_id

    async def raw_entities(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        self.reads += 1
        return {i: self.items[i] for i in ids if i in self.items}

    async def pointing_at(self, item: str, properties: Sequence[str]) -> list[Pointing]:
        found = [
            source
            for source, document in self.items.items()
            if any(
                statement["mainsnak"] == snak(property_id, item)
                for property_id in properties
                for statement in document["claims"].get(property_id, ())
            )
        ]
        return await read_pointing(self, found[:MOST], properties)

    async def of(self, title: str) -> tuple[str, str] | None:
        text = self.articles.get(title)
        return (f"https://en.wikipedia.org/wiki/{title}", text) if text else None

    def entity(self, item_id: str, kind: str = "") -> Entity:
        label = self.items[item_id]["labels"]["en"]["value"]
        return Entity(id=item_id, label=label, kind=kind)

    def source(self) -> WikimediaEvidence:
        return WikimediaEvidence(self, self, clock=lambda: NOW)


class Store:
    """An `EvidenceStore` in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Evidence] = {}
        self.puts = 0

    async def put(self, *evidence: Evidence) -> None:
        self.puts += 1
        for one in evidence:
            self.kept.setdefault(one.id, one)


class FixedNeighbours:
    def __init__(self, found: Iterable[Neighbour] = ()) -> None:
        self.found = list(found)

    async def neighbours(self, property: str, subject: Entity, limit: int) -> list[Neighbour]:
        return self.found[:limit]


MOLDOVA = "Q217"
GAVRILITA, RECEAN = "Q4492965", "Q21095068"
RESIGNATION = "Q796919"


def moldova(
    *,
    end_cause: bool = True,
    old_article: str = "",
    new_article: str = "",
    subject_article: str = "",
    old_label: str = "Natalia Gavrilița",
    new_label: str = "Dorin Recean",
    subject_label: str = "Moldova",
    cause_label: str = "resignation",
) -> tuple[Wiki, FactChange]:
    """The change of government of February 2023, in a wiki of eight items."""
    wiki = Wiki()
    wiki.item(MOLDOVA, subject_label, "Republic of Moldova", article=subject_article)
    wiki.item(GAVRILITA, old_label, article=old_article)
    wiki.item(RECEAN, new_label, article=new_article)
    wiki.item(RESIGNATION, cause_label)
    wiki.item("Q21197", "Chișinău")
    wiki.item("Q18548", "Dondușeni")
    wiki.item("Q2000000001", "Mălăiești")
    wiki.item("Q5", "human")
    wiki.item("Q6256", "country")
    wiki.state(MOLDOVA, "P31", "Q6256")
    wiki.state(MOLDOVA, "P36", "Q21197")
    cause = {"P1534": RESIGNATION} if end_cause else {}
    old = wiki.state(
        MOLDOVA, "P6", GAVRILITA, P580="2021-08-06", P582="2023-02-16", P1366=RECEAN, **cause
    )
    new = wiki.state(
        MOLDOVA,
        "P6",
        RECEAN,
        rank="preferred",
        url="https://gov.md/ro/recean?x=1",
        P580="2023-02-16",
        P1365=GAVRILITA,
    )
    for person, place in ((GAVRILITA, "Q2000000001"), (RECEAN, "Q18548")):
        wiki.state(person, "P31", "Q5")
        wiki.state(person, "P19", place)
        wiki.state(person, "P27", MOLDOVA)
    change = FactChange(
        subject=wiki.entity(MOLDOVA, "country"),
        property="P6",
        old=wiki.entity(GAVRILITA, "person"),
        new=wiki.entity(RECEAN, "person"),
        kind=ChangeKind.SUCCESSION,
        old_statement=old,
        new_statement=new,
        ended=Date.parse("2023-02-16"),
        started=Date.parse("2023-02-16"),
        base_revision=6,
        head_revision=7,
        reason="ended and replaced",
    )
    return wiki, change


def curator(wiki: Wiki, checkpointer: Any, **more: Any) -> Curator:
    """A curator over the wiki, without pauses between retries."""
    settings = more.pop("settings", CurateSettings(first_pause_s=0.01))
    source = more.pop("evidence", wiki.source())
    store = more.pop("store", None) or Store()
    more.setdefault("clock", lambda: NOW)
    more.setdefault("pointers", wiki)
    return Curator(
        evidence=source, store=store, checkpointer=checkpointer, settings=settings, **more
    )
