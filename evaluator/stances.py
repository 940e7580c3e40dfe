"""Mentions of the holders in an output, and the stances that a text can take on them.

Owns the values alone; `evaluator.reading` makes them, `evaluator.commitment` weighs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Who(StrEnum):
    NEW = "new"
    OLD = "old"


class Stance(StrEnum):
    CURRENT = "current"
    EVENT = "event"
    """Came to hold it: `became`, `was appointed`, `followed`."""
    NEGATED = "negated"
    ENDED = "ended"
    """Held it, and it is said that this is over."""
    WAS = "was"
    """In the past tense, without an end."""
    OPTION = "option"
    """One of several, or under a strong hedge."""
    NEUTRAL = "neutral"
    UNREAD = "unread"
    """What is said is not understood; `evaluator.reading` makes it a neutral mention."""


AFFIRMED = (Stance.CURRENT, Stance.EVENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A name in the output with the stance on it; offsets in characters of the output."""

    who: Who
    stance: Stance
    start: int
    end: int
    bare: bool = False
    """The sentence is nothing but this name: a short answer."""
    pronoun: bool = False
    unread: bool = False
    """NEUTRAL because no pattern knows what is said of the name."""
