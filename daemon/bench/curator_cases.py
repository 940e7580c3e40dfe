"""Changes to curate, with the wiki that states them: recorded ones, and those of the scenario.

Owns the making of statements out of recorded rows (`curator_data` reads those). A row says who held
a fact when, never why; so a case made of one has no cause in its evidence. Scenario cases are read
as the local Wikidata shows them at the scenario's end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agents.evidence.sources import WikimediaEvidence
from daemon.bench.curator_data import Change, changes_of
from daemon.bench.curator_wiki import NOW, Wiki
from daemon.bench.rows import ROOT
from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.extracts import Encyclopaedia
from daemon.demo.wikidata.scenario import Scenario, build_scenario
from knowledge.facts import ChangeKind, Date, FactChange
from knowledge.world import Split, World

DATA = ROOT.parent / "shared" / "data" / "wikidata"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One change, the source of its evidence, and the cause that the evidence states (if any)."""

    change: FactChange
    source: WikimediaEvidence
    cause: str | None = None


def recorded(path: Path = DATA) -> list[Case]:
    """All recorded changes that name subject, old and new value; empty where nothing is recorded.
    Raises DataError for a file of another layout."""
    if path == DATA and not path.is_dir():
        return []
    found = [_case(change) for change in changes_of(path)]
    return list({case.change.key: case for case in found}.values())


def _case(told: Change) -> Case:
    wiki = Wiki()
    for entity in (told.subject, told.old, told.new):
        wiki.item(entity.id, entity.label)
    subject, old, new = told.subject.id, told.old.id, told.new.id
    replaces = {"P1365": old} if told.replaces else {}
    change = FactChange(
        subject=told.subject,
        property=told.property,
        old=told.old,
        new=told.new,
        kind=ChangeKind.SUCCESSION,
        old_statement=wiki.state(subject, told.property, old, P582=told.ended),
        new_statement=wiki.state(
            subject, told.property, new, rank="preferred", P580=told.started, **replaces
        ),
        ended=Date.of(told.ended),
        started=Date.of(told.started),
        reason="recorded",
    )
    return Case(change=change, source=wiki.source())


class ScenarioWiki:
    """What the local Wikidata and its encyclopaedia show at the end of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._archive = Archive(scenario)
        self._texts = Encyclopaedia(scenario)
        self._now = scenario.end

    async def raw_entities(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        return {i: found for i in ids if (found := self.entity(i))}

    def entity(self, item: str) -> dict[str, Any] | None:
        head = self._archive.head(item, self._now)
        if head is None or not head.content:
            return None
        document = snaks.decoded(head.content)
        return {**document, "id": item, "claims": snaks.with_datatypes(document["claims"])}

    async def of(self, title: str) -> tuple[str, str] | None:
        item = self._archive.by_sitelink(title, self._now)
        return (f"article:{title}", self._texts.extract(item, self._now)) if item else None


def scenario(seed: int | str, *, everything: bool = False, causes: bool = True) -> list[Case]:
    """The successions of a scenario: those of its own pool among noise, or `everything` in the
    table without noise. Without `causes` the same world, where no end has a stated cause."""
    world = World.load()
    if not causes:
        world = World(replace(fact, end_cause=None) for fact in world.facts)
    chosen = tuple(s.slot for s in world.successions) if everything else len(world.split(_POOL))
    made = build_scenario(world, seed, chosen, 0 if everything else 2000)
    wiki = ScenarioWiki(made)
    source = WikimediaEvidence(wiki, wiki, clock=lambda: NOW)
    found: list[Case] = []
    for succession in made.successions:
        entity = wiki.entity(succession.subject.id)
        held = (entity or {}).get("claims", {}).get(succession.property, [])
        old, new = succession.old, succession.new
        change = FactChange(
            subject=succession.subject,
            property=succession.property,
            old=old.object,
            new=new.object,
            kind=ChangeKind.SUCCESSION,
            old_statement=_statement_of(held, old.object.id),
            new_statement=_statement_of(held, new.object.id),
            ended=old.end,
            started=new.start,
            reason="scenario",
        )
        found.append(Case(change=change, source=source, cause=old.end_cause))
    return found


_POOL = Split.SCENARIO


def _statement_of(group: Sequence[Mapping[str, Any]], holder: str) -> str | None:
    """The latest statement with that value."""
    ids = [
        str(s["id"])
        for s in group
        if s["mainsnak"].get("datavalue", {}).get("value", {}).get("id") == holder
    ]
    return ids[-1] if ids else None
