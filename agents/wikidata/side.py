"""What must be known about other items to judge a change: names, types, places, inverses.

Owns the answers to those questions over a set of fetched documents. Does not fetch (`agents.watch`
does, through the API) and never guesses: an item that is not at hand has no names and no parents.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agents.wikidata.entity import EntityDoc
from agents.wikidata.view import value_key
from knowledge.facts import Entity, Rank, Statement

UPWARD = ("P131", "P279", "P361")
"""Properties whose closure says that one thing is within, under or part of another."""
OFFICES = {"P6": ("P1313",), "P35": ("P1906",), "P488": ("P2388",), "P169": ("P2388",)}
"""Property -> the helper properties that name the office which its holder holds."""
STORED_HELPERS = ("P31", *(p for helpers in OFFICES.values() for p in helpers))
"""Properties that are kept of a watched item beside the watched ones."""
HUMAN = "Q5"

_PARENTHESIS = re.compile(r"\([^)]*\)")


class Facts(Protocol):
    """Side knowledge, already at hand."""

    def entity(self, item: str) -> Entity: ...

    def names(self, item: str) -> frozenset[str]: ...

    def label(self, item: str) -> str: ...

    def types(self, item: str) -> frozenset[str]: ...

    def above(self, item: str) -> frozenset[str]: ...

    def classes(self, items: Iterable[str]) -> tuple[frozenset[str], bool]: ...

    def statements(self, item: str, properties: Iterable[str]) -> tuple[Statement, ...]: ...

    def target(self, item: str) -> str: ...

    def placed(self, item: str) -> bool: ...

    def inverse(
        self, subject: EntityDoc, property_id: str, new: str, inverses: Iterable[str]
    ) -> tuple[str, ...]: ...


@dataclass(slots=True)
class SideFacts:
    """`Facts` over fetched documents. `redirects` maps a merged item to where it went."""

    docs: Mapping[str, EntityDoc] = field(default_factory=dict)
    redirects: Mapping[str, str] = field(default_factory=dict)

    def entity(self, item: str) -> Entity:
        doc = self.docs.get(self.target(item))
        if doc is None or doc.missing:
            return Entity(id=item, label=item)
        found = doc.entity(kind="person" if HUMAN in self.types(item) else "")
        return Entity(id=item, label=found.label, aliases=found.aliases, kind=found.kind)

    def label(self, item: str) -> str:
        doc = self.docs.get(item)
        return normal_name(doc.label) if doc and doc.labels else ""

    def names(self, item: str) -> frozenset[str]:
        doc = self.docs.get(item)
        return frozenset(normal_name(n) for n in doc.names) if doc else frozenset()

    def types(self, item: str) -> frozenset[str]:
        doc = self.docs.get(self.target(item))
        return frozenset(doc.items("P31")) if doc else frozenset()

    def above(self, item: str) -> frozenset[str]:
        """Everything reachable upward over the documents at hand, without the item itself."""
        seen: set[str] = set()
        todo = [self.target(item)]
        while todo:
            doc = self.docs.get(todo.pop())
            if doc is None:
                continue
            for parent in doc.items(*UPWARD):
                parent = self.target(parent)
                if parent not in seen:
                    seen.add(parent)
                    todo.append(parent)
        return frozenset(seen - {item})

    def classes(self, items: Iterable[str]) -> tuple[frozenset[str], bool]:
        """These classes with all above them by P279, and whether all of them are at hand."""
        seen: set[str] = set()
        todo, whole = [self.target(i) for i in items], True
        while todo:
            item = todo.pop()
            if item in seen:
                continue
            seen.add(item)
            doc = self.docs.get(item)
            if doc is None or doc.missing:
                whole = False
            else:
                todo += [self.target(p) for p in doc.items("P279")]
        return frozenset(seen), whole

    def statements(self, item: str, properties: Iterable[str]) -> tuple[Statement, ...]:
        """Undeprecated statements of an item that is at hand."""
        doc = self.docs.get(self.target(item))
        if doc is None:
            return ()
        found = (s for p in properties for s in doc.claims.get(p, ()))
        return tuple(s for s in found if s.rank is not Rank.DEPRECATED)

    def placed(self, item: str) -> bool:
        """Whether it is at hand what the item is or lies in; without that nothing is contained."""
        doc = self.docs.get(self.target(item))
        return doc is not None and bool(doc.items("P31", *UPWARD))

    def target(self, item: str) -> str:
        seen = {item}
        while (to := self.redirects.get(item)) is not None and to not in seen:
            seen.add(to)
            item = to
        return item

    def inverse(
        self, subject: EntityDoc, property_id: str, new: str, inverses: Iterable[str]
    ) -> tuple[str, ...]:
        """Statements of other items that say the same as (subject, property, new), as
        `item:property`: on the new value itself, or on an office that the subject names."""
        offices = set(subject.items(*OFFICES.get(property_id, ())))
        wanted = {subject.id, *offices}
        found: list[str] = []
        holder = self.docs.get(self.target(new))
        for inverse in inverses:
            if holder is not None and any(
                _speaks_of(s, wanted) for s in holder.claims.get(inverse, ())
            ):
                found.append(f"{new}:{inverse}")
            for office in sorted(offices):
                doc = self.docs.get(office)
                if doc and any(_says(s, new) for s in doc.claims.get(inverse, ())):
                    found.append(f"{office}:{inverse}")
        return tuple(found)


def normal_name(text: str) -> str:
    """A name without case, accents, punctuation and a disambiguating parenthesis."""
    text = _PARENTHESIS.sub(" ", text)
    text = unicodedata.normalize("NFKD", text).casefold()
    kept = (c if c.isalnum() else " " for c in text if not unicodedata.combining(c))
    return " ".join("".join(kept).split())


def _speaks_of(statement: Statement, wanted: set[str]) -> bool:
    """A running statement whose value or whose qualifier (of, jurisdiction) is the subject."""
    if statement.rank is Rank.DEPRECATED or statement.qualifier("P582") is not None:
        return False
    return value_key(statement) in wanted or any(q.value in wanted for q in statement.qualifiers)


def _says(statement: Statement, value: str) -> bool:
    return (
        statement.rank is not Rank.DEPRECATED
        and statement.qualifier("P582") is None
        and value_key(statement) == value
    )
