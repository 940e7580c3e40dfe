"""Drafts of proposals and the narrow line that lists filter by, in the caller's transaction.

Owns adding a version and keeping `change_line` in step. Does not draft, verify or decide.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import Session, col, func, select

from daemon.errors import Conflict
from daemon.store.rows import ChangeLineRow, ChangeRow, DraftRow, EvidenceRow
from knowledge import codec
from knowledge.edits import EditUnit
from knowledge.facts import Entity, FactChange
from knowledge.properties import CATALOGUE

_NAME_CHARS = 200
"""Of each name in the searched text: a label of a stranger may be of any length."""
_FLAGS = frozenset({"hygiene", "labels"})
"""Rules whose findings mean text that wants to be more than text."""


def add_draft(
    session: Session,
    change: ChangeRow,
    unit: EditUnit,
    *,
    findings: Sequence[Mapping[str, Any]],
    evidence: Sequence[str],
    facts: Sequence[Mapping[str, Any]],
    lineage: Mapping[str, Any],
    author: str,
    now: dt.datetime,
    steps: Sequence[Mapping[str, Any]] = (),
) -> DraftRow:
    """The next version of the change's proposal. A draft of the curate graph has its `steps`.

    Raises Conflict for a made-up fact of research data: nobody is to review one, by any way.
    """
    assert change.id is not None
    if unit.synthetic:
        raise Conflict(f"change {change.id} is synthetic: made-up facts never enter the queue")
    draft = DraftRow(
        change_id=change.id,
        version=last_version(session, change.id) + 1,
        digest=unit.digest,
        unit=codec.to_data(unit),
        findings=[dict(finding) for finding in findings],
        lineage=dict(lineage),
        evidence=list(evidence),
        facts=[dict(fact) for fact in facts],
        steps=[dict(step) for step in steps],
        clean=not findings and unit.narrative is not None,
        author=author,
        created_at=now,
    )
    session.add(draft)
    line = index_change(session, change, unit.change)
    line.version, line.clean, line.findings = draft.version, draft.clean, len(draft.findings)
    line.flagged = any(finding.get("rule") in _FLAGS for finding in draft.findings)
    urls = session.exec(select(EvidenceRow.url).where(col(EvidenceRow.id).in_(list(evidence))))
    hosts = sorted({urlsplit(url).hostname or "" for url in urls})
    line.sources = f" {' '.join(hosts)} " if hosts else ""
    session.add(line)
    return draft


def last_version(session: Session, change_id: int) -> int:
    """Of the change's drafts; 0 before the first."""
    last = session.exec(
        select(func.max(DraftRow.version)).where(DraftRow.change_id == change_id)
    ).one()
    return last or 0


def index_change(session: Session, change: ChangeRow, fact: FactChange) -> ChangeLineRow:
    """The line of a stored change, with its state, names and ids as they are now."""
    assert change.id is not None
    line = session.get(ChangeLineRow, change.id)
    if line is None:
        line = ChangeLineRow(change_id=change.id, state="", property="", kind="", text="")
    line.state, line.property = change.state, change.property
    line.kind, line.text = fact.subject.kind, text_of(fact)
    session.add(line)
    return line


def text_of(fact: FactChange) -> str:
    """What a search looks through: names and ids of subject, property, old and new."""
    row = CATALOGUE.get(fact.property)
    named = [_names(entity) for entity in (fact.subject, fact.old, fact.new) if entity]
    return " ".join([*named, fact.property, row.label if row else ""]).lower()


def _names(entity: Entity) -> str:
    return f"{entity.label[:_NAME_CHARS]} {entity.id}"
