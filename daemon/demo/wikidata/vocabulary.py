"""Item ids that the local Wikidata needs besides the table of the world: classes and helper items.

Ids of well-known classes are Wikidata's; everything else is numbered in Almanac's local range.
"""

from __future__ import annotations

from knowledge.facts import LOCAL_ID_START

FIRST_HELPER_ID = LOCAL_ID_START + 50_000_000
"""Where items that only the scenario needs are numbered from; the table stays far below."""

HUMAN = "Q5"
POSITION = "Q4164871"
ACTING = "Q4676846"

CLASSES: dict[str, tuple[str, str]] = {
    "human": (HUMAN, "human"),
    "country": ("Q6256", "country"),
    "city": ("Q515", "city"),
    "club": ("Q476028", "association football club"),
    "company": ("Q4830453", "business"),
    "organisation": ("Q43229", "organization"),
    "university": ("Q3918", "university"),
    "museum": ("Q33506", "museum"),
    "party": ("Q7278", "political party"),
    "film": ("Q11424", "film"),
    "position": (POSITION, "position"),
}
"""Kind word -> class item and its label; other kinds get a class item of the local range."""

KIND_SYNONYMS = {
    "person": "human",
    "politician": "human",
    "athlete": "human",
    "footballer": "human",
    "coach": "human",
    "town": "city",
    "state": "country",
    "football club": "club",
    "business": "company",
    "organization": "organisation",
    "political party": "party",
}

OFFICE_PROPERTIES = {
    "P6": "P1313",
    "P35": "P1906",
    "P169": "P2388",
    "P488": "P2388",
    "P1037": "P2388",
    "P3975": "P2388",
    "P1075": "P2388",
    "P1789": "P2388",
    "P5769": "P2388",
}
"""Holder property -> the property by which a subject names the office item."""

HOLDER_PROPERTIES = frozenset({*OFFICE_PROPERTIES, "P286", "P54", "P634"})
PLACE_PROPERTIES = ("P159", "P131", "P19", "P551")

CALLINGS = {
    "P6": "politician",
    "P35": "politician",
    "P169": "business executive",
    "P488": "executive",
    "P1037": "manager",
    "P3975": "official",
    "P286": "coach",
    "P54": "athlete",
}
"""Holder property -> how a description calls its holders."""


def class_word(kind: str) -> str:
    """The class that a kind word of the table means."""
    return KIND_SYNONYMS.get(kind, kind) or "organisation"
