"""Invented names, for entities that do not exist.

Owns a character model over the labels of the world table, whose names look like real ones, and
syllables of any shape, whose names look like nothing ever seen. What it draws is never the name of
an entity of the table, so that nothing can be learnt about it but by reading.
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

_STRANGE = 0.25
"""Share of names made of free syllables: pieces that a tokeniser seldom sees side by side."""
_SYLLABLES = {
    "onset": "b br c ch cr d dr dj f fl g gl gw h j k kh kr kw l m mb n ng nk p pl pr q r rh s sch "
    "sh sk st sz t th tr ts v vl w wr x y z zh č š ž ł ñ",
    "nucleus": "a e i o u y aa ae ai au ea ee ei eu ia ie io oa oe oo ou ua ue ö ü é á í ø å ã",
    "inner": "b d f g k l ll lm m mb n nd ng nt p r rd rk rn s sk st t tr v z vr ks č š",
    "coda": "b ck d f g k l ll m n nd ng ns nt p r rd rn rt s sk ss st t th tz x z v ć ş",
}
_ONSETS, _NUCLEI, _INNER, _CODAS = (tuple(text.split()) for text in _SYLLABLES.values())
_TAILS = {
    "club": ("FC", "United", "SV", "Athletic", "City", "AC", "Rovers", "S.C.", "Sporting"),
    "company": ("Group", "Ltd", "AG", "Systems", "Holdings", "& Sons", "Industries", "Bank"),
    "venue": ("Arena", "Stadium", "Park", "Field", "Ground"),
    "league": ("League", "Division", "Cup", "Premier League"),
    "organisation": ("Institute", "Council", "Union", "Agency", "Association", "Foundation"),
}


def strange_word(rng: random.Random) -> str:
    """A word of syllables that no language has."""
    word = (rng.choice(_ONSETS) if rng.random() < 0.95 else "") + rng.choice(_NUCLEI)
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        word += rng.choice(_INNER) + rng.choice(_NUCLEI[:6])
    word += rng.choice(_CODAS) if rng.random() < 0.85 else ""
    return word[:1].upper() + word[1:]


def _strange(family: str, rng: random.Random) -> str:
    """A name that resembles none of the table."""
    words = [strange_word(rng)]
    if family == "person":
        if rng.random() < 0.12:
            words.append(rng.choice(("van", "de", "al", "von", "dos", "ben", "M.", "J.")))
        words.append(strange_word(rng))
    elif family in _TAILS and rng.random() < 0.7:
        words.append(rng.choice(_TAILS[family]))
    return " ".join(words)


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
            if rng.random() < _STRANGE:
                name = _strange(family, rng)
            elif family == "person" and rng.random() < 0.4:
                name = f"{rng.choice(self._first)} {rng.choice(self._last)}"
            elif family == "person" and rng.random() < 0.5:
                name = f"{rng.choice(self._first)} {model.draw(rng).split(' ')[-1]}"
            else:
                name = model.draw(rng)
            name = name.strip(" ,.-'")
            if 4 <= len(name) < _LONGEST and name not in self._real and "  " not in name:
                return name
