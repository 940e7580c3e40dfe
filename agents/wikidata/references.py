"""What a statement rests on: the sources of its references, as far as they are independent.

Owns which references count and when two are of different sources. Does not read the sources.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from knowledge.facts import Snak, Statement

STATED_IN, URL = "P248", "P854"
_IMPORTED = frozenset({"P143", "P4656"})
"""Imported from a Wikimedia project: says where a bot copied from, not what it rests on."""
ENOUGH = 2


def independent_sources(statement: Statement) -> tuple[str, ...]:
    """One `source:property` text for each reference that shares no source with the others, in
    order; hosts of URLs without `www.`, items of works that state it."""
    found: dict[str, frozenset[str]] = {}
    for reference in statement.references:
        sources = _sources(reference)
        if sources and not any(sources & other for other in found.values()):
            found[min(sources)] = sources
    return tuple(sorted(found))


def by_references(statement: Statement | None) -> tuple[str, ...]:
    """The sources that corroborate a statement: two that are independent, or none."""
    sources = independent_sources(statement) if statement is not None else ()
    return sources if len(sources) >= ENOUGH else ()


def is_by_reference(corroboration: str) -> bool:
    """Whether a corroboration is a source, not a statement of another item."""
    return corroboration.rpartition(":")[2] in (STATED_IN, URL)


def _sources(reference: tuple[Snak, ...]) -> frozenset[str]:
    if any(snak.property in _IMPORTED for snak in reference):
        return frozenset()
    hosts = {_host(s.value) for s in reference if s.property == URL}
    works = {s.value for s in reference if s.property == STATED_IN and s.value}
    return frozenset({f"{h}:{URL}" for h in hosts if h} | {f"{w}:{STATED_IN}" for w in works})


def _host(url: str) -> str:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    return host.lower().rstrip(".").removeprefix("www.")
