"""Proposals in numbers, for benches and browser tests: real successions of the world's table, each
with its evidence, narrative and questions, written straight into the tables.

Owns making them. The drafts come out of the same functions that the curate graph calls; a queue of
thousands repeats them under other subjects.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import insert, text
from sqlmodel import Session

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
from knowledge.facts import LOCAL_ID_START, ChangeKind, Date, Entity, FactChange, Snak, Statement
from knowledge.narrative import Evidence, digest_of
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
    while part := list(islice(rows, _BATCH)):
        with database.write() as session:
            _insert(session, part)
    if not database.is_sqlite:
        _count_on(database)


def _count_on(database: Database) -> None:
    """Rows were written with their ids: the next ones come after them."""
    with database.write() as session:
        for table in ("change", "draft"):
            session.connection().execute(
                text(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")
            )


Values = dict[str, Any]


def _rows(
    chosen: Sequence[Sample], waiting: int, changes: int, now: dt.datetime
) -> Iterator[tuple[Values, Values, Values | None]]:
    """Change, line and draft (of those that wait) as plain values: an object each takes minutes."""
    known = [codec.to_data(sample.unit) for sample in chosen]
    for number in range(1, changes + 1):
        place = (number - 1) % len(chosen)
        unit = known[place] if number <= len(chosen) else _renamed(known[place], number)
        is_waiting = number <= waiting
        at = now - dt.timedelta(minutes=changes - number + 60)
        fact = unit["change"]
        state = ChangeState.IN_REVIEW if is_waiting else _REST[number % len(_REST)]
        draft = _draft(number, unit, chosen[place], at) if is_waiting else None
        yield _change(number, fact, state, at), _line(number, fact, state, is_waiting), draft


def _change(number: int, fact: Values, state: ChangeState, at: dt.datetime) -> Values:
    slot = f"{fact['subject']['id']}:{fact['property']}"
    return {
        "id": number,
        "key": f"{slot}:{fact['old']['id']}:{fact['new']['id']}",
        "slot": slot,
        "subject": fact["subject"]["id"],
        "property": fact["property"],
        "state": state.value,
        "fact": fact,
        "reason": fact["reason"],
        "created_at": at,
        "updated_at": at,
        "failures": 0,
    }


def _line(number: int, fact: Values, state: ChangeState, is_waiting: bool) -> Values:
    return {
        "change_id": number,
        "state": state.value,
        "property": fact["property"],
        "kind": fact["subject"]["kind"],
        "text": text_of(codec.from_data(FactChange, fact)),
        "version": int(is_waiting),
        "clean": is_waiting,
        "findings": 0,
        "flagged": False,
        "sources": " www.wikidata.org ",
    }


def _draft(number: int, unit: Values, sample: Sample, at: dt.datetime) -> Values:
    return {
        "id": number,
        "change_id": number,
        "version": 1,
        "digest": digest_of(unit),
        "unit": unit,
        "findings": [],
        "lineage": {},
        "evidence": [sample.evidence.id],
        "facts": list(sample.facts),
        "steps": [],
        "clean": True,
        "author": NAME,
        "created_at": at,
    }


def _renamed(unit: Values, number: int) -> Values:
    """The same change of another subject: another fact, as long a text."""
    subject = unit["change"]["subject"]
    other = {**subject, "id": f"Q{LOCAL_ID_START * 2 + number}"}
    other["label"] = f"{subject['label']} {number}"
    return {**unit, "change": {**unit["change"], "subject": other}}


def _insert(session: Session, made: Sequence[tuple[Values, Values, Values | None]]) -> None:
    """Rows of a batch, one statement a table, and an event for each change."""
    changes = [change for change, _, _ in made]
    events = [
        EventRow(
            at=change["updated_at"],
            entity="change",
            entity_id=str(change["id"]),
            to_state=change["state"],
            actor="curate",
            reason="draft 1, all checks passed",
            data={},
        )
        for change in changes
    ]
    trail.chain(session, events)
    names = [name for name in EventRow.model_fields if name != "id"]
    written = [{name: getattr(event, name) for name in names} for event in events]
    for table, rows in (
        (ChangeRow, changes),
        (ChangeLineRow, [line for _, line, _ in made]),
        (DraftRow, [draft for _, _, draft in made if draft is not None]),
        (EventRow, written),
    ):
        if rows:
            session.connection().execute(insert(table), rows)


def _evidence_row(evidence: Evidence) -> EvidenceRow:
    return EvidenceRow(
        id=evidence.id,
        source=evidence.source,
        url=evidence.url,
        retrieved_at=evidence.retrieved_at,
        text=evidence.text,
    )


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
