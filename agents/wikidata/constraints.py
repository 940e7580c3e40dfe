"""What Wikidata demands of a property's statements (P2302), and whether a change meets it.

Owns reading the demands out of a property's own item and checking them in three states. What a
property does not state, and what cannot be decided by what is at hand, is unknown: it never passes.
Pure; does not fetch (`agents.demands`) or decide what follows (`gate`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agents.wikidata.entity import EntityDoc, is_item_value
from agents.wikidata.side import Facts
from agents.wikidata.view import START, has_value, qualifier_date, value_key
from knowledge.facts import Rank, Snak, Statement

CONSTRAINT = "P2302"
_STATUS, _EXCEPTION = "P2316", "P2303"
_CLASS, _RELATION, _ITEM, _SEPARATOR = "P2308", "P2309", "P2305", "P4155"
_SUGGESTION = "Q62026391"
"""A constraint of this status is a hint for editors; it holds nothing."""
_BY_INSTANCE, _BY_SUBCLASS = "Q21503252", "Q21514624"
_ENDED = ("P570", "P576")
"""When a value died or was dissolved."""


class Demand(StrEnum):
    """The kinds of constraint that are checked."""

    SINGLE_VALUE = "single value"
    VALUE_TYPE = "value type"
    ONE_OF = "one of"
    NONE_OF = "none of"
    CONTEMPORARY = "contemporary"


_KINDS = {
    "Q19474404": Demand.SINGLE_VALUE,
    "Q52060874": Demand.SINGLE_VALUE,  # single best value: views are of the best rank anyway
    "Q21510865": Demand.VALUE_TYPE,
    "Q21510859": Demand.ONE_OF,
    "Q52558054": Demand.NONE_OF,
    "Q25796498": Demand.CONTEMPORARY,
}
_ASKED = (Demand.SINGLE_VALUE, Demand.VALUE_TYPE, Demand.ONE_OF)
"""Kinds whose absence is told: a reader shall see what nobody checked."""


class Check(StrEnum):
    PASS = "pass"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """One demand of a property. `items` are classes or values, by its kind."""

    kind: Demand
    items: frozenset[str] = frozenset()
    by_instance: bool = True
    by_subclass: bool = False
    separators: tuple[str, ...] = ()
    exceptions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check said. `stated`: the property makes this demand."""

    kind: Demand
    check: Check
    reason: str
    stated: bool = True


def read_constraints(doc: EntityDoc) -> tuple[Constraint, ...]:
    """The checked demands of a property's item; suggestions and deprecated ones are left out."""
    found: list[Constraint] = []
    for statement in doc.claims.get(CONSTRAINT, ()):
        kind = _KINDS.get(value_key(statement))
        if kind is None or statement.rank is Rank.DEPRECATED:
            continue
        if _SUGGESTION in _items(statement, _STATUS):
            continue
        relations = _items(statement, _RELATION)
        found.append(
            Constraint(
                kind=kind,
                items=_items(statement, _CLASS if kind is Demand.VALUE_TYPE else _ITEM),
                by_instance=relations != {_BY_SUBCLASS},
                by_subclass=bool(relations - {_BY_INSTANCE}),
                separators=tuple(sorted(_items(statement, _SEPARATOR))),
                exceptions=_items(statement, _EXCEPTION),
            )
        )
    return tuple(found)


def examine(
    constraints: Sequence[Constraint] | None,
    subject: str,
    new: Statement | None,
    held: Sequence[Statement],
    facts: Facts,
) -> tuple[Finding, ...]:
    """Check a change whose new state is `held`, with `new` the statement that came to hold.

    `constraints` None: the property's item could not be read."""
    if constraints is None:
        reason = "the property's constraints could not be read"
        return tuple(_unstated(kind, reason) for kind in _ASKED)
    found = [_check(c, subject, new, held, facts) for c in constraints]
    stated = {c.kind for c in constraints}
    return (*found, *(_unstated(k, f"no {k} constraint") for k in _ASKED if k not in stated))


def verdict(findings: Iterable[Finding]) -> Check:
    """Violated if one is; passed if something was demanded and all of it is met; else unknown."""
    checks = [f.check for f in findings if f.stated]
    if Check.VIOLATED in checks:
        return Check.VIOLATED
    return Check.PASS if checks and set(checks) == {Check.PASS} else Check.UNKNOWN


