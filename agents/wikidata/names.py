"""What two names tell of two values, where nothing else is known of them.

Owns the comparison of names word by word. Knows no names: what it holds are words that turn one
office into another. Closure and types are asked first (`pairs`); this is for values that are not at
hand.
"""

from __future__ import annotations

from enum import StrEnum

from agents.wikidata.side import normal_name

_LINKING = frozenset(
    {"of", "the", "a", "an", "in", "and", "for", "at", "de", "la", "le", "du", "des", "von", "der"}
)
_ANOTHER = frozenset({"vice", "deputy", "former", "acting", "list", "junior", "assistant"})
"""Words that make of one office or thing another one, not the same said finer."""
_LEAST = 4
"""Shorter words must be equal; longer ones may differ by a last letter (Bern, Berne)."""


class NameTie(StrEnum):
    """How two names hang together."""

    EQUAL = "equal"
    WITHIN = "within"
    """All words of the one are in the other."""
    HEAD = "head"
    """They begin with the same word: `mayor of ...` and `mayor of ...`."""
    ANOTHER = "another"
    """As WITHIN, but by a word that makes another office of it."""
    NONE = "none"


def tie(old: str, new: str) -> NameTie:
    """How the two names hang together; NONE also where one of them is not known."""
    first, second = _words(old), _words(new)
    if not first or not second:
        return NameTie.NONE
    if first == second:
        return NameTie.EQUAL
    short, long = sorted((first, second), key=len)
    if all(any(_near(word, other) for other in long) for word in short):
        more = {w for w in long if not any(_near(w, other) for other in short)}
        return NameTie.ANOTHER if more & _ANOTHER else NameTie.WITHIN
    return NameTie.HEAD if _near(first[0], second[0]) else NameTie.NONE


def _words(name: str) -> list[str]:
    return [word for word in normal_name(name).split() if word not in _LINKING]


def _near(a: str, b: str) -> bool:
    if a == b:
        return True
    close = min(len(a), len(b)) >= _LEAST and abs(len(a) - len(b)) == 1
    return close and (a.startswith(b) or b.startswith(a))
