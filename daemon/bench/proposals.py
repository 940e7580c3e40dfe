"""Proposals in numbers, for benches and browser tests: real successions of the world's table, each
with its evidence, narrative and questions, written straight into the tables.

Owns making them. The drafts come out of the same functions that the curate graph calls; a queue of
thousands repeats them under other subjects.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import insert
from sqlmodel import Session, SQLModel

from agents.drafting.draft import DraftRequest
from agents.drafting.template import NAME, write
from agents.evidence.extract import extract
from agents.evidence.sources import Dossier
from agents.evidence.statements import snapshot
from agents.questions import build_questions, build_unit
from agents.verifying.rules import check
from daemon.store import trail
from daemon.store.drafts import text_of
from daemon.store.engine import Database
from daemon.store.rows import ChangeLineRow, ChangeRow, DraftRow, EventRow, EvidenceRow
from daemon.store.states import ChangeState
from knowledge import codec
from knowledge.edits import EditUnit
from knowledge.facts import ChangeKind, Date, Entity, FactChange, Snak, Statement
from knowledge.narrative import Evidence
from knowledge.world import Succession, World

_BATCH = 500
_REST = (
    ChangeState.LIVE,
    ChangeState.REJECTED,
    ChangeState.WITHDRAWN,
    ChangeState.DISMISSED,
    ChangeState.SETTLING,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One proposal: its unit, what it rests on, and what was read out of that."""

    unit: EditUnit
    evidence: Evidence
    facts: tuple[dict[str, object], ...]


def samples(number: int, now: dt.datetime) -> list[Sample]:
    """Clean proposals about successions that have dates on both sides."""
    found: list[Sample] = []
    world = World.load()
    for succession in world.successions:
        if len(found) == number:
            break
        if succession.new.start is not None and succession.old.end is not None:
            sample = _sample(succession, now)
            found += [sample] if sample is not None else []
    return found


def fill(
    database: Database, chosen: Sequence[Sample], *, waiting: int, changes: int, now: dt.datetime
) -> None:
    """`changes` changes in all, of which `waiting` are proposals in review; one event each."""
    for sample in chosen:
        with database.write() as session:
            session.merge(_evidence_row(sample.evidence))
    rows = _rows(chosen, waiting, changes, now)
    while part := [row for _, row in zip(range(_BATCH), rows, strict=False)]:
        with database.write() as session:
            _insert(session, part)


@dataclass(frozen=True, slots=True)
class _Made:
    change: ChangeRow
    line: ChangeLineRow
    draft: DraftRow | None


def _rows(
    chosen: Sequence[Sample], waiting: int, changes: int, now: dt.datetime
) -> Iterator[_Made]:
    for number in range(1, changes + 1):
        sample = chosen[number % len(chosen)]
        unit = sample.unit if number <= len(chosen) else _renamed(sample.unit, number)
        is_waiting = number <= waiting
        state = ChangeState.IN_REVIEW if is_waiting else _REST[number % len(_REST)]
        at = now - dt.timedelta(minutes=changes - number + 60)
        fact = unit.change
        change = ChangeRow(
            id=number,
            key=fact.key,
            slot=fact.slot,
            subject=fact.subject.id,
            property=fact.property,
            state=state.value,
            fact=codec.to_data(fact),
            reason=fact.reason,
            created_at=at,
            updated_at=at,
        )
        line = ChangeLineRow(
            change_id=number,
            kind=fact.subject.kind,
            text=text_of(fact),
            version=int(is_waiting),
            clean=is_waiting,
            findings=0,
            flagged=False,
            sources=" www.wikidata.org ",
        )
        yield _Made(change, line, _draft_row(number, unit, sample, at) if is_waiting else None)


