"""Entity JSON in canonical form: two documents that say the same become equal statements.

Owns reading of Wikibase's JSON, both what `wbgetentities` answers and what a revision stores, over
its format epochs (empty maps as lists, padded years, missing datatypes). Does not decide which
statements hold now (`view`) or what changed (`diff`).
"""

from __future__ import annotations

import datetime as dt
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from agents.wikidata.errors import Malformed
from knowledge.facts import Entity, Rank, Snak, SnakKind, Statement

_TIME = re.compile(r"^([+-]?)(\d+)-(\d{1,2})-(\d{1,2})T")
_LABEL_CHAIN = ("en", "mul", "en-gb", "en-ca")
_VALUE_TYPES = {
    "wikibase-entityid": "wikibase-item",
    "time": "time",
    "quantity": "quantity",
    "monolingualtext": "monolingualtext",
    "globecoordinate": "globe-coordinate",
    "string": "string",
}

Claims = dict[str, tuple[Statement, ...]]


@dataclass(frozen=True, slots=True)
class EntityDoc:
    """One state of one item. `redirect_to` is set, and the rest empty, when it is a redirect."""

    id: str
    revision: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    claims: Claims = field(default_factory=dict)
    other: str = ""
    """Fingerprint of what is no claim, label or alias: descriptions and sitelinks."""
    redirect_to: str | None = None
    missing: bool = False
    modified: dt.datetime | None = None
    """When the item was last edited, where the document says so."""
    raw_claims: Mapping[str, Any] = field(default_factory=dict)
    """Wikibase's own JSON by property, kept so that a base can be put together by property."""

    @property
    def label(self) -> str:
        """The name for people: en, then mul, other English, any Latin script, else the id."""
        for language in _LABEL_CHAIN:
            if text := self.labels.get(language):
                return text
        return next((t for _, t in sorted(self.labels.items()) if _latin(t)), self.id)

    @property
    def names(self) -> tuple[str, ...]:
        found = [self.label] if self.labels else []
        for language in _LABEL_CHAIN:
            found += [self.labels[language]] if language in self.labels else []
            found += self.aliases.get(language, ())
        return tuple(dict.fromkeys(found))

    def entity(self, kind: str = "") -> Entity:
        """The item as the vocabulary's `Entity`, with its English and multilingual aliases."""
        label = self.label
        return Entity(
            id=self.id, label=label, aliases=tuple(n for n in self.names if n != label), kind=kind
        )

    def items(self, *properties: str) -> tuple[str, ...]:
        """Item values of the undeprecated statements of these properties."""
        return tuple(
            s.mainsnak.value
            for p in properties
            for s in self.claims.get(p, ())
            if is_item_value(s.mainsnak) and s.rank is not Rank.DEPRECATED
        )


def is_item_value(snak: Snak) -> bool:
    return snak.kind is SnakKind.VALUE and snak.datatype == "wikibase-item"


def parse_entity(document: Any, *, item: str = "", revision: int = 0) -> EntityDoc:
    """Read one entity document. `item` and `revision` fill in what a stored revision leaves out.

    Raises Malformed when the document is no entity."""
    if not isinstance(document, Mapping):
        raise Malformed(f"{item or 'an item'}: expected an entity object, got {_short(document)}")
    if isinstance(document.get("redirect"), str):
        return EntityDoc(
            str(document.get("entity") or item), revision, redirect_to=document["redirect"]
        )
    item = _text(document.get("id")) or item
    revision = _int(document.get("lastrevid")) or revision
    if "missing" in document:
        return EntityDoc(item, revision, missing=True)
    raw_claims = _map(document.get("claims", document.get("statements")), item, "claims")
    return EntityDoc(
        id=item,
        revision=revision,
        labels=_terms(document.get("labels"), item),
        aliases=_aliases(document.get("aliases"), item),
        claims={p: s for p, group in raw_claims.items() if (s := parse_group(item, p, group))},
        other=json.dumps(
            [_plain(document.get("descriptions")), _plain(document.get("sitelinks"))],
            sort_keys=True,
            default=str,
        ),
        modified=_moment(document.get("modified")),
        raw_claims=raw_claims,
    )


def parse_group(item: str, property_id: str, group: Any) -> tuple[Statement, ...]:
    """The statements of one property, in the document's order."""
    if not isinstance(group, list):
        raise Malformed(f"{item}: the statements of {property_id} are {_short(group)}, not a list")
    return tuple(_statement(item, property_id, raw, n) for n, raw in enumerate(group))


def canonical_time(value: Mapping[str, Any]) -> str:
    """`<time>/<precision>`: years of four digits, nothing finer than the precision says."""
    precision = _int(value.get("precision")) or 11
    match = _TIME.match("".join(_text(value.get("time")).split()))  # some old edits have blanks
    if not match:
        raise Malformed(f"{_short(value)} is no Wikibase time")
    sign, year, month, day = match.groups()
    month = month if precision >= 10 else "00"
    day = day if precision >= 11 else "00"
    return f"{sign or '+'}{int(year):04d}-{int(month):02d}-{int(day):02d}T00:00:00Z/{precision}"


