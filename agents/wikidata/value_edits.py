"""A value that was overwritten in place: another fact, or the same fact said otherwise?

Owns the reading of such an edit with what is at hand: canonical form, closure, names, and the
nature of the property. Where only the closure of places and classes could tell and it is not at
hand, the reading is held, with the side that it leans to. Pure. Whether a change of the world
happened is not asked here (`decide`): an overwritten value is a correction at most.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.wikidata.entity import is_item_value
from agents.wikidata.names import NameTie, tie
from agents.wikidata.pairs import judge_pair
from agents.wikidata.side import Facts
from knowledge.facts import ChangeKind, Snak

WITHIN_PLACES = frozenset({"P131", "P706", "P276"})
"""Where a thing lies: such values are said finer or coarser far more often than they change."""
SPOTS = frozenset({"P19", "P20", "P119", "P551", "P159", "P740"})
"""Single places, which are corrected as often as said finer."""
COUNTRIES = frozenset({"P17", "P27", "P495"})
CLASSES = frozenset({"P31", "P106", "P101", "P122", "P1454", "P136"})
"""Kinds and trades, which are corrected as often as said finer."""
OFFICES = frozenset({"P39"})

_FINER_BY = 3
"""A place that was numbered so many times later is rather the smaller one: Wikidata began with
countries and regions. Good for a leaning, for no more."""


@dataclass(frozen=True, slots=True)
class ValueEdit:
    """The reading. `update` says that the value became another fact; for `held` ones that is a
    leaning only, and `kind` is `ambiguous`."""

    kind: ChangeKind
    update: bool
    held: bool
    reason: str


def read_value_edit(property_id: str, old: Snak, new: Snak, facts: Facts) -> ValueEdit:
    """Read one value that took the place of another in the same statement."""
    pair = judge_pair(old, new, facts, in_place=True)
    if pair is not None:
        return ValueEdit(pair.kind, update=False, held=False, reason=pair.reason)
    if is_item_value(old) and is_item_value(new) and not _placed(old, new, facts):
        return _by_names(property_id, old.value, new.value, facts)
    return _update("another value, no end date on the old one and no later start")


def _placed(old: Snak, new: Snak, facts: Facts) -> bool:
    return facts.placed(old.value) and facts.placed(new.value)


def _by_names(property_id: str, old: str, new: str, facts: Facts) -> ValueEdit:
    found = tie(facts.label(old), facts.label(new))
    if found is NameTie.EQUAL:
        return _same(ChangeKind.LINK_CHANGE, "both values have the same name")
    if found is NameTie.WITHIN:
        granular = property_id in WITHIN_PLACES | SPOTS | CLASSES | OFFICES
        kind = ChangeKind.GRANULARITY if granular else ChangeKind.LINK_CHANGE
        return _same(kind, "the one name is a part of the other")
    if found is NameTie.ANOTHER:
        return _update("the names differ by a word that makes another office of it")
    if property_id in WITHIN_PLACES:
        return _same(ChangeKind.GRANULARITY, f"{property_id} says where it lies, finer or coarser")
    if property_id in OFFICES:
        if found is NameTie.HEAD:
            return _same(ChangeKind.GRANULARITY, "the same office, said for another level")
        return _hold(update=True)
    if property_id in SPOTS:
        return _hold(update=not _numbered_later(old, new))
    if property_id in COUNTRIES:
        return _hold(update=True)
    if property_id in CLASSES:
        return _hold(update=False)
    return _update("another value, no end date on the old one and no later start")


def _numbered_later(old: str, new: str) -> bool:
    first, second = old[1:], new[1:]
    return first.isdigit() and second.isdigit() and int(second) > _FINER_BY * int(first)


def _same(kind: ChangeKind, reason: str) -> ValueEdit:
    return ValueEdit(kind, update=False, held=False, reason=reason)


def _update(reason: str) -> ValueEdit:
    return ValueEdit(ChangeKind.CORRECTION, update=True, held=False, reason=reason)


def _hold(*, update: bool) -> ValueEdit:
    leans = "another fact" if update else "the same fact"
    reason = f"what contains the two values is not at hand; it looks like {leans}"
    return ValueEdit(ChangeKind.AMBIGUOUS, update=update, held=True, reason=reason)
