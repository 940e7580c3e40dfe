"""The difference between two states of an item, by statement id and by value.

Owns what was added, removed and changed, and in which aspect. Pure and order-independent. Does not
say what a difference means (`classify`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agents.wikidata.entity import EntityDoc
from agents.wikidata.view import value_key
from knowledge.facts import Snak, Statement


@dataclass(frozen=True, slots=True)
class Touched:
    """One statement before and after; `before` or `after` is None when it came or went."""

    before: Statement | None
    after: Statement | None

    @property
    def id(self) -> str:
        return (self.after or self.before).id  # type: ignore[union-attr]

    @property
    def revalued(self) -> bool:
        """The value was overwritten in place."""
        return bool(self.before and self.after and self.before.mainsnak != self.after.mainsnak)

    @property
    def reranked(self) -> bool:
        return bool(self.before and self.after and self.before.rank is not self.after.rank)

    @property
    def qualifiers_added(self) -> frozenset[Snak]:
        before = self.before.qualifiers if self.before else ()
        return frozenset(self.after.qualifiers if self.after else ()) - frozenset(before)

    @property
    def qualifiers_removed(self) -> frozenset[Snak]:
        after = self.after.qualifiers if self.after else ()
        return frozenset(self.before.qualifiers if self.before else ()) - frozenset(after)

    @property
    def only_references(self) -> bool:
        return bool(self.before and self.after) and meaning(self.before) == meaning(self.after)


@dataclass(frozen=True, slots=True)
class StatementDiff:
    """What happened to the statements of one property."""

    property_id: str
    added: tuple[Touched, ...] = ()
    removed: tuple[Touched, ...] = ()
    changed: tuple[Touched, ...] = ()

    @property
    def all(self) -> tuple[Touched, ...]:
        return self.added + self.removed + self.changed

    @property
    def semantic(self) -> bool:
        """True if more than references changed."""
        return any(not t.only_references for t in self.all)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class EntityDiff:
    """What one edit did to an item."""

    claims: dict[str, StatementDiff]
    labels: bool = False
    other: bool = False


def meaning(statement: Statement | None) -> tuple[object, ...]:
    """What a statement says, without its id and references: equal meanings are the same claim."""
    if statement is None:
        return ()
    return (value_key(statement), statement.rank, statement.qualifiers)


def state_key(statements: Iterable[Statement]) -> tuple[tuple[object, ...], ...]:
    """The state of a property as a comparable value: a claim restored by hand gets a new id but
    brings back the same state. Order does not count."""
    return tuple(sorted((meaning(s) for s in statements), key=repr))


def diff_statements(
    property_id: str, before: Iterable[Statement], after: Iterable[Statement]
) -> StatementDiff:
    """Compare by id first; what is left over is paired by equal meaning (re-created), else came
    or went."""
    old = {s.id: s for s in before}
    new = {s.id: s for s in after}
    if old == new:
        return StatementDiff(property_id)
    changed = [Touched(old[i], new[i]) for i in old.keys() & new.keys() if old[i] != new[i]]
    gone = [old[i] for i in old.keys() - new.keys()]
    come: list[Statement] = []
    for statement in (new[i] for i in sorted(new.keys() - old.keys())):
        twin = next((g for g in gone if meaning(g) == meaning(statement)), None)
        if twin is None:
            come.append(statement)
        else:
            gone.remove(twin)
            changed.append(Touched(twin, statement))
    return StatementDiff(
        property_id,
        added=tuple(Touched(None, s) for s in sorted(come, key=lambda s: s.id)),
        removed=tuple(Touched(s, None) for s in sorted(gone, key=lambda s: s.id)),
        changed=tuple(sorted(changed, key=lambda t: t.id)),
    )


def diff_entities(before: EntityDoc, after: EntityDoc) -> EntityDiff:
    """What changed between two states, over all properties."""
    claims: dict[str, StatementDiff] = {}
    for property_id in sorted(before.claims.keys() | after.claims.keys()):
        found = diff_statements(
            property_id, before.claims.get(property_id, ()), after.claims.get(property_id, ())
        )
        if found:
            claims[property_id] = found
    return EntityDiff(
        claims,
        labels=before.labels != after.labels or before.aliases != after.aliases,
        other=before.other != after.other,
    )
