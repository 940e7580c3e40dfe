"""Prose of which some words make no sense: reading that does not hang on known constructions.

Owns which words of a sentence are exchanged. Names, dates and causes stay, so that a reader who
remembers who held the post, or finds it said plainly elsewhere, can still tell who is who.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

from knowledge.facts import MONTHS
from knowledge.rendering import Story, capital
from trainer.embedded import grammar, lexicon
from trainer.embedded.names import strange_word

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_STRANGE = 0.35
"""Share of the words put in that no language has."""
_KEPT = frozenset((*MONTHS, *lexicon.WEEKDAYS))


def kept_names(story: Story) -> tuple[str, ...]:
    """What must stay readable of a story: its names, surnames and its cause."""
    people = [e.label for e in (story.subject, story.holder, story.previous) if e]
    short = [lexicon.surname(label) for label in people]
    kept = [t for t in (*people, *short, story.cause or "") if t]
    return tuple(dict.fromkeys((*kept, *map(capital, kept))))


def _word(rng: random.Random) -> str:
    if rng.random() < _STRANGE:
        return strange_word(rng).lower()
    form = rng.choice(grammar.load("lexicon").lists["word"])
    return grammar.render(form, rng, str, lambda _: False)


def blurred(text: str, kept: Iterable[str], rate: float, rng: random.Random) -> str:
    """The text with about `rate` of its words exchanged for others; `kept` stretches stay."""
    safe = set(kept)
    longest_first = sorted(safe, key=len, reverse=True)
    stretches = [f"(?<!\\w){re.escape(k)}(?!\\w)" for k in longest_first]
    pattern = re.compile("|".join((*stretches, _WORD.pattern)))

    def exchanged(match: re.Match[str]) -> str:
        word = match[0]
        if word in safe or word in _KEPT or rng.random() >= rate:
            return word
        other = _word(rng)
        return other.capitalize() if word[:1].isupper() else other

    return pattern.sub(exchanged, text)
