"""Files of recorded changes, read row by row: snapshot rows, labelled edits, holders with terms.

Owns the three layouts (those of `shared/data/wikidata`) and what is said of a file that has none of
them. Yields what a row states; making a wiki of it is `curator_cases`'s. A row without what a
change needs is left out; one that cannot be read stops the file, with its place.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knowledge.facts import LOCAL_ID_START, Date, Entity
from knowledge.properties import CATALOGUE, Tier

_TERM = re.compile(r"^(?P<name>.*?) \|S: (?P<start>\S+)(?: \|E: (?P<end>\S+))?$")
_ITEM = re.compile(r"Q\d+")

FILES = ("snapshot-changes.jsonl", "value-changes-labelled.csv", "dyknow-qa_generated.json")
"""What is read of a folder, which has other files too, in this order."""


class DataError(ValueError):
    """A file is none of the layouts; the message says which place and what is wrong there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a row states of one change."""

    subject: Entity
    property: str
    old: Entity
    new: Entity
    replaces: bool = False
    """Whether it is on record that the new one came after the old one."""
    ended: str = ""
    started: str = ""


def changes_of(path: Path) -> list[Change]:
    """The changes of a file, or of all files below a folder. Raises DataError, also for a file that
    has none."""
    if path.is_dir():
        found = [c for name in FILES for file in sorted(path.rglob(name)) for c in _read(file)]
    elif path.is_file():
        found = _read(path)
    else:
        raise DataError(f"{path}: there is no such file")
    if not found:
        raise DataError(
            f"{path}: no row is a change that can be curated; that takes a subject, a watched "
            "property, and an old and a new value that are items with different names"
        )
    return found


def _read(path: Path) -> list[Change]:
    readers = {".jsonl": _snapshots, ".csv": _value_edits, ".json": _terms}
    reader = readers.get(path.suffix)
    if reader is None:
        raise DataError(f"{path}: name a .jsonl of snapshot rows, a .csv of edits or a .json")
    try:
        return list(reader(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _snapshots(path: Path) -> Iterator[Change]:
    """One line a fact, with its answers at two times or more; the first and the last count."""
    rows = [
        (n, _json(line, path, n))
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if line.strip()
    ]
    told = [_snapshot(row, path, number) for number, row in rows]
    before = {
        (row.subject.id, row.property): {a["id"] for a in row.last if _is_item(a)}
        for row in told
        if row.previous
    }
    for row in told:
        if row.previous or row.property not in CATALOGUE or not row.subject.label:
            continue
        ids = [{a.get("id") for a in side if isinstance(a, dict)} for side in (row.first, row.last)]
        old = next((a for a in row.first if _is_item(a) and a["id"] not in ids[1]), None)
        new = next((a for a in row.last if _is_item(a) and a["id"] not in ids[0]), None)
        if old and new and old["label"] != new["label"]:
            yield Change(
                subject=row.subject,
                property=row.property,
                old=Entity(id=old["id"], label=old["label"]),
                new=Entity(id=new["id"], label=new["label"]),
                replaces=old["id"] in before.get((row.subject.id, row.property), ()),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """One fact with its answers at the first and the last time."""

    subject: Entity
    property: str
    previous: bool
    """It tells who held the fact before whom it tells of otherwise."""
    first: Sequence[Any]
    last: Sequence[Any]


def _snapshot(row: Mapping[str, Any], path: Path, line: int) -> _Snapshot:
    try:
        times = list(row["answers"].values())
        made = _Snapshot(
            subject=Entity(id=row["subject"], label=row["subject_label"]),
            property=row["property"],
            previous=row.get("kind") == "previous",
            first=times[0],
            last=times[-1],
        )
        if not _ITEM.fullmatch(made.subject.id):
            raise ValueError(f"{made.subject.id} is no item")
    except (KeyError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}, line {line}: not a snapshot row (subject, subject_label, property, and "
            f"answers by date): {error!r}"
        ) from error
    return made


def _value_edits(path: Path) -> Iterator[Change]:
    """Edits that people judged to be a change of the world, of watched properties."""
    with path.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            try:
                property_id = f"P{row['property_id'].removeprefix('P')}"
                ids = [row["old_value"].strip('"'), row["new_value"].strip('"')]
                labels = [row["entity_label"], row["old_value_label"], row["new_value_label"]]
                subject, update = row["entity_id"], row["label"] == "property_value_update"
            except (KeyError, AttributeError) as error:
                raise DataError(f"{path}: not a table of labelled edits: {error!r}") from error
            known = CATALOGUE.get(property_id)
            watched = known is not None and known.tier in (Tier.A, Tier.B)
            named = all(labels) and labels[1] != labels[2]
            if update and watched and named and all(map(_ITEM.fullmatch, ids)):
                yield Change(
                    subject=Entity(id=f"Q{subject.removeprefix('Q')}", label=labels[0]),
                    property=property_id,
                    old=Entity(id=ids[0], label=labels[1]),
                    new=Entity(id=ids[1], label=labels[2]),
                )


def _terms(path: Path) -> Iterator[Change]:
    """Successive holders, with the dates of both, of offices and clubs; names only."""
    kinds = {"President": "P35", "Prime Minister": "P6", "chairperson": "P488"}
    kinds |= {"general secretary": "P3975", "director / manager": "P1037"}
    try:
        groups = _json(path.read_text(encoding="utf-8"), path, 1)
        for group, subjects in groups.items():
            for name, entry in subjects.items():
                offices = {"": entry} if "answers" in entry else entry
                for office, told in offices.items():
                    fixed = {"companies_byRevenue": "P169", "athletes_byPayment": "P54"}.get(group)
                    property_id = fixed or next((p for w, p in kinds.items() if w in office), None)
                    if property_id:
                        yield from _successions(name, property_id, told["answers"])
    except (KeyError, AttributeError, TypeError) as error:
        raise DataError(
            f"{path}: not a table of holders (group, subject, office, answers): {error!r}"
        ) from error


def _successions(name: str, property_id: str, answers: Sequence[str]) -> Iterator[Change]:
    terms: list[tuple[str, Date, Date | None]] = []
    for match in filter(None, map(_TERM.match, answers)):
        start = Date.from_wikibase(match["start"], _precision(match["start"]))
        end = match["end"] and Date.from_wikibase(match["end"], _precision(match["end"]))
        if start:
            terms.append((match["name"], start, end or None))
    terms.sort(key=lambda term: term[1].earliest())
    for before, after in itertools.pairwise(terms):
        if before[0] != after[0] and before[2]:
            yield Change(
                subject=_local(name),
                property=property_id,
                old=_local(before[0]),
                new=_local(after[0]),
                ended=before[2].iso(),
                started=after[1].iso(),
            )


def _json(text: str, path: Path, line: int) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}, line {line}: no JSON: {error}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}, line {line}: a JSON object is wanted, not {text[:40]!r}")
    return value


def _is_item(answer: Any) -> bool:
    """Some rows answer with an unknown value, which has no id of an item, or without a name."""
    return (
        isinstance(answer, dict)
        and bool(_ITEM.fullmatch(str(answer.get("id"))))
        and bool(answer.get("label"))
    )


def _local(name: str) -> Entity:
    """An entity that is recorded by name alone, under an id of the local range."""
    number = int(hashlib.sha256(name.encode()).hexdigest()[:7], 16)
    return Entity(id=f"Q{LOCAL_ID_START + 100_000_000 + number}", label=name)


def _precision(time: str) -> int:
    return 9 if "-00-" in time else 10 if "-00T" in time else 11
