"""Garbage collection: what killed writers left, blobs without a version, and versions of no use.

Owns which versions are kept: what an alias names, what it can be rolled back to, their lineage,
what a release on its way needs, and what is young. Never removes a row: the history stays whole.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlmodel import Session, col, select

from daemon.clock import Clock
from daemon.registry import history
from daemon.registry.aliases import events_of
from daemon.registry.blobs import Blobs
from daemon.registry.lineage import lineage
from daemon.store.engine import Database
from daemon.store.rows import AdapterRow, AliasRow, OverrideRow, ReleaseRow
from daemon.store.states import OPEN_RELEASES, ReleaseState, record_event

GRACE_S = 3600.0
"""Age at which a blob without a version is surely left over."""
KEPT_TARGETS = 3
"""Of each alias: the present target and those that the next rollbacks go back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What was removed, or would be."""

    scratch: int
    """Folders of killed writers."""
    orphans: tuple[str, ...]
    versions: tuple[int, ...]
    freed_bytes: int


def collect(
    database: Database,
    blobs: Blobs,
    clock: Clock,
    *,
    actor: str,
    older_than: dt.timedelta | None = None,
    grace_s: float = GRACE_S,
    dry_run: bool = False,
) -> Collected:
    """Remove left-overs older than `grace_s` and, with `older_than`, the files of versions older
    than that which nothing needs.

    Rows are marked before files go, and files go while no other writer can register or promote, so
    that a kill at any point leaves left-overs, never a version without its files.
    """
    with database.write() as session:
        useless = _useless(session, clock.now() - older_than) if older_than is not None else []
        if not dry_run:
            for row in useless:
                _mark(session, row, actor, clock.now())
    with database.write() as session:
        held = set(
            session.exec(select(AdapterRow.digest).where(col(AdapterRow.purged_at).is_(None))).all()
        )
        purged = {row.digest for row in useless}
        orphans = [
            digest
            for digest in blobs.digests()
            if digest not in held and (digest in purged or blobs.age_s(digest) >= grace_s)
        ]
        freed = sum(row.size_bytes for row in useless) if dry_run else 0
        if not dry_run:
            freed = sum(blobs.remove(digest) for digest in orphans)
    return Collected(
        scratch=0 if dry_run else blobs.sweep(older_than_s=grace_s),
        orphans=tuple(d for d in orphans if d not in purged),
        versions=tuple(row.version for row in useless),
        freed_bytes=freed,
    )


def needed(session: Session) -> set[str]:
    """Digests whose files must stay, whatever their age."""
    wanted: set[str | None] = set(session.exec(select(OverrideRow.digest)).all())
    for alias in session.exec(select(AliasRow)).all():
        wanted.add(alias.digest)
        wanted |= set(history.targets(events_of(session, alias.name))[-KEPT_TARGETS:])
    waiting = [s.value for s in (*OPEN_RELEASES, ReleaseState.INCONCLUSIVE)]
    for release in session.exec(select(ReleaseRow).where(col(ReleaseRow.state).in_(waiting))).all():
        wanted |= {release.parent_digest, release.adapter_digest}
    return {row.digest for digest in wanted for row in lineage(session, digest)}


def _useless(session: Session, before: dt.datetime) -> list[AdapterRow]:
    kept = needed(session)
    rows = session.exec(
        select(AdapterRow)
        .where(col(AdapterRow.purged_at).is_(None))
        .order_by(col(AdapterRow.version))
    ).all()
    return [row for row in rows if row.digest not in kept and row.created_at < before]


def _mark(session: Session, row: AdapterRow, actor: str, now: dt.datetime) -> None:
    row.purged_at = now
    session.add(row)
    record_event(
        session,
        "adapter",
        row.digest,
        actor=actor,
        reason=f"the files of version {row.version} were collected",
        now=now,
    )
