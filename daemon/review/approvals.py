"""An approval: what it came to, which draft it names, and who gave the first of two.

Owns the `approval` table, in the caller's transaction. Whether one person is enough, and what an
approval does to the change, is the service's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sqlmodel import Session, select

from daemon.errors import Conflict
from daemon.store.rows import ApprovalRow, ChangeRow
from knowledge.facts import FactChange

BULK_LIMIT = 200
"""Approvals in one call: more than anybody has looked at is no review."""

Head = tuple[int, str, bool]
"""Version, digest and cleanness of a change's latest draft."""

NeedsTwo = Callable[[FactChange, bool], bool]
"""Whether a change, which may be a retraction, needs two people."""


class Outcome(StrEnum):
    """What an approval came to."""

    APPROVED = "approved"
    FIRST = "first_of_two"
    """Stored; a second person must agree before the change is approved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """What a bulk approval came to: ids approved, and why others were not."""

    approved: tuple[int, ...]
    first: tuple[int, ...] = ()
    """Approved by the first of two people."""
    refused: Mapping[int, str] = field(default_factory=dict)


def one_is_enough(_change: FactChange, _retraction: bool) -> bool:
    """No change needs two people."""
    return False


def named(row: ChangeRow, head: Head | None, digest: str) -> str:
    """The latest draft's digest, when `digest` names it. Raises Conflict otherwise."""
    if head is None:
        raise Conflict(f"change {row.id} has no draft yet; it is still being written")
    version, latest, _ = head
    if len(digest) < 8 or not latest.startswith(digest):
        raise Conflict(
            f"change {row.id} is now at draft {latest[:12]} (version {version}), not "
            f"{digest[:12]}; read it again, then decide"
        )
    return latest


def first_of_two(session: Session, change_id: int, digest: str, actor: str) -> str | None:
    """Who approved this draft before `actor`; None when `actor` is the first to.

    Raises Conflict when the first one comes again.
    """
    signed = session.exec(
        select(ApprovalRow.actor).where(
            ApprovalRow.change_id == change_id, ApprovalRow.digest == digest
        )
    ).all()
    if others := [name for name in signed if name != actor]:
        return others[0]
    if signed:
        raise Conflict(
            f"change {change_id} needs two people, and you are the first; somebody else must agree"
        )
    return None


def sign(session: Session, change_id: int, digest: str, actor: str, now: dt.datetime) -> None:
    """Store a first approval."""
    session.add(ApprovalRow(change_id=change_id, digest=digest, actor=actor, at=now))


def unsign(session: Session, change_id: int, actor: str | None) -> bool:
    """Remove first approvals of a change, those of `actor` or all; whether there were any."""
    rows = session.exec(select(ApprovalRow).where(ApprovalRow.change_id == change_id)).all()
    mine = [row for row in rows if actor in (None, row.actor)]
    for row in mine:
        session.delete(row)
    return bool(mine)
