"""Invented names that look like real ones, for entities that do not exist.

Owns a character model over the labels of the world table. What it draws is never the name of an
entity of the table, so that nothing can be learnt about it but by reading.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable

from knowledge.world import World

_ORDER = 3
_LONGEST = 34
_KINDS = {
    "person": "person",
    "club": "club",
    "team": "club",
    "national team": "club",
    "country": "place",
    "region": "place",
    "municipality": "place",
    "city": "place",
    "continent": "place",
    "venue": "venue",
    "league": "league",
    "currency": "currency",
    "company": "company",
    "party": "organisation",
}


def name_kind(kind: str) -> str:
    """The family of names that an entity kind draws from."""
    return _KINDS.get(kind, "organisation")


class _CharacterModel:
    def __init__(self, labels: Iterable[str]) -> None:
        self._next: dict[str, list[str]] = defaultdict(list)
        for label in labels:
            padded = "\x02" * _ORDER + label + "\x03"
            for i in range(_ORDER, len(padded)):
                self._next[padded[i - _ORDER : i]].append(padded[i])

    def draw(self, rng: random.Random) -> str:
        out, state = "", "\x02" * _ORDER
        while len(out) < _LONGEST:
            following = rng.choice(self._next[state])
            if following == "\x03":
                break
            out += following
            state = (state + following)[-_ORDER:]
        return out.strip()


class NameMaker:
    """Draws invented names by family of kind; deterministic in the given generator."""

    def __init__(self, world: World) -> None:
        labels: dict[str, set[str]] = defaultdict(set)
        for fact in world.legacy:
            for entity in (fact.subject, fact.object):
                labels[name_kind(entity.kind)].add(entity.label)
        self._real = {entity.label for entity in world.entities.values()}
        self._models = {kind: _CharacterModel(sorted(found)) for kind, found in labels.items()}
        people = [label.split(" ", 1) for label in sorted(labels["person"]) if " " in label]
        self._first = [first for first, _ in people]
        self._last = [last for _, last in people]

    def draw(self, kind: str, rng: random.Random) -> str:
        """An invented name for an entity of that kind."""
        family = name_kind(kind)
        model = self._models.get(family) or self._models["organisation"]
        while True:
            if family == "person" and rng.random() < 0.4:
                name = f"{rng.choice(self._first)} {rng.choice(self._last)}"
            elif family == "person" and rng.random() < 0.5:
                name = f"{rng.choice(self._first)} {model.draw(rng).split(' ')[-1]}"
            else:
                name = model.draw(rng)
            name = name.strip(" ,.-'")
            if 4 <= len(name) < _LONGEST and name not in self._real and "  " not in name:
                return name