def _unstated(kind: Demand, reason: str) -> Finding:
    return Finding(kind=kind, check=Check.UNKNOWN, reason=reason, stated=False)


def _check(
    demand: Constraint,
    subject: str,
    new: Statement | None,
    held: Sequence[Statement],
    facts: Facts,
) -> Finding:
    if subject in demand.exceptions:
        check, reason = Check.PASS, f"{subject} is an exception to it"
    elif demand.kind is Demand.SINGLE_VALUE:
        check, reason = _single(demand, held)
    elif new is None or not is_item_value(new.mainsnak):
        check, reason = Check.UNKNOWN, "there is no new item value to check"
    else:
        of = {
            Demand.VALUE_TYPE: _value_type,
            Demand.ONE_OF: _one_of,
            Demand.NONE_OF: _none_of,
            Demand.CONTEMPORARY: _contemporary,
        }
        check, reason = of[demand.kind](demand, new, facts)
    return Finding(kind=demand.kind, check=check, reason=reason)


def _single(demand: Constraint, held: Sequence[Statement]) -> tuple[Check, str]:
    groups: dict[tuple[str, ...], set[str]] = {}
    for statement in held:
        if has_value(statement):
            key = tuple(_separated(statement, p) for p in demand.separators)
            groups.setdefault(key, set()).add(value_key(statement))
    if not groups:
        return Check.UNKNOWN, "no value holds"
    most = max(groups.values(), key=len)
    if len(most) > 1:
        return Check.VIOLATED, f"{', '.join(sorted(most))} hold together"
    return Check.PASS, "one value holds"


def _value_type(demand: Constraint, new: Statement, facts: Facts) -> tuple[Check, str]:
    value = value_key(new)
    types = facts.types(value) if demand.by_instance else frozenset()
    start = types | ({facts.target(value)} if demand.by_subclass else frozenset())
    classes, whole = facts.classes(start)
    met = sorted(classes & demand.items)
    if met:
        return Check.PASS, f"{value} is of {met[0]}"
    wanted = " or ".join(sorted(demand.items)) or "no class at all"
    if not types or not whole or not demand.items:
        return Check.UNKNOWN, f"it is not at hand whether {value} is of {wanted}"
    return Check.VIOLATED, f"{value} is of {', '.join(sorted(types))}, not of {wanted}"


def _one_of(demand: Constraint, new: Statement, facts: Facts) -> tuple[Check, str]:
    value = facts.target(value_key(new))
    if not demand.items:
        return Check.UNKNOWN, "the constraint names no values"
    if value in demand.items:
        return Check.PASS, f"{value} is one of the values that are allowed"
    return Check.VIOLATED, f"{value} is none of the {len(demand.items)} values that are allowed"


def _none_of(demand: Constraint, new: Statement, facts: Facts) -> tuple[Check, str]:
    value = facts.target(value_key(new))
    if value in demand.items:
        return Check.VIOLATED, f"{value} is ruled out"
    return Check.PASS, f"{value} is not ruled out"


def _contemporary(demand: Constraint, new: Statement, facts: Facts) -> tuple[Check, str]:
    """Whether the value still was when the statement began."""
    value, start = value_key(new), qualifier_date(new, START)
    ends = [d for s in facts.statements(value, _ENDED) if (d := s.mainsnak.date()) is not None]
    if start is None or not ends:
        return Check.UNKNOWN, f"no dates of {value} and of the statement to compare"
    last = max(d.latest() for d in ends)
    if last < start.earliest():
        return Check.VIOLATED, f"{value} ended on {last}, before {start.iso()}"
    return Check.PASS, f"{value} was still there on {start.iso()}"


def _separated(statement: Statement, property_id: str) -> str:
    return "|".join(sorted(_said(q) for q in statement.qualifiers if q.property == property_id))


def _said(snak: Snak) -> str:
    return f"{snak.kind}:{snak.value}"


def _items(statement: Statement, property_id: str) -> frozenset[str]:
    return frozenset(q.value for q in statement.qualifiers if q.property == property_id and q.value)
