"""A wiki in memory that answers like the Action API, and words to write histories on it."""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from agents.wikidata.api import Fetched, PageInfo, RecentChange
from agents.wikidata.editors import Profile
from agents.wikidata.entity import parse_entity
from agents.wikidata.history import Revision

START = dt.datetime(2025, 9, 1, tzinfo=dt.UTC)


def item_snak(property_id: str, item: str) -> dict[str, Any]:
    return {
        "snaktype": "value",
        "property": property_id,
        "datavalue": {
            "type": "wikibase-entityid",
            "value": {"entity-type": "item", "numeric-id": int(item[1:]), "id": item},
        },
    }


def time_snak(property_id: str, day: str) -> dict[str, Any]:
    precision = 9 + day.count("-")
    padded = (day + "-00-00")[:10] if precision < 11 else day
    return {
        "snaktype": "value",
        "property": property_id,
        "datavalue": {
            "type": "time",
            "value": {"time": f"+{padded}T00:00:00Z", "precision": precision},
        },
    }


def claim(
    id: str,
    property_id: str,
    value: str,
    *,
    start: str | None = None,
    end: str | None = None,
    rank: str = "normal",
    acting: bool = False,
) -> dict[str, Any]:
    """One statement as a revision stores it."""
    qualifiers: dict[str, Any] = {}
    if start:
        qualifiers["P580"] = [time_snak("P580", start)]
    if end:
        qualifiers["P582"] = [time_snak("P582", end)]
    if acting:
        qualifiers["P5102"] = [item_snak("P5102", "Q4676846")]
    return {
        "id": id,
        "type": "statement",
        "rank": rank,
        "mainsnak": item_snak(property_id, value),
        "qualifiers": qualifiers,
    }


def constraint(
    id: str, kind: str, *, rank: str = "normal", **qualifiers: tuple[str, ...]
) -> dict[str, Any]:
    """One statement of a property about its values (P2302)."""
    made = claim(id, "P2302", kind, rank=rank)
    made["qualifiers"] = {p: [_entity_snak(p, v) for v in vs] for p, vs in qualifiers.items()}
    return made


def _entity_snak(property_id: str, value: str) -> dict[str, Any]:
    if value.startswith("Q"):
        return item_snak(property_id, value)
    made = item_snak(property_id, f"Q{value[1:]}")
    made["datavalue"]["value"] |= {"entity-type": "property", "id": value}
    return made


class FakeWiki:
    """Pages with histories. Each `put` is a revision; times only go forward."""

    def __init__(self) -> None:
        self.pages: dict[str, list[Revision]] = {}
        self.raw: dict[str, dict[str, Any]] = {}
        self.redirects: dict[str, str] = {}
        self.now = START
        self.number = 1000
        self.asked = 0

    def item(self, item: str, label: str, *claims: dict[str, Any], **groups: Any) -> None:
        """Create a page."""
        self.raw[item] = {
            "id": item,
            "labels": {"en": {"language": "en", "value": label}},
            "aliases": {},
            "claims": {},
        }
        for one in claims:
            self.raw[item]["claims"].setdefault(one["mainsnak"]["property"], []).append(one)
        for property_id, values in groups.items():
            self.raw[item]["claims"][property_id] = [
                claim(f"{item}${property_id}{v}", property_id, v) for v in values
            ]
        self._save(item, "Creator", "/* wbeditentity-create:2|en */", ())

    def set(self, item: str, *claims: dict[str, Any], **how: Any) -> int:
        """Replace the statements of the property of the first claim."""
        self.raw[item]["claims"][claims[0]["mainsnak"]["property"]] = list(claims)
        return self.save(item, **how)

    def save(
        self,
        item: str,
        *,
        user: str = "Kontributor",
        hours: float = 1.0,
        comment: str = "/* wbsetclaim-update:2||1 */",
        tags: tuple[str, ...] = (),
    ) -> int:
        self.now += dt.timedelta(hours=hours)
        return self._save(item, user, comment, tags)

    def restore(self, item: str, revision: int, **how: Any) -> int:
        """Bring the content of an earlier revision back."""
        doc = next(r for r in self.pages[item] if r.id == revision)
        self.raw[item]["claims"] = copy.deepcopy(dict(doc.doc.raw_claims))  # type: ignore[union-attr]
        how.setdefault("tags", ("mw-rollback",))
        how.setdefault("comment", "Reverted edits by someone")
        return self.save(item, **how)

    def head(self, item: str) -> int:
        return self.pages[item][-1].id

    def _save(self, item: str, user: str, comment: str, tags: tuple[str, ...]) -> int:
        self.number += 1
        text = json.dumps(self.raw[item], sort_keys=True)
        page = self.pages.setdefault(item, [])
        page.append(
            Revision(
                id=self.number,
                parent=page[-1].id if page else 0,
                time=self.now,
                user=user,
                comment=comment,
                tags=tags,
                sha1=hashlib.sha1(text.encode()).hexdigest(),
                doc=parse_entity(json.loads(text), item=item, revision=self.number),
            )
        )
        return self.number

    async def entities(self, items: Iterable[str]) -> Fetched:
        self.asked += 1
        found = Fetched()
        for item in items:
            target = self.redirects.get(item, item)
            if target != item:
                found.redirects[item] = target
            if target in self.pages:
                found.docs[item] = self.pages[target][-1].doc  # type: ignore[assignment]
            else:
                found.docs[item] = parse_entity({"id": item, "missing": ""})
        return found

    async def lastrevids(self, items: Iterable[str]) -> dict[str, PageInfo]:
        return {
            i: PageInfo(revision=self.head(i)) if i in self.pages else PageInfo(missing=True)
            for i in items
        }

    async def history(
        self, item: str, after_revision: int, until_revision: int | None = None
    ) -> list[Revision]:
        self.asked += 1
        last = until_revision or self.number
        return [r for r in self.pages[item] if after_revision <= r.id <= last]

    async def users(self, names: Iterable[str]) -> dict[str, Profile]:
        """Everybody is well known, but for those whose names say that they are new."""
        return {n: Profile(name=n, edit_count=3 if n.startswith("New") else 900) for n in names}

    async def recentchanges(
        self, since: dt.datetime, until: dt.datetime, *, user: str | None = None
    ) -> AsyncIterator[RecentChange]:
        for item, page in self.pages.items():
            for r in page:
                if since <= r.time <= until and user in (None, r.user):
                    yield RecentChange(
                        item=item, revision=r.id, time=r.time, user=r.user, comment=r.comment
                    )
