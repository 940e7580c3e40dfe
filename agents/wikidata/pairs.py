"""Two values of one property: another fact of the world, or the same fact said differently.

Owns the judgement of a pair of values by canonical form, redirects, names,
the closure of places and classes, common precision. Does not look at time or rank (`classify`).
"""

from __future__ import annotations

import re
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
    before, after = _instant(old.value), _instant(new.value)
    if before is None or after is None:
        return None
    if before.era != after.era:
        same = before.year == after.year
        return (
            PairVerdict(ChangeKind.FORMAT, "only the era of the year was mended") if same else None
        )
    first, second = before.parts, after.parts
    if first == second:
        return PairVerdict(ChangeKind.FORMAT, "the same date written in another way")
    # 1 January is what tools write where only the year is known.
    first, second = before.bare, after.bare
    shorter = min(len(first), len(second))
    if first[:shorter] != second[:shorter] or (len(first) == len(second) and first != second):
        return None
    how = "finer" if len(after.parts) > len(before.parts) or before.is_new_year else "coarser"
    return PairVerdict(ChangeKind.GRANULARITY, f"the same date, said {how}")


@dataclass(frozen=True, slots=True)
class _Instant:
    """A canonical time as century, decade, year, month, day, as far as its precision goes."""

    era: str
    year: int
    parts: tuple[int, ...]

    @property
    def is_new_year(self) -> bool:
        return self.parts[_YEARS:] == (1, 1)

    @property
    def bare(self) -> tuple[int, ...]:
        return self.parts[:_YEARS] if self.is_new_year else self.parts


_YEARS = 3
"""Parts of a time that is known to the year."""
_CENTURY = 7
"""Wikibase's precision of a century; a day has 11."""
_CANONICAL = re.compile(r"^([+-])(\d+)-(\d\d)-(\d\d)T[^/]*/(\d+)$")


def _instant(value: str) -> _Instant | None:
    match = _CANONICAL.match(value)
    if match is None:
        return None
    year, month, day, precision = (int(match.group(n)) for n in (2, 3, 4, 5))
    if precision < _CENTURY:
        return None
    parts = ((year - 1) // 100, year // 10, year, month, day)
    known = 5 if day else 4 if month else 3
    return _Instant(match.group(1), year, parts[: min(precision - _CENTURY + 1, known)])


def _quantities(old: str, new: str) -> PairVerdict | None:
    try:
        (a, unit_a), (b, unit_b) = old.split(" ", 1), new.split(" ", 1)
        first, second = Decimal(a), Decimal(b)
    except (ValueError, InvalidOperation):
        return None
    if unit_a != unit_b:
        return None
    if first == -second:
        return PairVerdict(ChangeKind.FORMAT, "only the sign of the figure was mended")
    if first != second and (_rounds_to(first, second) or _same_whole(first, second)):
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


def _same_whole(a: Decimal, b: Decimal) -> bool:
    """Whether two figures differ by less than one, in decimals of which one has fewer."""
    return abs(a - b) < 1 <= max(abs(a), abs(b)) and (a % 1 != 0 or b % 1 != 0)


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
