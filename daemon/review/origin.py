"""Where a change comes from: its edits on Wikidata, who made them, and how likely a revert is.

Owns reading that out of what the watch stored. Judges nothing: the wait and the dismissal of
suspects are the watch's.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlmodel import Session, col, select

from daemon.store.rows import CandidateRow, ChangeRow, EditVerdictRow


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginEdit:
    """One revision that took part in the change."""

    revision: int
    user: str
    at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What the watch knew of the edits behind a change."""

    edits: tuple[OriginEdit, ...]
    unconfirmed: bool
    """No editor whom anything vouches for took part, so the change had to stand longer."""
    risk: float | None
    """Chance, 0 to 1, that an edit is reverted; None where no risk model is set or answered."""


def read_origin(session: Session, change: ChangeRow) -> Origin | None:
    """None for a change that no edit brought: an import, a reopened difference."""
    candidate = session.get(CandidateRow, change.key)
    if candidate is None:
        return None
    context = candidate.context
    rows = session.exec(
        select(EditVerdictRow)
        .where(
            EditVerdictRow.item == change.subject,
            col(EditVerdictRow.revision).in_(context.get("edits", [])),
        )
        .order_by(col(EditVerdictRow.revision))
    )
    return Origin(
        edits=tuple(OriginEdit(revision=r.revision, user=r.user, at=r.time) for r in rows),
        unconfirmed=bool(context.get("unconfirmed")),
        risk=context.get("risk"),
    )
