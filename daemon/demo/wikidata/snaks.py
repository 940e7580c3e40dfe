"""Wikibase JSON in its storage form: snaks, statements, references, items, their text and hash.

Owns the shapes as a revision's content has them (no `datatype`, empty maps as `[]`) and the step
to the form that `wbgetentities` answers. Knows nothing of the world or of edits.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from knowledge.facts import Date

Json = dict[str, Any]

CALENDAR = "http://www.wikidata.org/entity/Q1985727"
"""The proleptic Gregorian calendar, by which every time value here is given."""

_TIMES = frozenset({"P580", "P582", "P585", "P813", "P569", "P570", "P571"})
_URLS = frozenset({"P854", "P856"})
_PROPERTIES = frozenset({"P4155"})
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_MAPS = ("labels", "descriptions", "aliases", "claims", "sitelinks")


def datatype_of(property_id: str) -> str:
    """The Wikibase datatype of a property that the local Wikidata uses."""
    if property_id in _TIMES:
        return "time"
    if property_id in _PROPERTIES:
        return "wikibase-property"
    return "url" if property_id in _URLS else "wikibase-item"


def item_snak(property_id: str, item_id: str) -> Json:
    value = {"entity-type": "item", "numeric-id": int(item_id[1:]), "id": item_id}
    return _snak(property_id, {"value": value, "type": "wikibase-entityid"})


def property_snak(property_id: str, value: str) -> Json:
    """A value that is a property."""
    named = {"entity-type": "property", "numeric-id": int(value[1:]), "id": value}
    return _snak(property_id, {"value": named, "type": "wikibase-entityid"})


def time_snak(property_id: str, date: Date, *, filled: bool = False) -> Json:
    """A time value. `filled` writes 01 where month or day is not known, as newer tools do."""
    time = date.to_wikibase()
    if filled:
        time = time.replace("-00", "-01")
    value = {
        "time": time,
        "timezone": 0,
        "before": 0,
        "after": 0,
        "precision": int(date.precision),
        "calendarmodel": CALENDAR,
    }
    return _snak(property_id, {"value": value, "type": "time"})


def fill_date(snak: Json) -> None:
    """Write 01 for the month and day that a time value does not know. Changes the snak in place."""
    datavalue = snak.get("datavalue")
    if datavalue:
        datavalue["value"]["time"] = datavalue["value"]["time"].replace("-00", "-01")
        snak["hash"] = _sha1([snak["property"], datavalue])


def url_snak(property_id: str, url: str) -> Json:
    return _snak(property_id, {"value": url, "type": "string"})


def unknown_snak(property_id: str) -> Json:
    """`somevalue`: there is a value, nobody knows which."""
    return {
        "snaktype": "somevalue",
        "property": property_id,
        "hash": _sha1([property_id, "somevalue"]),
    }


def _snak(property_id: str, datavalue: Json) -> Json:
    return {
        "snaktype": "value",
        "property": property_id,
        "hash": _sha1([property_id, datavalue]),
        "datavalue": datavalue,
    }


def reference(*snaks: Json) -> Json:
    grouped, order = _grouped(snaks)
    return {"hash": _sha1([s["hash"] for s in snaks]), "snaks": grouped, "snaks-order": order}


def statement(
    guid: str,
    mainsnak: Json,
    *,
    rank: str = "normal",
    qualifiers: tuple[Json, ...] = (),
    references: tuple[Json, ...] = (),
) -> Json:
    made: Json = {"mainsnak": mainsnak, "type": "statement"}
    if qualifiers:
        made["qualifiers"], made["qualifiers-order"] = _grouped(qualifiers)
    made["id"] = guid
    made["rank"] = rank
    if references:
        made["references"] = list(references)
    return made


def set_qualifier(made: Json, snak: Json) -> None:
    """Give the statement this one qualifier of its property, in place of any it had."""
    qualifiers = made.setdefault("qualifiers", {})
    order = made.setdefault("qualifiers-order", [])
    qualifiers[snak["property"]] = [snak]
    if snak["property"] not in order:
        order.append(snak["property"])


def has_qualifier(made: Json, property_id: str) -> bool:
    return property_id in made.get("qualifiers", {})


def add_reference(made: Json, ref: Json) -> None:
    made.setdefault("references", []).append(ref)


def value_of(made: Json) -> str | None:
    """The item id that a statement's main value is, if it is one."""
    value = made["mainsnak"].get("datavalue", {}).get("value")
    return value.get("id") if isinstance(value, dict) else None


def _grouped(snaks: tuple[Json, ...]) -> tuple[dict[str, list[Json]], list[str]]:
    grouped: dict[str, list[Json]] = {}
    for snak in snaks:
        grouped.setdefault(snak["property"], []).append(snak)
    return grouped, list(grouped)


def item(item_id: str) -> Json:
    """An empty item."""
    made: Json = {"type": "item", "id": item_id}
    for part in _MAPS:
        made[part] = {}
    return made


def term(language: str, value: str) -> Json:
    return {"language": language, "value": value}


def encoded(entity: Json) -> bytes:
    """The text of a revision. Empty maps are `[]`, as PHP writes them."""
    return orjson.dumps({k: (v if v or k not in _MAPS else []) for k, v in entity.items()})


def decoded(content: bytes) -> Json:
    """The inverse of `encoded`: a fresh item that may be changed."""
    entity = orjson.loads(content)
    for part in _MAPS:
        if part in entity and not entity[part]:
            entity[part] = {}
    return entity


def content_sha1(content: bytes) -> str:
    """Hexadecimal, as the Action API shows it."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def base36(hexadecimal: str) -> str:
    """A sha1 as the events show it: base 36, 31 digits."""
    number, digits = int(hexadecimal, 16), ""
    while number:
        number, rest = divmod(number, 36)
        digits = _BASE36[rest] + digits
    return digits.rjust(31, "0")


def _sha1(value: object) -> str:
    return hashlib.sha1(orjson.dumps(value), usedforsecurity=False).hexdigest()


def with_datatypes(claims: Json) -> Json:
    """Claims as `wbgetentities` answers them, snaks with datatypes. Changes them in place."""
    for statements in claims.values():
        for made in statements:
            _typed(made["mainsnak"])
            for snaks in made.get("qualifiers", {}).values():
                for snak in snaks:
                    _typed(snak)
            for ref in made.get("references", ()):
                for snaks in ref["snaks"].values():
                    for snak in snaks:
                        _typed(snak)
    return claims


def _typed(snak: Json) -> None:
    snak["datatype"] = datatype_of(snak["property"])
