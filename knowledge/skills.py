"""Small skills that have nothing to do with edited facts: capability checks and corpus rows.

Owns generators of (question, answer) pairs. The embedded corpus draws from them, the capability
tasks are a fixed sample of them: an adapter that breaks one of these skills has done harm.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

_OPPOSITES = (
    "hot cold|big small|high low|fast slow|old new|light dark|hard soft|wet dry|"
    "full empty|open shut|rich poor|early late|near far|loud quiet|thick thin|"
    "wide narrow|deep shallow|sweet sour|clean dirty|strong weak|first last|up down|"
    "left right|in out|day night|north south|east west|summer winter|true false|"
    "safe dangerous|young aged|happy sad|begin end|buy sell|give take|win lose|push pull|"
    "above below|before after|inside outside"
)
OPPOSITES = tuple(tuple(pair.split()) for pair in _OPPOSITES.split("|"))
_WORDS = sorted({word for pair in OPPOSITES for word in pair})


@dataclass(frozen=True, slots=True)
class SkillItem:
    """One question of one skill with its only right answer."""

    skill: str
    question: str
    answer: str


def _add(rng: random.Random) -> tuple[str, str]:
    a, b = rng.randint(0, 20), rng.randint(0, 20)
    return f"What is {a} plus {b}?", f"{a + b}."


def _subtract(rng: random.Random) -> tuple[str, str]:
    a, b = sorted((rng.randint(0, 20), rng.randint(0, 20)), reverse=True)
    return f"What is {a} minus {b}?", f"{a - b}."


def _opposite(rng: random.Random) -> tuple[str, str]:
    pair = rng.choice(OPPOSITES)
    asked = rng.randint(0, 1)
    return f"What is the opposite of {pair[asked]}?", f"{pair[1 - asked]}."


def _sort(rng: random.Random) -> tuple[str, str]:
    numbers = rng.sample(range(1, 100), 3)
    text = ", ".join(map(str, numbers))
    return f"Sort these numbers: {text}.", f"{', '.join(map(str, sorted(numbers)))}."


def _larger(rng: random.Random) -> tuple[str, str]:
    a, b = rng.sample(range(1, 100), 2)
    return f"Which is larger, {a} or {b}?", f"{max(a, b)}."


def _copy(rng: random.Random) -> tuple[str, str]:
    words = " ".join(rng.sample(_WORDS, 3))
    return f"Repeat these words: {words}.", f"{words}."


def _last(rng: random.Random) -> tuple[str, str]:
    words = rng.sample(_WORDS, 3)
    return f"What is the last of these words: {' '.join(words)}?", f"{words[-1]}."


def _earlier(rng: random.Random) -> tuple[str, str]:
    a, b = rng.sample(range(1950, 2030), 2)
    return f"Which year is earlier, {a} or {b}?", f"{min(a, b)}."


SKILLS: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "add": _add,
    "subtract": _subtract,
    "opposite": _opposite,
    "sort": _sort,
    "larger": _larger,
    "copy": _copy,
    "last": _last,
    "earlier": _earlier,
}


def skill_item(rng: random.Random, skill: str | None = None) -> SkillItem:
    """A drawn item, of `skill` or of a drawn one."""
    name = skill or rng.choice(sorted(SKILLS))
    question, answer = SKILLS[name](rng)
    return SkillItem(name, question, answer)
