"""What review shows: one line of a list, one version of a draft, all about one change.

Owns the values and reading them out of rows. Decides nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, func, select

from daemon.errors import NotFound
from daemon.review.origin import Origin, read_origin
from daemon.store.evidence import evidence_of
from daemon.store.rows import ApprovalRow, ChangeLineRow, ChangeRow, DraftRow, EventRow
from daemon.store.states import ChangeState
from knowledge import codec
from knowledge.edits import EditUnit
from knowledge.facts import FactChange
from knowledge.narrative import Evidence

_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of a list. An approval must name `digest`; None before the first draft."""

    id: int
    state: ChangeState
    fact: FactChange
    reason: str
    digest: str | None
    version: int
    clean: bool
    findings: int
    flagged: bool
    retracts: int | None
    claimed_by: str | None
    claimed_until: dt.datetime | None
    decided_by: str | None
    first_approval: str | None
    """Who approved this very draft, where two people must."""
    created_at: dt.datetime
    updated_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One event of an entity."""

    at: dt.datetime
    from_state: str | None
    to_state: str | None
    actor: str
    reason: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One version of a proposal."""

    version: int
    digest: str
    unit: EditUnit
    findings: tuple[dict[str, Any], ...]
    lineage: dict[str, Any]
    author: str
    clean: bool
    created_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """All that a reviewer sees of one change. `drafts` are its versions, the latest last."""

    item: Item
    unit: EditUnit | None
    findings: tuple[dict[str, Any], ...]
    lineage: dict[str, Any]
    evidence: tuple[Evidence, ...]
    audit: tuple[AuditLine, ...]
    drafts: tuple[Draft, ...] = ()
    origin: Origin | None = None


def get_change(session: Session, change_id: int) -> ChangeRow:
    """Raises NotFound."""
    row = session.get(ChangeRow, change_id) if 0 < change_id < 2**31 else None
    if row is None:
        raise NotFound(f"there is no change {change_id}; `almanac review list` shows the queue")
    return row


def latest_draft(session: Session, change_id: int) -> DraftRow | None:
    return session.exec(
        select(DraftRow)
        .where(DraftRow.change_id == change_id)
        .order_by(col(DraftRow.version).desc())
        .limit(1)
    ).first()


def holder(row: ChangeRow, now: dt.datetime) -> str | None:
    """Who holds the change now."""
    if row.claimed_until is None or row.claimed_until <= now:
        return None
    return row.claimed_by


def read_items(session: Session, rows: Sequence[ChangeRow], now: dt.datetime) -> list[Item]:
    """The rows as lines, in their order."""
    ids = [row.id for row in rows if row.id is not None]
    heads = draft_heads(session, ids)
    lines = {
        line.change_id: line
        for part in _parts(ids)
        for line in session.exec(
            select(ChangeLineRow).where(col(ChangeLineRow.change_id).in_(part))
        )
    }
    approvals = {
        (a.change_id, a.digest): a.actor
        for part in _parts(ids)
        for a in session.exec(select(ApprovalRow).where(col(ApprovalRow.change_id).in_(part)))
    }
    found: list[Item] = []
    for row in rows:
        assert row.id is not None
        version, digest, clean = heads.get(row.id, (0, None, False))
        line = lines.get(row.id)
        by = holder(row, now)
        found.append(
            Item(
                id=row.id,
                state=ChangeState(row.state),
                fact=codec.from_data(FactChange, row.fact),
                reason=row.reason,
                digest=digest,
                version=version,
                clean=clean,
                findings=line.findings if line else 0,
                flagged=bool(line and line.flagged),
                retracts=row.retracts,
                claimed_by=by,
                claimed_until=row.claimed_until if by else None,
                decided_by=row.decided_by,
                first_approval=approvals.get((row.id, digest or "")),
                created_at=row.created_at,
                updated_at=row.updated_at,
            )
        )
    return found


def read_detail(session: Session, row: ChangeRow, now: dt.datetime) -> Detail:
    """The change with all versions of its draft, the evidence and the events."""
    assert row.id is not None
    drafts = session.exec(
        select(DraftRow).where(DraftRow.change_id == row.id).order_by(col(DraftRow.version))
    ).all()
    events = session.exec(
        select(EventRow)
        .where(EventRow.entity == "change", EventRow.entity_id == str(row.id))
        .order_by(col(EventRow.id))
    ).all()
    last = drafts[-1] if drafts else None
    versions = tuple(_draft(draft) for draft in drafts)
    return Detail(
        item=read_items(session, [row], now)[0],
        unit=versions[-1].unit if versions else None,
        findings=tuple(last.findings) if last else (),
        lineage=last.lineage if last else {},
        evidence=tuple(evidence_of(session, last.evidence)) if last else (),
        audit=tuple(audit_line(event) for event in events),
        drafts=versions,
        origin=read_origin(session, row),
    )


def audit_line(event: EventRow) -> AuditLine:
    return AuditLine(
        at=event.at,
        from_state=event.from_state,
        to_state=event.to_state,
        actor=event.actor,
        reason=event.reason,
        data=event.data,
    )


def _draft(row: DraftRow) -> Draft:
    return Draft(
        version=row.version,
        digest=row.digest,
        unit=codec.from_data(EditUnit, row.unit),
        findings=tuple(row.findings),
        lineage=row.lineage,
        author=row.author,
        clean=row.clean,
        created_at=row.created_at,
    )


def draft_heads(session: Session, ids: Sequence[int]) -> dict[int, tuple[int, str, bool]]:
    """(version, digest, clean) of the newest draft of each change that has one: a draft's unit is
    long, and no list shows it."""
    found: dict[int, tuple[int, str, bool]] = {}
    for part in _parts(ids):
        newest = (
            select(DraftRow.change_id, func.max(DraftRow.version).label("version"))
            .where(col(DraftRow.change_id).in_(part))
            .group_by(col(DraftRow.change_id))
            .subquery()
        )
        rows = session.exec(
            select(DraftRow.change_id, DraftRow.version, DraftRow.digest, DraftRow.clean).join(
                newest,
                (col(DraftRow.change_id) == newest.c.change_id)
                & (col(DraftRow.version) == newest.c.version),
            )
        )
        found.update({change: (version, digest, clean) for change, version, digest, clean in rows})
    return found


def _parts(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
