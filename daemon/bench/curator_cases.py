"""Changes to curate, with the wiki that states them: recorded ones, and those of the scenario.

Owns the reading of recorded rows into statements. A recorded row says who held a fact when, never
why; so a case made of one has no cause in its evidence. Scenario cases are read as the local
Wikidata shows them at the scenario's end. Rows without what a change needs are left out.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agents.evidence.sources import WikimediaEvidence
from daemon.bench.curator_wiki import NOW, Wiki
from daemon.bench.rows import ROOT
from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.extracts import Encyclopaedia
from daemon.demo.wikidata.scenario import Scenario, build_scenario
from knowledge.facts import LOCAL_ID_START, ChangeKind, Date, Entity, FactChange
from knowledge.properties import CATALOGUE, Tier
from knowledge.world import Split, World

DATA = ROOT.parent / "shared" / "data" / "wikidata"
_TERM = re.compile(r"^(?P<name>.*?) \|S: (?P<start>\S+)(?: \|E: (?P<end>\S+))?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One change, the source of its evidence, and the cause that the evidence states (if any)."""

    change: FactChange
    source: WikimediaEvidence
    cause: str | None = None


def recorded(folder: Path = DATA) -> list[Case]:
    """All recorded changes that name subject, old and new value; empty without the folder."""
    if not folder.is_dir():
        return []
    found = snapshots(folder / "changes" / "snapshot-changes.jsonl")
    found += list(_value_edits(folder / "changes" / "value-changes-labelled.csv"))
    found += list(_terms(folder / "qa" / "dyknow-qa_generated.json"))
    return list({case.change.key: case for case in found}.values())


def snapshots(path: Path) -> list[Case]:
    """Changes out of snapshot rows: one line a fact, with its answers at two times."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    before = {
        (r["subject"], r["property"]): [a["id"] for a in list(r["answers"].values())[-1]]
        for r in rows
        if r.get("kind") == "previous"
    }
    found: list[Case] = []
    for row in rows:
        first, last = next(iter(row["answers"].values())), list(row["answers"].values())[-1]
        if row.get("kind") == "previous" or row["property"] not in CATALOGUE:
            continue
        old = [a for a in first if _is_item(a) and a["id"] not in {b["id"] for b in last}]
        new = [a for a in last if _is_item(a) and a["id"] not in {b["id"] for b in first}]
        if not old or not new:
            continue
        replaces = old[0]["id"] in before.get((row["subject"], row["property"]), ())
        subject = Entity(id=row["subject"], label=row["subject_label"])
        found.append(
            _case(subject, row["property"], _entity(old[0]), _entity(new[0]), replaces=replaces)
        )
    return found


def _value_edits(path: Path) -> Iterator[Case]:
    """Edits that people judged to be a change of the world, of watched properties."""
    with path.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            property_id = f"P{row['property_id']}"
            known = CATALOGUE.get(property_id)
            ids = [row["old_value"].strip('"'), row["new_value"].strip('"')]
            labels = [row["entity_label"], row["old_value_label"], row["new_value_label"]]
            if (
                row["label"] != "property_value_update"
                or known is None
                or known.tier not in (Tier.A, Tier.B)
                or not all(re.fullmatch(r"Q\d+", i) for i in ids)
                or not all(labels)
                or labels[1] == labels[2]
            ):
                continue
            yield _case(
                Entity(id=f"Q{row['entity_id']}", label=labels[0]),
                property_id,
                Entity(id=ids[0], label=labels[1]),
                Entity(id=ids[1], label=labels[2]),
            )


def _terms(path: Path) -> Iterator[Case]:
    """Successive holders, with the dates of both, of offices and clubs; names only."""
    kinds = {"President": "P35", "Prime Minister": "P6", "chairperson": "P488"}
    kinds |= {"general secretary": "P3975", "director / manager": "P1037"}
    for group, subjects in json.loads(path.read_text(encoding="utf-8")).items():
        for name, entry in subjects.items():
            offices = {"": entry} if "answers" in entry else entry
            for office, told in offices.items():
                fixed = {"companies_byRevenue": "P169", "athletes_byPayment": "P54"}.get(group)
                property_id = fixed or next((p for w, p in kinds.items() if w in office), None)
                if property_id:
                    yield from _successions(name, property_id, told["answers"])


def _successions(name: str, property_id: str, answers: Sequence[str]) -> Iterator[Case]:
    terms: list[tuple[str, Date, Date | None]] = []
    for match in filter(None, map(_TERM.match, answers)):
        start = Date.from_wikibase(match["start"], _precision(match["start"]))
        end = match["end"] and Date.from_wikibase(match["end"], _precision(match["end"]))
        if start:
            terms.append((match["name"], start, end or None))
    terms.sort(key=lambda term: term[1].earliest())
    for before, after in itertools.pairwise(terms):
        if before[0] != after[0] and before[2]:
            yield _case(
                _local(name),
                property_id,
                _local(before[0]),
                _local(after[0]),
                ended=before[2].iso(),
                started=after[1].iso(),
            )


def _case(
    subject: Entity,
    property_id: str,
    old: Entity,
    new: Entity,
    *,
    replaces: bool = False,
    ended: str = "",
    started: str = "",
) -> Case:
    wiki = Wiki()
    for entity in (subject, old, new):
        wiki.item(entity.id, entity.label)
    told = {"P1365": old.id} if replaces else {}
    change = FactChange(
        subject=subject,
        property=property_id,
        old=old,
        new=new,
        kind=ChangeKind.SUCCESSION,
        old_statement=wiki.state(subject.id, property_id, old.id, P582=ended),
        new_statement=wiki.state(
            subject.id, property_id, new.id, rank="preferred", P580=started, **told
        ),
        ended=Date.of(ended),
        started=Date.of(started),
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


def _is_item(answer: Mapping[str, str]) -> bool:
    """Some rows answer with an unknown value, which has no id of an item."""
    return bool(re.fullmatch(r"Q\d+", answer["id"]))


def _entity(answer: Mapping[str, str]) -> Entity:
    return Entity(id=answer["id"], label=answer["label"])


def _local(name: str) -> Entity:
    """An entity that is recorded by name alone, under an id of the local range."""
    number = int(hashlib.sha256(name.encode()).hexdigest()[:7], 16)
    return Entity(id=f"Q{LOCAL_ID_START + 100_000_000 + number}", label=name)


def _precision(time: str) -> int:
    return 9 if "-00-" in time else 10 if "-00T" in time else 11
