"""Recorded Wikidata for the benches of the watch: where it lies, and its files as values.

Owns finding and reading of labelled edits, snapshot rows and office histories. `DATA` names another
folder (laid out as `changes/`, `wdqs/`, `qa/`, or flat) or one file; what is not there is skipped.
"""

from __future__ import annotations

import builtins
import csv
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from agents.wikidata.entity import canonical_time
from agents.wikidata.errors import Malformed
from daemon.bench.rows import ROOT
from knowledge.facts import Entity, Snak, SnakKind

RECORDED = ROOT.parent / "shared" / "data" / "wikidata"


def recorded(*patterns: str) -> list[Path]:
    """The files at hand that match one of the patterns, under `DATA` or the recorded folder."""
    root = Path(os.environ.get("DATA") or RECORDED)
    if root.is_file():
        return [root] if any(root.match(pattern) for pattern in patterns) else []
    found = [path for pattern in patterns for path in sorted(root.rglob(pattern))]
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledEdit:
    """One real edit of a value, with what a person called it."""

    revision: int
    property: str
    subject: str
    old: Snak
    new: Snak
    old_label: str
    new_label: str
    datatype: str
    label: str
    machine: str
    """What a language model called it."""

    @builtins.property
    def is_update(self) -> bool:
        return self.label == UPDATE


UPDATE = "property_value_update"


def labelled_edits(path: Path) -> list[LabelledEdit]:
    """The rows of a file of labelled edits. Raises KeyError for a file of another layout."""
    with path.open(encoding="utf-8", newline="") as handle:
        return [_labelled(row) for row in csv.DictReader(handle)]


def _labelled(row: dict[str, str]) -> LabelledEdit:
    number = row["property_id"].removeprefix("P")
    kind = {"wikibase-entityid": "wikibase-item"}.get(row["datatype"], row["datatype"])
    return LabelledEdit(
        revision=int(row["revision_id"]),
        property=f"P{number}",
        subject=f"Q{row['entity_id'].removeprefix('Q')}",
        old=_snak(f"P{number}", kind, row["old_value"]),
        new=_snak(f"P{number}", kind, row["new_value"]),
        old_label=row.get("old_value_label") or "",
        new_label=row.get("new_value_label") or "",
        datatype=row["datatype"],
        label=row["label"],
        machine=(row.get("predicted_class") or "").split(",")[0].strip(),
    )


def _snak(property_id: str, kind: str, raw: str) -> Snak:
    try:
        value = json.loads(raw)
    except ValueError:
        value = raw
    if value in ("somevalue", "novalue"):
        return Snak(property=property_id, kind=SnakKind(value), datatype="")
    text = str(value)
    if kind == "time":
        text = _time(text)
    elif kind == "quantity":
        text = f"{_figure(text)} 1"
    return Snak(property=property_id, datatype=kind, value=text)


def _time(text: str) -> str:
    """The rows have no precision: zeros tell it."""
    precision = 9 if "-00-00T" in text else 10 if "-00T" in text else 11
    try:
        return canonical_time({"time": text, "precision": precision})
    except Malformed:
        return text


def _figure(text: str) -> str:
    try:
        return format(Decimal(text).normalize(), "f")
    except InvalidOperation:
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRow:
    """One fact at two dates. Answers are the values that held at each."""

    number: int
    subject: Entity
    property: str
    kind: str
    """`current` or `previous`."""
    before: tuple[Entity, ...]
    after: tuple[Entity, ...]


def snapshot_rows(path: Path) -> Iterator[SnapshotRow]:
    """The rows of a file of snapshot rows; of more than two snapshots the first and the last."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        row: dict[str, Any] = json.loads(line)
        answers = list(row["answers"].values())
        yield SnapshotRow(
            number=int(row["uniq_id"]),
            subject=Entity(id=row["subject"], label=row["subject_label"]),
            property=row["property"],
            kind=row["kind"],
            before=_entities(answers[0]),
            after=_entities(answers[-1]),
        )


def _entities(raw: list[dict[str, str]] | None) -> tuple[Entity, ...]:
    """The items among the answers; a blank node is a value that nobody knows."""
    return tuple(
        Entity(id=one["id"], label=one.get("label") or one["id"])
        for one in raw or ()
        if _ITEM.match(one["id"])
    )


_ITEM = re.compile(r"^Q[1-9]\d*$")
