"""Real changes from a file (`DATA=`), read about in an article: subjects of any kind, known or not.

Owns reading rows of the snapshot-changes.jsonl kind: one question at two dates. Subjects outside
the corpus have no legacy prior, so this tests reading and never editing.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from daemon.bench.embedded_cases import HELD, OWN, Cases, asked, share
from daemon.bench.rows import Op, Row
from knowledge.facts import Date, Entity
from knowledge.model import LanguageModel
from knowledge.properties import CATALOGUE
from knowledge.rendering import Story

_KINDS = {
    "P6": "municipality",
    "P35": "country",
    "P286": "club",
    "P54": "person",
    "P169": "company",
}


def read(path: Path) -> list[Story]:
    """The changes of a file: rows of kind `current` whose single answer differs between the two
    dates, for properties of the catalogue; the later date's year is when."""
    stories: list[Story] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line) if line.strip() else {}
        if row.get("kind") != "current" or row["property"] not in CATALOGUE:
            continue
        (_, before), (later, after) = list(row["answers"].items())[:2]
        if len(before) != 1 or len(after) != 1 or before[0]["id"] == after[0]["id"]:
            continue
        held = "person" if CATALOGUE[row["property"]].wording.wh == "Who" else "club"
        stories.append(
            Story(
                subject=Entity(
                    id=row["subject"],
                    label=row["subject_label"],
                    kind=_KINDS.get(row["property"], "organisation"),
                ),
                property=row["property"],
                holder=_entity(after[0], held),
                since=Date(int(later[-4:])) if later[-4:].isdigit() else None,
                previous=_entity(before[0], held),
            )
        )
    return stories


def _entity(raw: dict[str, str], kind: str) -> Entity:
    return Entity(id=raw["id"], label=raw["label"], kind=kind)


def rows(model: LanguageModel, cases: Cases, data: str | None, *, quick: bool) -> list[Row]:
    """Reading of each change by short questions and true claims; no rows without a file."""
    if not data:
        return []
    stories = read(Path(data))[: 8 if quick else None]
    made: list[Row] = []
    bars = {"drafter's constructions": (OWN, 85.0), "held out": (HELD["both"], 60.0)}
    for name, (how, bar) in bars.items():
        rng = random.Random(f"snapshot {name}")
        asked_of = [
            cases.open_book(style, how, lambda _, story=story: story, rng)
            for story in stories
            for style in ("short", "check")
        ]
        judged = asked(model, asked_of)
        made.append(
            Row(
                what=f"snapshot rows, {name}",
                value=round(share(judged), 2),
                unit="%",
                bar=bar,
                op=Op.AT_LEAST,
                detail=f"{len(stories)} changes of {Path(data).name}",
            )
        )
    return made
