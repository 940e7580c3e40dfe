"""Dates as prose writes them: found, read, and compared with what evidence knows.

Owns recognition in English forms and ISO, and the rule that text is never finer than its source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from knowledge.facts import Date

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = "|".join([*_MONTHS, *(m[:3] + r"\.?" for m in _MONTHS if m != "may"), r"sept\.?"])
_FORMS = tuple(
    re.compile(rf"(?<![\w-])(?:{form})(?![\w-])", re.IGNORECASE)
    for form in (
        r"(?P<y>\d{4})-(?P<m>\d{1,2})(?:-(?P<d>\d{1,2}))?",
        rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<n>{_MONTH}),? (?P<y>\d{{4}})",
        rf"(?P<n>{_MONTH}) (?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y>\d{{4}})",
        r"(?P<d>\d{1,2})[./](?P<m>\d{1,2})[./](?P<y>\d{4})",
        rf"(?P<n>{_MONTH}),? (?P<y>\d{{4}})",
        r"(?P<y>1[0-9]\d\d|20\d\d|21\d\d)",
    )
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A date in a text; `date` is None when no calendar has it."""

    start: int
    end: int
    date: Date | None


def mentions(text: str) -> list[Mention]:
    """All dates of a text, longest reading first, in order of place; they never overlap."""
    found: list[Mention] = []
    for form in _FORMS:
        for match in form.finditer(text):
            if all(match.end() <= m.start or match.start() >= m.end for m in found):
                found.append(Mention(match.start(), match.end(), _read(match)))
    return sorted(found, key=lambda m: m.start)


def supports(known: Date, said: Date) -> bool:
    """Whether what is said follows from what is known: equal, or the same less finely."""
    if said.year != known.year:
        return False
    if said.month is None:
        return True
    return said.month == known.month and (said.day is None or said.day == known.day)


def _read(match: re.Match[str]) -> Date | None:
    parts = match.groupdict()
    month = int(parts["m"]) if parts.get("m") else None
    if parts.get("n"):
        month = next(i for i, m in enumerate(_MONTHS, 1) if m.startswith(parts["n"][:3].lower()))
    day = int(parts["d"]) if parts.get("d") else None
    try:
        date = Date(int(parts["y"]), month, day)
        date.latest()
        date.earliest()
        return date
    except ValueError:
        return None
