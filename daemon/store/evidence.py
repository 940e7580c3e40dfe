"""Stored snapshots of sources. Implements the evidence port of `agents.curate`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, select

from daemon.store.engine import Database
from daemon.store.rows import EvidenceRow
from knowledge.narrative import Evidence


class SqlEvidenceStore:
    """Evidence by content: storing a text twice stores it once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, *evidence: Evidence) -> None:
        by_id = {one.id: one for one in evidence}

        def work(session: Session) -> None:
            stored = select(EvidenceRow.id).where(col(EvidenceRow.id).in_(by_id))
            known = set(session.exec(stored))
            session.add_all(
                EvidenceRow(
                    id=one.id,
                    source=one.source,
                    url=one.url,
                    retrieved_at=one.retrieved_at,
                    text=one.text,
                )
                for one in by_id.values()
                if one.id not in known
            )

        await self._database.writing(work)


def evidence_of(session: Session, ids: Sequence[str]) -> list[Evidence]:
    """The snapshots of these ids, in their order; unknown ids are left out."""
    rows = session.exec(select(EvidenceRow).where(col(EvidenceRow.id).in_(ids))).all()
    found = {
        row.id: Evidence(
            source=row.source, url=row.url, retrieved_at=row.retrieved_at, text=row.text
        )
        for row in rows
    }
    return [found[id] for id in ids if id in found]
