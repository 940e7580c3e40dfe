"""What must be known of other items before what differs in a batch of items can be judged.

Owns which items those are (values, offices, what contains them) and fetching them, level by level.
What they say about a change is `agents.wikidata.side`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from agents.wikidata.api import Fetched
from agents.wikidata.classify import ItemHistory
from agents.wikidata.entity import is_item_value
from agents.wikidata.side import HUMAN, OFFICES, UPWARD, SideFacts

_CLOSURE_DEPTH = 6


class Items(Protocol):
    """Who answers for items; `ActionApi` does."""

    async def entities(self, items: Iterable[str]) -> Fetched: ...


async def survey(
    source: Items, facts: SideFacts, histories: Sequence[ItemHistory], properties: Sequence[str]
) -> None:
    """Add to `facts` what judging these histories needs. What is known is not asked for again."""
    wanted = {i for h in histories for i in _values_in_question(h, properties)}
    await learn(source, facts, wanted)
    if wanted:
        offices = {
            office
            for history in histories
            for helpers in OFFICES.values()
            for office in history.head.items(*helpers)
        }
        await learn(source, facts, offices)
    await _climb(source, facts, wanted)


async def learn(source: Items, facts: SideFacts, items: Iterable[str]) -> None:
    """Fetch the items that are not at hand."""
    known = dict(facts.docs)
    todo = sorted(i for i in items if i.startswith("Q") and i not in known)
    if not todo:
        return
    fetched = await source.entities(todo)
    facts.docs = known | fetched.docs
    facts.redirects = {**facts.redirects, **fetched.redirects}


async def _climb(source: Items, facts: SideFacts, items: Iterable[str]) -> None:
    """Fetch what contains the items, level by level, so that closures can be answered."""
    level = {i for i in items if i in facts.docs and HUMAN not in facts.docs[i].items("P31")}
    for _ in range(_CLOSURE_DEPTH):
        above = {p for i in level for p in facts.docs[i].items(*UPWARD)} - facts.docs.keys()
        if not above:
            return
        await learn(source, facts, above)
        level = above & facts.docs.keys()


def _values_in_question(history: ItemHistory, properties: Iterable[str]) -> set[str]:
    """Item values, old and new, of every watched property that some state has otherwise."""
    found: set[str] = set()
    states: list[Mapping[str, Any]] = [history.base.claims, history.head.claims]
    states += [r.doc.claims for r in history.revisions if r.doc is not None]
    for property_id in properties:
        groups = {s.get(property_id, ()) for s in states}
        if len(groups) < 2 and property_id not in history.starts:
            continue
        for statement in (s for group in groups for s in group):
            snaks = (statement.mainsnak, *statement.qualifiers)
            found |= {s.value for s in snaks if is_item_value(s)}
    return found
