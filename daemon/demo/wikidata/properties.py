"""The items of properties: what the local Wikidata tells of P6 itself, constraints included.

Owns the constraints (P2302) of the watched properties in the form of Wikidata's own, as far as the
world's facts keep them: one best value, and people for offices. Other constraints are not stated.
"""

from __future__ import annotations

from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.action_api import Answer
from daemon.demo.wikidata.snaks import Json
from daemon.demo.wikidata.vocabulary import HUMAN, OFFICE_PROPERTIES
from knowledge.properties import CATALOGUE, Property

SINGLE_BEST, VALUE_TYPE, INSTANCE = "Q52060874", "Q21510865", "Q21503252"
_PEOPLE = frozenset({*OFFICE_PROPERTIES, "P1308", "P286", "P634"})
_REVISION = 1_700_000_000
"""Where revisions of properties are numbered from."""


def property_entity(property_id: str, props: list[str], languages: list[str]) -> Answer | None:
    """The entity with the wanted parts, in API form; None for a property that is not watched."""
    row = CATALOGUE.get(property_id)
    if row is None:
        return None
    shown: Answer = {}
    if "info" in props:
        number = int(property_id[1:])
        shown |= {
            "pageid": _REVISION + number,
            "ns": 120,
            "title": f"Property:{property_id}",
            "lastrevid": _REVISION + number,
            "modified": "2025-01-01T00:00:00Z",
        }
    shown |= {
        "type": "property",
        "datatype": snaks.datatype_of(property_id),
        "id": property_id,
    }
    if "labels" in props:
        wanted = not languages or "en" in languages
        shown["labels"] = {"en": snaks.term("en", row.label)} if wanted else {}
    if "claims" in props:
        made = _constraints(row)
        shown["claims"] = snaks.with_datatypes({"P2302": made} if made else {})
    return shown


def _constraints(row: Property) -> list[Json]:
    found = []
    if row.functional:
        separators = tuple(snaks.property_snak("P4155", p) for p in ("P580", "P582"))
        found.append(_constraint(row.id, 1, SINGLE_BEST, separators))
    if row.id in _PEOPLE:
        type_ = (snaks.item_snak("P2308", HUMAN), snaks.item_snak("P2309", INSTANCE))
        found.append(_constraint(row.id, 2, VALUE_TYPE, type_))
    return found


def _constraint(property_id: str, number: int, kind: str, qualifiers: tuple[Json, ...]) -> Json:
    guid = f"{property_id}$00000000-0000-4000-9000-{number:012x}"
    return snaks.statement(guid, snaks.item_snak("P2302", kind), qualifiers=qualifiers)