def base_document(
    head: EntityDoc, properties: Iterable[str], keep: Mapping[str, Any], memory: Mapping[str, Any]
) -> dict[str, Any]:
    """The JSON to store as an item's base: names and the given properties of `head`, with the
    groups of `keep` instead where they have not been accepted yet, and the watcher's `memory`."""
    groups = {p: head.raw_claims[p] for p in properties if p in head.raw_claims}
    for property_id, group in keep.items():
        groups.pop(property_id, None)
        if group:
            groups[property_id] = group
    return {
        "id": head.id,
        "type": "item",
        "lastrevid": head.revision,
        "labels": {lang: {"language": lang, "value": t} for lang, t in head.labels.items()},
        "aliases": {
            lang: [{"language": lang, "value": t} for t in texts]
            for lang, texts in head.aliases.items()
        },
        "claims": groups,
        "almanac": dict(memory),
    }


def _statement(item: str, property_id: str, raw: Any, place: int) -> Statement:
    if not isinstance(raw, Mapping):
        raise Malformed(f"{item}: a statement of {property_id} is {_short(raw)}")
    rank = raw.get("rank", "normal")
    if rank not in ("preferred", "normal", "deprecated"):
        raise Malformed(f"{item}: a statement of {property_id} has the rank {rank!r}")
    references = raw.get("references") or []
    if not isinstance(references, list):
        raise Malformed(f"{item}: the references of {property_id} are {_short(references)}")
    return Statement(
        id=_text(raw.get("id")) or f"{item}${property_id}-{place}",
        subject=item,
        mainsnak=_snak(raw.get("mainsnak"), property_id),
        rank=Rank(rank),
        qualifiers=_snaks(raw.get("qualifiers"), item),
        references=tuple(
            sorted(
                (_snaks(_map(r, item, "reference").get("snaks"), item) for r in references), key=str
            )
        ),
    )


def _snaks(groups: Any, item: str) -> tuple[Snak, ...]:
    found: list[Snak] = []
    for property_id, group in _map(groups, item, "snaks").items():
        if not isinstance(group, list):
            raise Malformed(f"{item}: the snaks of {property_id} are {_short(group)}")
        found += [_snak(raw, property_id) for raw in group]
    return tuple(sorted(found, key=lambda s: (s.property, s.kind, s.value)))


def _snak(raw: Any, property_id: str) -> Snak:
    if not isinstance(raw, Mapping):
        raise Malformed(f"a snak of {property_id} is {_short(raw)}")
    property_id = _text(raw.get("property")) or property_id
    kind = raw.get("snaktype", "value")
    if kind not in ("value", "somevalue", "novalue"):
        raise Malformed(f"a snak of {property_id} has the type {kind!r}")
    if kind != "value":
        return Snak(property=property_id, kind=SnakKind(kind), datatype="")
    data = raw.get("datavalue")
    if not isinstance(data, Mapping):
        raise Malformed(f"a value of {property_id} is {_short(data)}")
    shape = _text(data.get("type"))
    return Snak(
        property=property_id,
        datatype=_VALUE_TYPES.get(shape, shape or "unknown"),
        value=_value(shape, data.get("value")),
    )


def _value(shape: str, value: Any) -> str:
    if shape == "string" and isinstance(value, str):
        return unicodedata.normalize("NFC", " ".join(value.split()))
    if not isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True, default=str)
    if shape == "wikibase-entityid":
        if isinstance(value.get("id"), str):
            return value["id"]
        letter = {"property": "P", "lexeme": "L"}.get(_text(value.get("entity-type")), "Q")
        return f"{letter}{value.get('numeric-id')}"
    if shape == "time":
        return canonical_time(value)
    if shape == "quantity":
        unit = _text(value.get("unit")).rpartition("/")[2] or "1"
        return f"{_number(value.get('amount'))} {unit}"
    if shape == "monolingualtext":
        text = unicodedata.normalize("NFC", " ".join(_text(value.get("text")).split()))
        return f"{text}@{_text(value.get('language'))}"
    if shape == "globecoordinate":
        return f"{_degrees(value.get('latitude'))},{_degrees(value.get('longitude'))}"
    return json.dumps(value, sort_keys=True, default=str)


def _number(amount: Any) -> str:
    try:
        number = Decimal(str(amount))
        if not number.is_finite() or abs(number.adjusted()) > 60:
            return str(amount)
        return format(number.normalize(), "f")
    except InvalidOperation:
        return str(amount)


def _degrees(value: Any) -> str:
    return f"{value:.6f}" if isinstance(value, int | float) else str(value)


def _terms(raw: Any, item: str) -> dict[str, str]:
    return {
        lang: _text(_map(term, item, "label").get("value"))
        for lang, term in _map(raw, item, "labels").items()
    }


def _aliases(raw: Any, item: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for lang, terms in _map(raw, item, "aliases").items():
        if not isinstance(terms, list):
            raise Malformed(f"{item}: the aliases in {lang} are {_short(terms)}")
        found[lang] = tuple(_text(_map(t, item, "alias").get("value")) for t in terms)
    return found


def _map(raw: Any, item: str, what: str) -> Mapping[str, Any]:
    if raw is None or raw == []:
        return {}
    if not isinstance(raw, Mapping):
        raise Malformed(f"{item}: {what} is {_short(raw)}, not an object")
    return raw


def _plain(raw: Any) -> Any:
    return raw or {}


def _text(raw: Any) -> str:
    return raw if isinstance(raw, str) else ""


def _moment(raw: Any) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(_text(raw).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else None


def _int(raw: Any) -> int:
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else 0


def _short(raw: Any) -> str:
    return repr(raw)[:60]


def _latin(text: str) -> bool:
    return any(c.isalpha() for c in text) and all(not c.isalpha() or ord(c) < 0x250 for c in text)
