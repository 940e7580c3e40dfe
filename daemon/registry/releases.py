"""Releases: approved edits frozen into a batch, for good.

Owns freezing (one fact at most once, later edits of a fact wait), listing, discarding. At most one
release stands before production at a time, because the next one starts from its adapter. Training
and judging are the controllers'.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, func, select

from daemon.clock import Clock
from daemon.errors import Conflict, NotFound
from daemon.registry.lineage import lineage, live_units_of, units_of_release
from daemon.store.engine import Database
from daemon.store.rows import (
    AdapterRow,
    AliasRow,
    ChangeRow,
    DraftRow,
    EvaluationRow,
    ReleaseRow,
    ReleaseUnitRow,
    UnitRow,
)
from daemon.store.states import (
    OPEN_RELEASES,
    ChangeState,
    ReleaseState,
    record_event,
    transition,
)
from knowledge import codec
from knowledge.edits import EditUnit, freeze

_LEFT_OVER = {
    ReleaseState.FAILED.value: (
        "`almanac release show {id}` says why; `almanac release discard {id}` gives its edits back"
    ),
    ReleaseState.INCONCLUSIVE.value: (
        "read `almanac release show {id}`; then `almanac promote` with --override and a reason, or "
        "`almanac release discard {id}`"
    ),
    ReleaseState.PROMOTED.value: (
        "it was rolled back: promote it again, or `almanac release discard {id}` gives its edits "
        "back"
    ),
}
"""What a person does about a release that is neither on its way nor in production."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release as people see it."""

    id: int
    state: ReleaseState
    edits: int
    parent: str | None
    adapter: str | None
    version: int | None
    recipe: str
    reason: str
    created_at: dt.datetime
    updated_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDetail:
    """A release with its units, and the gate's answer where there is one."""

    release: Release
    units: tuple[EditUnit, ...]
    verdict: str | None
    gate: dict[str, Any] | None
    report_path: str | None


class Releases:
    """Blocking calls; the event loop uses them through a thread."""

    def __init__(
        self, database: Database, clock: Clock, *, recipe: str, alias: str, seed: int = 0
    ) -> None:
        self._database = database
        self._clock = clock
        self._recipe = recipe
        self._alias = alias
        self._seed = seed

    def list(self) -> list[Release]:
        """Every release, oldest first."""
        with self._database.read() as session:
            rows = session.exec(select(ReleaseRow).order_by(col(ReleaseRow.id))).all()
            return [_release(session, row) for row in rows]

    def show(self, release_id: int) -> ReleaseDetail:
        """Raises NotFound."""
        with self._database.read() as session:
            row = get(session, release_id)
            verdict = session.get(EvaluationRow, row.evaluation_id) if row.evaluation_id else None
            return ReleaseDetail(
                release=_release(session, row),
                units=tuple(units_of_release(session, release_id)),
                verdict=verdict.verdict if verdict else None,
                gate=verdict.gate if verdict else None,
                report_path=verdict.report_path if verdict else None,
            )

    def standing(self) -> Release | None:
        """The release that stands before production, if one does."""
        with self._database.read() as session:
            row = open_release(session)
            return _release(session, row) if row else None

    def left_over(self) -> list[tuple[Release, str]]:
        """Releases that ended outside production and hold their edits, each with what to do."""
        with self._database.read() as session:
            rows = session.exec(
                select(ReleaseRow)
                .where(col(ReleaseRow.state).in_(list(_LEFT_OVER)))
                .order_by(col(ReleaseRow.id))
            ).all()
            return [
                (_release(session, row), _LEFT_OVER[row.state].format(id=row.id))
                for row in rows
                if not self._serves(session, row)
            ]

    def _serves(self, session: Session, row: ReleaseRow) -> bool:
        """Whether production was taught this release."""
        alias = session.get(AliasRow, self._alias)
        taught = lineage(session, alias.digest) if alias else []
        return any(adapter.release_id == row.id for adapter in taught)

    def ready(self) -> int:
        """Approved edits that the next release could hold."""
        with self._database.read() as session:
            return len(_batchable(session))

    def waiting(self) -> tuple[int, dt.datetime | None]:
        """(approved edits that the next release could hold, when the oldest was decided)."""
        with self._database.read() as session:
            rows = _batchable(session)
            return len(rows), min((r.decided_at for r in rows if r.decided_at), default=None)

    def create(
        self, *, actor: str, reason: str, at_least: int = 1, at_most: int = 50
    ) -> Release | None:
        """Freeze the approved edits, oldest decision first; None while there are too few.

        Raises Conflict while another release stands before production.
        """
        now = self._clock.now()
        with self._database.write() as session:
            standing = open_release(session)
            if standing is not None:
                raise Conflict(
                    f"release {standing.id} is {standing.state}; the next one starts from its "
                    "adapter, so wait for it, or discard it"
                )
            chosen = _batchable(session)[:at_most]
            if len(chosen) < max(at_least, 1):
                return None
            alias = session.get(AliasRow, self._alias)
            parent = alias.digest if alias else None
            units = _freeze_units(session, chosen, parent, now)
            batch = freeze(unit for _, unit in units)
            release = ReleaseRow(
                state=ReleaseState.FROZEN.value,
                batch_digest=batch.digest,
                parent_digest=parent,
                recipe=self._recipe,
                seed=self._seed,
                reason=reason,
                created_at=now,
                updated_at=now,
            )
            session.add(release)
            session.flush()
            record_event(
                session,
                "release",
                release.id,
                actor=actor,
                reason=reason,
                now=now,
                to_state=release.state,
                data={"edits": len(units), "batch": batch.digest},
            )
            for position, unit in enumerate(batch.units):
                session.add(
                    ReleaseUnitRow(
                        release_id=release.id or 0, unit_digest=unit.digest, position=position
                    )
                )
            why = f"frozen into release {release.id}"
            for change, _ in units:
                transition(session, change, ChangeState.BATCHED, actor=actor, reason=why, now=now)
            session.flush()
            return _release(session, release)

    def discard(self, release_id: int, *, actor: str, reason: str) -> None:
        """Give a release up; its edits are approved again and wait for the next one.

        Raises Conflict for a release that production was taught.
        """
        now = self._clock.now()
        with self._database.write() as session:
            row = get(session, release_id)
            if row.state == ReleaseState.PROMOTED and self._serves(session, row):
                raise Conflict(
                    f"release {release_id} is in production; use `almanac rollback` first"
                )
            transition(session, row, ReleaseState.DISCARDED, actor=actor, reason=reason, now=now)
            row.reason = reason
            for change in changes_of(session, release_id):
                if change.state == ChangeState.BATCHED:
                    transition(
                        session,
                        change,
                        ChangeState.APPROVED,
                        actor=actor,
                        reason=f"release {release_id} was discarded",
                        now=now,
                    )


