"""Two values of one property: another fact of the world, or the same fact said differently.

Owns the judgement of a pair of values by canonical form, redirects, names,
the closure of places and classes, common precision. Does not look at time or rank (`classify`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from agents.wikidata.side import HUMAN, Facts, normal_name
from knowledge.facts import ChangeKind, Date, Snak


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """`kind` is one of format, merge_or_redirect, link_change, granularity."""

    kind: ChangeKind
    reason: str


def judge_pair(old: Snak, new: Snak, facts: Facts, *, in_place: bool = False) -> PairVerdict | None:
    """Why the two values say the same fact; None when they do not. `in_place` is for a value that
    was overwritten: then a shared alias is enough to call it a corrected link."""
    if old == new:
        return PairVerdict(ChangeKind.FORMAT, "both values are the same in canonical form")
    if old.datatype != new.datatype or old.kind != new.kind:
        return None
    if old.datatype == "wikibase-item":
        return _items(old.value, new.value, facts, in_place)
    if old.datatype == "time":
        return _times(old, new)
    if old.datatype == "quantity":
        return _quantities(old.value, new.value)
    if normal_name(old.value) == normal_name(new.value) != "":
        return PairVerdict(ChangeKind.FORMAT, "the texts differ in case or punctuation only")
    return None


def _items(old: str, new: str, facts: Facts, in_place: bool) -> PairVerdict | None:
    if facts.target(old) == facts.target(new):
        return PairVerdict(
            ChangeKind.MERGE, f"{old} and {new} are one item: one redirects to the other"
        )
    if facts.label(old) and facts.label(old) == facts.label(new):
        return PairVerdict(
            ChangeKind.LINK_CHANGE, f"{old} and {new} have the same name, so the link was corrected"
        )
    if new in facts.above(old):
        return PairVerdict(ChangeKind.GRANULARITY, f"{new} contains {old}: the same, said coarser")
    if old in facts.above(new):
        return PairVerdict(ChangeKind.GRANULARITY, f"{old} contains {new}: the same, said finer")
    shared = facts.names(old) & facts.names(new)
    if in_place and shared:
        name = min(shared)
        both = HUMAN in facts.types(old) and HUMAN in facts.types(new)
        what = "two people" if both else "two items"
        return PairVerdict(
            ChangeKind.LINK_CHANGE, f"{what} called {name!r}: the link was corrected in place"
        )
    return None


def _times(old: Snak, new: Snak) -> PairVerdict | None:
    before, after = old.date(), new.date()
    if before is None or after is None or before == after:
        return None
    if coarser_equal(before, after):
        finer = after.precision > before.precision
        how = "finer" if finer else "coarser"
        return PairVerdict(ChangeKind.GRANULARITY, f"the same date, said {how}")
    return None


def _quantities(old: str, new: str) -> PairVerdict | None:
    try:
        (a, unit_a), (b, unit_b) = old.split(" ", 1), new.split(" ", 1)
        first, second = Decimal(a), Decimal(b)
    except (ValueError, InvalidOperation):
        return None
    if unit_a == unit_b and first != second and _rounds_to(first, second):
        return PairVerdict(ChangeKind.GRANULARITY, "one figure is the other one rounded")
    return None


def coarser_equal(a: Date, b: Date) -> bool:
    """Whether two dates agree down to the coarser precision of the two."""
    if a.year != b.year:
        return False
    if a.month is None or b.month is None:
        return True
    if a.month != b.month:
        return False
    return a.day is None or b.day is None or a.day == b.day


def _rounds_to(a: Decimal, b: Decimal) -> bool:
    for exact, rounded in ((a, b), (b, a)):
        exponent = rounded.normalize().as_tuple().exponent
        if isinstance(exponent, int) and abs(exponent) < 40:
            try:
                if exact.quantize(Decimal(1).scaleb(exponent)) == rounded:
                    return True
            except InvalidOperation:
                continue
    return False
