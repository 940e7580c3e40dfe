"""What held on an earlier day, told from the statements of today or from the item's revision then.

Owns the legacy view: who held a fact on a day, by start and end dates where they decide it, and the
base document from which `catch_up` compares that day with today. Dates of today's statements are
better than the revision of the day where they are complete: Wikidata often learns late. Pure.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agents.wikidata.entity import EntityDoc, is_item_value
from agents.wikidata.view import ENDS, START, has_value, qualifier_date, value_key
from knowledge.facts import Rank, Snak, SnakKind, Statement


class Held(StrEnum):
    """Whether a statement held on the day."""

    YES = "yes"
    NO = "no"
    MAYBE = "maybe"
    """Its dates are missing or too coarse to tell."""


class Told(StrEnum):
    """What decided the legacy view of a property."""

    DATES = "dates"
    REVISION = "revision"
    NOBODY = "nobody"
    """Neither dates nor a revision of the day: today's state stands for it."""


@dataclass(frozen=True, slots=True)
class LegacySlot:
    """The statements of one property on the day, as JSON, and what decided them."""

    group: list[Any]
    told: Told


def held_on(statement: Statement, day: dt.date) -> Held:
    """By its own qualifiers alone."""
    if statement.rank is Rank.DEPRECATED:
        return Held.NO
    began = _began(statement, day)
    ended = [_passed(q, day) for q in statement.qualifiers if q.property in ENDS]
    if began is Held.NO or Held.YES in ended:
        return Held.NO
    return Held.MAYBE if began is Held.MAYBE or Held.MAYBE in ended else Held.YES


def holders_on(statements: Iterable[Statement], day: dt.date) -> Sequence[Statement] | None:
    """The statements that held on the day, all of one value; None where dates do not decide it."""
    known = [(s, held_on(s, day)) for s in statements if has_value(s)]
    certain = [s for s, held in known if held is Held.YES]
    possible = [s for s, held in known if held is Held.MAYBE]
    values = {value_key(s) for s in certain}
    if len(values) == 1 and {value_key(s) for s in possible} <= values:
        return certain
    if not certain and len({value_key(s) for s in possible}) == 1 and len(known) > 1:
        return possible
    return None


def legacy_groups(
    head: EntityDoc,
    then: EntityDoc | None,
    day: dt.date,
    properties: Iterable[str],
) -> dict[str, LegacySlot]:
    """The properties of item values that were otherwise on the day than their statements now say.

    `then` is the item's state on that day; None where it is not known."""
    found: dict[str, LegacySlot] = {}
    for property_id in properties:
        now = head.claims.get(property_id, ())
        past = then.claims.get(property_id, ()) if then is not None else ()
        if not any(is_item_value(s.mainsnak) for s in (*now, *past)):
            continue
        holders = holders_on(now, day)
        if holders is not None:
            ids = {s.id for s in holders}
            raw = [s for s in head.raw_claims.get(property_id, ()) if s.get("id") in ids]
            found[property_id] = LegacySlot([_unended(one) for one in raw], Told.DATES)
        elif then is not None:
            group = list(then.raw_claims.get(property_id, ()))
            found[property_id] = LegacySlot(group, Told.REVISION)
    return found


def needs_revision(head: EntityDoc, day: dt.date, properties: Iterable[str]) -> bool:
    """Whether dates leave something open that today's state cannot answer alone."""
    for property_id in properties:
        now = head.claims.get(property_id, ())
        if any(is_item_value(s.mainsnak) for s in now) and holders_on(now, day) is None:
            return True
    return False


def _began(statement: Statement, day: dt.date) -> Held:
    start = qualifier_date(statement, START)
    if start is None or start.earliest() <= day < start.latest():
        return Held.MAYBE
    return Held.YES if start.latest() <= day else Held.NO


def _passed(end: Snak, day: dt.date) -> Held:
    """Whether an end had come by that day."""
    if end.kind is SnakKind.NOVALUE:
        return Held.NO
    try:
        date = end.date()
        if date is None:
            return Held.MAYBE
        if date.earliest() <= day < date.latest():
            return Held.MAYBE
        return Held.YES if date.latest() <= day else Held.NO
    except ValueError:
        return Held.MAYBE


def _unended(raw: Any) -> Any:
    """The statement as it was when it held: without the end that came later, at normal rank."""
    made = copy.deepcopy(raw)
    qualifiers = made.get("qualifiers")
    if isinstance(qualifiers, dict):
        for property_id in ENDS:
            qualifiers.pop(property_id, None)
        order = made.get("qualifiers-order")
        if isinstance(order, list):
            made["qualifiers-order"] = [p for p in order if p not in ENDS]
    made["rank"] = "normal"
    return made