def get(session: Session, release_id: int) -> ReleaseRow:
    row = session.get(ReleaseRow, release_id)
    if row is None:
        raise NotFound(f"there is no release {release_id}; `almanac release list` shows them")
    return row


def open_release(session: Session) -> ReleaseRow | None:
    """The release that stands before production, if one does."""
    return session.exec(
        select(ReleaseRow).where(col(ReleaseRow.state).in_([s.value for s in OPEN_RELEASES]))
    ).first()


def changes_of(session: Session, release_id: int) -> list[ChangeRow]:
    return list(
        session.exec(
            select(ChangeRow)
            .join(UnitRow, col(UnitRow.change_id) == col(ChangeRow.id))
            .join(ReleaseUnitRow, col(ReleaseUnitRow.unit_digest) == col(UnitRow.digest))
            .where(ReleaseUnitRow.release_id == release_id)
            .order_by(col(ReleaseUnitRow.position))
        ).all()
    )


def _batchable(session: Session) -> list[ChangeRow]:
    """Approved changes in order of decision, the earliest one of each fact."""
    rows = session.exec(
        select(ChangeRow)
        .where(ChangeRow.state == ChangeState.APPROVED)
        .order_by(col(ChangeRow.decided_at), col(ChangeRow.id))
    ).all()
    first: dict[str, ChangeRow] = {}
    for row in rows:
        earlier = first.get(row.slot)
        if earlier is None or (row.id or 0) < (earlier.id or 0):
            first[row.slot] = row
    return [row for row in rows if first[row.slot] is row]


def _freeze_units(
    session: Session, changes: list[ChangeRow], parent: str | None, now: dt.datetime
) -> list[tuple[ChangeRow, EditUnit]]:
    """The approved drafts as units, each naming the live unit that it supersedes."""
    live = {unit.slot: unit.id for unit in live_units_of(session, parent)}
    frozen: list[tuple[ChangeRow, EditUnit]] = []
    for change in changes:
        draft = session.exec(
            select(DraftRow).where(
                DraftRow.change_id == change.id, DraftRow.digest == change.approved_digest
            )
        ).one()
        unit = codec.from_data(EditUnit, draft.unit)
        earlier = live.get(unit.slot)
        unit = dataclasses.replace(unit, supersedes=earlier if earlier != unit.id else None)
        if session.get(UnitRow, unit.digest) is None:
            session.add(
                UnitRow(
                    digest=unit.digest,
                    id=unit.id,
                    change_id=change.id or 0,
                    slot=unit.slot,
                    supersedes=unit.supersedes,
                    body=codec.to_data(unit),
                    created_at=now,
                )
            )
        frozen.append((change, unit))
    session.flush()
    return frozen


def _release(session: Session, row: ReleaseRow) -> Release:
    edits = session.exec(
        select(func.count()).select_from(ReleaseUnitRow).where(ReleaseUnitRow.release_id == row.id)
    ).one()
    adapter = session.get(AdapterRow, row.adapter_digest) if row.adapter_digest else None
    return Release(
        id=row.id or 0,
        state=ReleaseState(row.state),
        edits=edits,
        parent=row.parent_digest,
        adapter=row.adapter_digest,
        version=adapter.version if adapter else None,
        recipe=row.recipe,
        reason=row.reason,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
