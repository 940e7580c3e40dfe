"""What a version has been taught, and what that means for the states of changes.

Owns the walk from an adapter to the base model over parents, the live units along it, and `align`,
which brings change states in line with what production now is. Works in the caller's transaction.
"""

from __future__ import annotations

import datetime as dt

from sqlmodel import Session, col, select

from daemon.store.rows import AdapterRow, ChangeRow, ReleaseRow, ReleaseUnitRow, UnitRow
from daemon.store.states import ChangeState, ReleaseState, transition
from knowledge import codec
from knowledge.edits import EditUnit, live_units

_TAUGHT = (ChangeState.BATCHED, ChangeState.LIVE, ChangeState.RETRACTED)


def lineage(session: Session, digest: str | None) -> list[AdapterRow]:
    """The versions from the first after the base model to `digest`, which is last."""
    chain: list[AdapterRow] = []
    while digest is not None:
        row = session.get(AdapterRow, digest)
        if row is None or row in chain:
            break
        chain.append(row)
        digest = row.parent_digest
    return chain[::-1]


def units_of_release(session: Session, release_id: int) -> list[EditUnit]:
    """The frozen units of a release, in the order of its batch."""
    return [codec.from_data(EditUnit, row.body) for row in _unit_rows(session, release_id)]


def live_units_of(session: Session, digest: str | None) -> list[EditUnit]:
    """The units that the version was taught and that no later one of its lineage supersedes."""
    units: list[EditUnit] = []
    for adapter in lineage(session, digest):
        if adapter.release_id is not None:
            units += units_of_release(session, adapter.release_id)
    return live_units(units)


def align(
    session: Session, digest: str | None, *, actor: str, reason: str, now: dt.datetime
) -> None:
    """Bring releases and changes in line with production at `digest`.

    Edits of its lineage are live (or retracted, by a later edit of it); edits of other releases
    that were live are batched again: taught, but not in production.
    """
    releases = [a.release_id for a in lineage(session, digest) if a.release_id is not None]
    taught: set[int] = set()
    for release_id in releases:
        release = session.get(ReleaseRow, release_id)
        if release is not None and release.state in (
            ReleaseState.PASSED,
            ReleaseState.INCONCLUSIVE,
        ):
            transition(session, release, ReleaseState.PROMOTED, actor=actor, reason=reason, now=now)
        taught |= {row.change_id for row in _unit_rows(session, release_id)}
    rows = session.exec(
        select(ChangeRow)
        .where(col(ChangeRow.state).in_([s.value for s in _TAUGHT]))
        .order_by(col(ChangeRow.id))
    ).all()
    retracted = {row.retracts for row in rows if row.id in taught and row.retracts is not None}
    for row in rows:
        _align_change(session, row, row.id in taught, row.id in retracted, actor, reason, now)


def _align_change(
    session: Session,
    row: ChangeRow,
    taught: bool,
    retracted: bool,
    actor: str,
    reason: str,
    now: dt.datetime,
) -> None:
    wanted = ChangeState.LIVE if taught else ChangeState.BATCHED
    if taught and retracted:
        wanted = ChangeState.RETRACTED
    for step in _steps(ChangeState(row.state), wanted):
        transition(session, row, step, actor=actor, reason=reason, now=now)


def _steps(here: ChangeState, wanted: ChangeState) -> list[ChangeState]:
    """The moves between batched, live and retracted: live is in the middle."""
    line = [ChangeState.BATCHED, ChangeState.LIVE, ChangeState.RETRACTED]
    start, end = line.index(here), line.index(wanted)
    return line[start + 1 : end + 1] if end > start else line[end:start][::-1]


def _unit_rows(session: Session, release_id: int) -> list[UnitRow]:
    return list(
        session.exec(
            select(UnitRow)
            .join(ReleaseUnitRow, col(ReleaseUnitRow.unit_digest) == col(UnitRow.digest))
            .where(ReleaseUnitRow.release_id == release_id)
            .order_by(col(ReleaseUnitRow.position))
        ).all()
    )