def _insert(session: Session, made: Sequence[_Made]) -> None:
    """Rows of a batch, one statement a table, and an event for each change."""
    for table, rows in (
        (ChangeRow, [one.change for one in made]),
        (ChangeLineRow, [one.line for one in made]),
        (DraftRow, [one.draft for one in made if one.draft is not None]),
    ):
        if rows:
            session.connection().execute(insert(table), [_values(row) for row in rows])
    for one in made:
        event = EventRow(
            at=one.change.updated_at,
            entity="change",
            entity_id=str(one.change.id),
            to_state=one.change.state,
            actor="curate",
            reason="draft 1, all checks passed",
            data={},
        )
        trail.append(session, event)


def _values(row: SQLModel) -> dict[str, object]:
    return {name: getattr(row, name) for name in type(row).model_fields if name != "id" or row.id}  # pyright: ignore[reportAttributeAccessIssue]


def _draft_row(number: int, unit: EditUnit, sample: Sample, at: dt.datetime) -> DraftRow:
    return DraftRow(
        id=number,
        change_id=number,
        version=1,
        digest=unit.digest,
        unit=codec.to_data(unit),
        findings=[],
        lineage={},
        evidence=[sample.evidence.id],
        facts=list(sample.facts),
        clean=True,
        author=NAME,
        created_at=at,
    )


def _evidence_row(evidence: Evidence) -> EvidenceRow:
    return EvidenceRow(
        id=evidence.id,
        source=evidence.source,
        url=evidence.url,
        retrieved_at=evidence.retrieved_at,
        text=evidence.text,
    )


def _renamed(unit: EditUnit, number: int) -> EditUnit:
    """The same change of another subject: another fact, as long a text."""
    subject = unit.change.subject
    other = Entity(
        id=f"Q{3_000_000_000 + number}", label=f"{subject.label} {number}", kind=subject.kind
    )
    return replace(unit, change=replace(unit.change, subject=other))


def _sample(succession: Succession, now: dt.datetime) -> Sample | None:
    """The proposal that the curate graph would make; None where the rules object to it."""
    old, new, subject = succession.old, succession.new, succession.subject
    statements = (
        _statement(succession, "old", old.object, start=old.start, end=old.end),
        _statement(succession, "new", new.object, start=new.start, end=None),
    )
    names = {e.id: e.label for e in (subject, old.object, new.object)}
    evidence = Evidence(
        source=f"wikidata:{subject.id}",
        url=f"https://www.wikidata.org/wiki/{subject.id}",
        retrieved_at=now.isoformat(),
        text=snapshot(subject.id, statements, names),
    )
    change = FactChange(
        subject=subject,
        property=succession.property,
        old=old.object,
        new=new.object,
        kind=ChangeKind.SUCCESSION,
        old_statement=statements[0].id,
        new_statement=statements[1].id,
        ended=old.end,
        started=new.start,
        base_revision=1,
        head_revision=2,
        reason=f"the old one ended in {old.end.iso() if old.end else '?'}, a new one started",
        corroborations=(f"{new.object.id}:P39",),
    )
    entities = (subject, old.object, new.object)
    dossier = Dossier(change=change, evidence=(evidence,), statements=statements, entities=entities)
    extraction = extract(dossier)
    narrative = write(DraftRequest(change=change, extraction=extraction))
    if check(narrative, dossier, extraction):
        return None
    unit = build_unit(change, narrative, build_questions(change, narrative, (), (), ()))
    facts = tuple(fact.model_dump(mode="json") for fact in extraction.facts)
    return Sample(unit=unit, evidence=evidence, facts=facts)


def _statement(
    succession: Succession, which: str, holder: Entity, *, start: Date | None, end: Date | None
) -> Statement:
    dates = {"P580": start, "P582": end}
    return Statement(
        id=f"{succession.subject.id}${which}",
        subject=succession.subject.id,
        mainsnak=Snak(property=succession.property, value=holder.id),
        qualifiers=tuple(
            Snak(property=p, datatype="time", value=f"{day.to_wikibase()}/{int(day.precision)}")
            for p, day in dates.items()
            if day is not None
        ),
    )
