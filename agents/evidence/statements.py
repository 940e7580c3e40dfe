"""Statements of Wikidata as lines of text that can be quoted.

Owns the form of a line: `Moldova — head of government: Dorin Recean; start time: 16 February 2023`,
with its references on indented lines below, so that a quote of the statement carries no address.
Labels that are no names and texts with objections are withheld. Does not fetch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agents.evidence.hygiene import clean, label_objections, objections
from knowledge.facts import Date, Rank, Snak, SnakKind, Statement
from knowledge.properties import CATALOGUE

WITHHELD = "(withheld)"
"""Stands for a text that must not go on."""

_NAMES = {
    "P580": "start time",
    "P582": "end time",
    "P585": "point in time",
    "P1534": "end cause",
    "P1365": "replaces",
    "P1366": "replaced by",
    "P1545": "series ordinal",
    "P2715": "elected in",
    "P748": "appointed by",
    "P642": "of",
    "P5102": "nature of statement",
    "P3831": "role",
    "P1319": "earliest date",
    "P1326": "latest date",
    "P8554": "earliest end date",
    "P12506": "latest end date",
    "P248": "stated in",
    "P854": "reference URL",
    "P813": "retrieved",
    "P577": "publication date",
    "P143": "imported from",
    "P1476": "title",
    "P569": "date of birth",
    "P31": "instance of",
}

Names = Mapping[str, str]
"""Item ids to labels."""


def property_name(property_id: str) -> str:
    """The English name of a property as far as the catalogue knows it, else its id."""
    known = CATALOGUE.get(property_id)
    return known.label if known else _NAMES.get(property_id, property_id)


def item_name(item_id: str, names: Names) -> str:
    """The label of an item; its id where it has none or the label is no name."""
    label = names.get(item_id, "")
    return item_id if label_objections(label) else label


def snak_date(snak: Snak | None) -> Date | None:
    """The date that a snak states; None when it states none that a calendar has."""
    if snak is None:
        return None
    try:
        date = snak.date()
        if date is not None:
            date.latest()
        return date
    except ValueError:
        return None


def value_text(snak: Snak, names: Names) -> str:
    """The value of a snak as people write it."""
    if snak.kind is SnakKind.SOMEVALUE:
        return "unknown value"
    if snak.kind is SnakKind.NOVALUE:
        return "no value"
    if snak.datatype == "wikibase-item":
        return item_name(snak.value, names)
    if snak.datatype == "time":
        date = snak_date(snak)
        return date.text() if date else snak.value.partition("/")[0]
    if snak.datatype == "quantity":
        amount, _, unit = snak.value.partition(" ")
        return amount if unit in ("", "1") else f"{amount} {item_name(unit, names)}"
    text = snak.value.rpartition("@")[0] if snak.datatype == "monolingualtext" else snak.value
    text = clean(text).replace("\n", " ")
    return WITHHELD if objections(text) else text


def statement_line(statement: Statement, names: Names) -> str:
    """One statement with its qualifiers on one line. Equal statements give equal lines."""
    parts = [
        f"{item_name(statement.subject, names)} — {property_name(statement.property)}: "
        f"{value_text(statement.mainsnak, names)}"
    ]
    for snak in sorted(statement.qualifiers, key=_place):
        parts.append(f"{property_name(snak.property)}: {value_text(snak, names)}")
    if statement.rank is not Rank.NORMAL:
        parts.append(f"rank: {statement.rank.value}")
    return "; ".join(parts)


def reference_lines(statement: Statement, names: Names) -> list[str]:
    """The references of a statement, one indented line each; quotes leave them out."""
    lines: list[str] = []
    for reference in statement.references:
        parts = []
        for snak in reference:
            plain = snak.property == "P854"
            text = clean(snak.value).replace("\n", " ") if plain else value_text(snak, names)
            parts.append(f"{property_name(snak.property)}: {text}")
        lines.append("    reference: " + "; ".join(parts))
    return lines


def snapshot(item_id: str, statements: Iterable[Statement], names: Names) -> str:
    """The text of an item's evidence: a heading and a line for each statement."""
    lines = [f"{item_name(item_id, names)} ({item_id}) on Wikidata"]
    for statement in statements:
        lines.append(statement_line(statement, names))
        lines.extend(reference_lines(statement, names))
    return "\n".join(lines)


def linked_items(statements: Iterable[Statement]) -> list[str]:
    """Ids of all items that the statements name, in order of appearance."""
    found: dict[str, None] = {}
    for statement in statements:
        snaks = [statement.mainsnak, *statement.qualifiers]
        for reference in statement.references:
            snaks += reference
        for snak in snaks:
            if snak.kind is SnakKind.VALUE and snak.datatype == "wikibase-item":
                found[snak.value] = None
            elif snak.datatype == "quantity" and " Q" in snak.value:
                found[snak.value.partition(" ")[2]] = None
    return list(found)


_ORDER = ["P580", "P582", "P1534", "P1365", "P1366"]


def _place(snak: Snak) -> tuple[int, str, str]:
    place = _ORDER.index(snak.property) if snak.property in _ORDER else len(_ORDER)
    return place, snak.property, snak.value
