"""The record format of MQuAKE, with and without `article`: read, written, and made from our units.

Owns the shape of a record and its losslessness: what is read is written again, unknown fields
included. Does not train or judge on records, and does not make up articles.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from knowledge.edits import EditUnit
from knowledge.facts import ChangeKind, Entity, FactChange
from knowledge.properties import CATALOGUE, noun_phrase
from knowledge.questions import QuestionKind, Use


class MquakeError(ValueError):
    """A file is not a list of MQuAKE records; the message names the first bad place."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow")


class Target(_Shape):
    """An object of an edit. The reference runner also writes plain strings; see `Rewrite`."""

    str: str
    id: str = ""


class Rewrite(_Shape):
    """One edit of a case. `article` is the narrative, present in causally enhanced files only."""

    prompt: str
    relation_id: str
    target_new: Target
    target_true: Target
    subject: str
    question: str = ""
    article: str | None = None
    synthetic: bool = False
    """Our mark, in no file of the reference: the fact and its article are made up."""
    lineage: dict[str, Any] = Field(default_factory=dict)
    """Ours too: how the article came about."""


class Hop(_Shape):
    question: str
    cloze: str = ""
    answer: str
    answer_alias: list[str] = Field(default_factory=list)


class Orig(_Shape):
    triples: list[list[str]] = Field(default_factory=list)
    new_triples: list[list[str]] = Field(default_factory=list)
    triples_labeled: list[list[str]] = Field(default_factory=list)
    new_triples_labeled: list[list[str]] = Field(default_factory=list)
    edit_triples: list[list[str]] = Field(default_factory=list)


class Record(_Shape):
    """One case: its edits, the multi-hop question, and the chains before and after."""

    case_id: int
    requested_rewrite: list[Rewrite]
    questions: list[str]
    answer: str
    answer_alias: list[str] = Field(default_factory=list)
    new_answer: str
    new_answer_alias: list[str] = Field(default_factory=list)
    single_hops: list[Hop] = Field(default_factory=list)
    new_single_hops: list[Hop] = Field(default_factory=list)
    orig: Orig = Field(default_factory=Orig)

    @property
    def enhanced(self) -> bool:
        """Whether every edit has its article, as the reference implementation demands."""
        return all(rewrite.article for rewrite in self.requested_rewrite)


_RECORDS = TypeAdapter(list[Record])


def loads(text: str | bytes) -> list[Record]:
    """Records out of JSON text. Raises MquakeError."""
    try:
        return _RECORDS.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise MquakeError(
            f"no MQuAKE records: {place}: {first['msg']} ({error.error_count()} such places)"
        ) from error


def dumps(records: Sequence[Record]) -> str:
    """JSON text of records: fields that were not set are left out, unknown ones are kept."""
    data = [record.model_dump(exclude_unset=True) for record in records]
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def read_records(path: Path) -> list[Record]:
    """The records of a file. Raises OSError and MquakeError."""
    return loads(path.read_bytes())


def write_records(path: Path, records: Sequence[Record]) -> None:
    path.write_text(dumps(records), encoding="utf-8")


def changes_of(record: Record) -> tuple[FactChange, ...]:
    """The edits of a record as changes, dates and statements unknown. Subjects have ids only where
    `orig.edit_triples` gives them; edits of properties outside the catalogue are left out."""
    return tuple(change for change, _ in edits_of(record))


def edits_of(record: Record) -> tuple[tuple[FactChange, Rewrite], ...]:
    """As `changes_of`, each with the rewrite that it was made of."""
    found: list[tuple[FactChange, Rewrite]] = []
    for place, rewrite in enumerate(record.requested_rewrite):
        triples = record.orig.edit_triples
        subject_id = triples[place][0] if place < len(triples) else ""
        if rewrite.relation_id not in CATALOGUE or not subject_id:
            continue
        change = FactChange(
            subject=Entity(id=subject_id, label=rewrite.subject),
            property=rewrite.relation_id,
            old=Entity(id=rewrite.target_true.id, label=rewrite.target_true.str),
            new=Entity(id=rewrite.target_new.id, label=rewrite.target_new.str),
            kind=ChangeKind.SUCCESSION,
            reason=f"MQuAKE case {record.case_id}",
        )
        found.append((change, rewrite))
    return tuple(found)


def record_of(unit: EditUnit, case_id: int) -> Record:
    """A unit as a record, its prose as the article. The multi-hop question is the unit's first
    two-hop one whose answer the edit changes, else the direct one.

    Raises ValueError for a unit without old and new object."""
    change = unit.change
    if change.old is None or change.new is None:
        raise ValueError(f"{change.key}: a record needs an old and a new object")
    rewrite = _rewrite(unit, change.subject, change.old, change.new)
    hop = next(
        (q for q in unit.asked(Use.EXAM) if q.kind is QuestionKind.TWO_HOP and q.legacy), None
    )
    asked = [hop.text] if hop else [rewrite.question]
    after = hop.answers if hop else change.new.names
    before = hop.legacy if hop else change.old.names
    triple = [change.subject.id, change.property]
    labelled = [change.subject.label, CATALOGUE[change.property].label]
    return Record(
        case_id=case_id,
        requested_rewrite=[rewrite],
        questions=asked,
        answer=before[0],
        answer_alias=list(before[1:]),
        new_answer=after[0],
        new_answer_alias=list(after[1:]),
        single_hops=[_hop(rewrite, change.old)],
        new_single_hops=[_hop(rewrite, change.new)],
        orig=Orig(
            triples=[[*triple, change.old.id]],
            new_triples=[[*triple, change.new.id]],
            triples_labeled=[[*labelled, change.old.label]],
            new_triples_labeled=[[*labelled, change.new.label]],
            edit_triples=[[*triple, change.new.id]],
        ),
    )


def records_of(units: Iterable[EditUnit]) -> list[Record]:
    """Records of units, numbered from 1 in their order."""
    return [record_of(unit, number) for number, unit in enumerate(units, 1)]


def _rewrite(unit: EditUnit, subject: Entity, old: Entity, new: Entity) -> Rewrite:
    role = noun_phrase(unit.change.property, "{}")
    direct = next((q.text for q in unit.questions if q.kind is QuestionKind.DIRECT), "")
    values: dict[str, Any] = {
        "prompt": f"{role[:1].upper()}{role[1:]} is",
        "relation_id": unit.change.property,
        "target_new": Target(str=new.label, id=new.id),
        "target_true": Target(str=old.label, id=old.id),
        "subject": subject.label,
        "question": direct,
    }
    if unit.narrative:
        values["article"] = unit.narrative.prose
        values["lineage"] = {**unit.narrative.lineage, "drafter": unit.narrative.drafter}
    if unit.synthetic:
        values["synthetic"] = True
    return Rewrite(**values)


def _hop(rewrite: Rewrite, holder: Entity) -> Hop:
    return Hop(
        question=rewrite.question,
        cloze=rewrite.prompt.replace("{}", rewrite.subject),
        answer=holder.label,
        answer_alias=list(holder.aliases),
    )
