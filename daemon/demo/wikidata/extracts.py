"""Plain-text introductions of Wikipedia articles, written from the table as of a moment.

Owns the sentences. What an article says of a succession of the scenario changes when Wikidata's
first edit about it comes; every other fact reads as on the legacy date.
"""

from __future__ import annotations

import datetime as dt
import random

from daemon.demo.wikidata import vocabulary
from daemon.demo.wikidata.scenario import Scenario
from knowledge.facts import Date, Entity
from knowledge.properties import CATALOGUE, noun_phrase
from knowledge.world import Fact, Succession

_PLAIN = {
    "P36": "The capital of {s} is {o}.",
    "P159": "{s} has its headquarters in {o}.",
    "P17": "{s} lies in {o}.",
    "P30": "{s} is part of {o}.",
    "P38": "The currency of {s} is the {o}.",
    "P115": "{s} plays its home matches at {o}.",
    "P118": "{s} competes in the {o}.",
    "P112": "{s} was founded by {o}.",
    "P19": "{s} was born in {o}.",
    "P27": "{s} is a citizen of {o}.",
    "P102": "{s} is a member of {o}.",
}
_IN_OFFICE = (
    "{since_comma}{o} has been {role}.",
    "{o} has served as {role}{since}.",
    "Since{when_after}, the post of {post} has been held by {o}.",
)
_ENDS = {
    "resignation": (
        "{o} resigned as {post}{end}.",
        "{o} stepped down from the post{end}, resigning.",
    ),
    "election defeat": (
        "{o} left office{end} after an election defeat.",
        "An election defeat ended the term of {o} as {post}{end}.",
    ),
    "end of term": (
        "{o} reached the end of term as {post}{end}.",
        "{o} left the post{end} at the end of term.",
    ),
    "term limit": ("{o} left the post{end} because of a term limit.",),
    "death": (
        "{o} died in office{end}.",
        "The tenure of {o} as {post} ended with the death of the holder{end}.",
    ),
    "dismissal": ("{o} was dismissed as {post}{end}; the dismissal ended the tenure.",),
}
_END_OTHER = (
    "The tenure of {o} as {post} ended{end}; the cause was {cause}.",
    "{o} left the post{end} as a result of {cause}.",
)
_END_UNKNOWN = ("The tenure of {o} as {post} ended{end}.", "{o} was {role} until{end_after}.")
_FOLLOWED = (
    "{n} became {role}{start}, following {o}.",
    "{o} was succeeded by {n}{start}.",
    "{n} took over{start} from {o} as {post}.",
)


class Encyclopaedia:
    """Extracts of the articles on every entity of the table."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._seed = scenario.seed
        world = scenario.world
        self._begun = scenario.begun
        self._about: dict[str, list[Succession]] = {}
        self._stable: dict[str, list[Fact]] = {}
        for succession in world.successions:
            ids = {succession.subject.id, succession.old.object.id}
            if succession.slot in scenario.begun:
                ids |= {fact.object.id for fact in succession.history}
            for item in ids:
                self._about.setdefault(item, []).append(succession)
        for fact in world.stable:
            self._stable.setdefault(fact.subject.id, []).append(fact)

    def extract(self, item: str, now: dt.datetime) -> str:
        """The introduction of the item's article; one paragraph."""
        entity = self._scenario.world.entities[item]
        sentences = [self._first(entity)]
        sentences += [
            _PLAIN[fact.property].format(s=entity.label, o=fact.object.label)
            for fact in self._stable.get(item, ())
            if fact.property in _PLAIN
        ]
        for succession in self._about.get(item, ()):
            begun = self._begun.get(succession.slot)
            if begun is not None and begun <= now:
                sentences += self._changed(succession)
            elif item in (succession.subject.id, succession.old.object.id):
                sentences.append(self._in_office(succession.old))
        return " ".join(sentences)

    def _first(self, entity: Entity) -> str:
        kind = entity.kind or "subject"
        if vocabulary.class_word(kind) == "human":
            return f"{entity.label} is a public figure."
        article = "an" if kind[0] in "aeiou" else "a"
        return f"{entity.label} is {article} {kind}."

    def _changed(self, succession: Succession) -> list[str]:
        history = succession.history
        first, last = history.index(succession.old), history.index(succession.new)
        sentences: list[str] = []
        for before, after in zip(history[first:last], history[first + 1 : last + 1], strict=True):
            sentences.append(self._end(before))
            sentences.append(self._follow(before, after))
        sentences.append(self._in_office(history[last]))
        return sentences

    def _in_office(self, fact: Fact) -> str:
        start = fact.start
        forms = _IN_OFFICE if start else _IN_OFFICE[1:2]
        if fact.property == "P54":
            return f"{fact.subject.label} has played for {fact.object.label}{_since(start)}."
        return self._pick(fact, "in", forms).format(
            o=fact.object.label,
            role=_role(fact),
            post=_post(fact),
            since=_since(start),
            since_comma=f"Since {start.text()}, " if start else "",
            when_after=f" {start.text()}" if start else "",
        )

    def _end(self, fact: Fact) -> str:
        cause = fact.end_cause
        if fact.property == "P54":
            left = f"{fact.subject.label} left {fact.object.label}{_when(fact.end)}"
            return f"{left}; the reason was: {cause}." if cause else f"{left}."
        forms = _ENDS.get(cause, _END_OTHER) if cause else _END_UNKNOWN[: 2 if fact.end else 1]
        return self._pick(fact, "end", forms).format(
            o=fact.object.label,
            role=_role(fact),
            post=_post(fact),
            cause=cause,
            end=_when(fact.end),
            end_after=f" {fact.end.text()}" if fact.end else "",
        )

    def _follow(self, before: Fact, after: Fact) -> str:
        if after.property == "P54":
            return f"{after.subject.label} joined {after.object.label}{_when(after.start)}."
        return self._pick(after, "follow", _FOLLOWED).format(
            o=before.object.label,
            n=after.object.label,
            role=_role(after),
            post=_post(after),
            start=_when(after.start),
        )

    def _pick(self, fact: Fact, what: str, forms: tuple[str, ...]) -> str:
        key = f"{self._seed}:{what}:{fact.subject.id}:{fact.property}:{fact.object.id}"
        return random.Random(key).choice(forms)


def _role(fact: Fact) -> str:
    """`the head of government of Moldova`."""
    if fact.property in CATALOGUE:
        return noun_phrase(fact.property, fact.subject.label)
    return f"the holder of {fact.property} of {fact.subject.label}"


def _post(fact: Fact) -> str:
    return _role(fact).removeprefix("the ")


def _since(date: Date | None) -> str:
    return f" since {date.text()}" if date else ""


def _when(date: Date | None) -> str:
    if date is None:
        return ""
    return f" on {date.text()}" if date.day else f" in {date.text()}"
