"""The services over one database, as web, command line, demo and controllers use them.

Owns opening and closing them together, the watch list, and the summary of where everything stands.
Loads neither torch nor langgraph.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlmodel import Session, col, func, select

from daemon.accounts import Accounts
from daemon.bulk_runs import BulkRuns
from daemon.clock import Clock, clock_of
from daemon.config import Settings
from daemon.errors import ConfigError
from daemon.imports import Imports
from daemon.redo import Drafts
from daemon.registry import Blobs, Registry, Releases
from daemon.registry.aliases import Protection
from daemon.review import policy
from daemon.review.audit import Audit
from daemon.review.dismissed import Dismissed
from daemon.review.policy import Policy
from daemon.review.queue import Queue
from daemon.review.sampling import Sampling
from daemon.review.service import ReviewService
from daemon.review.trial import Trial, try_policy
from daemon.review.unattended import Unattended
from daemon.store.engine import Database
from daemon.store.ledger import SqlWatchLedger
from daemon.store.rows import (
    BaseRow,
    CandidateRow,
    CursorRow,
    DirtyRow,
    EditVerdictRow,
    WatchItemRow,
)
from daemon.store.watch_list import add_items, remove_items
from daemon.upkeep.backup import Backups
from daemon.upkeep.deadletters import DeadLetters
from daemon.upkeep.schedule import Schedule
from daemon.upkeep.spending import Spending
from daemon.upkeep.workers import Workers
from knowledge.facts import FactChange


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedItem:
    """One line of the watch list."""

    item: str
    revision: int
    dirty: bool
    looked_at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far the watch is behind: items that wait, since when, and the age of each stream."""

    watched: int
    dirty: int
    settling: int
    oldest_mark_s: float | None
    streams: dict[str, float]
    """Seconds between now and the last event committed, by stream."""


class WatchList:
    """The watch list for people. Blocking calls."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, items: Sequence[str]) -> int:
        """The number that were new. Raises ConfigError for what is no item id."""
        check_ids(items)
        with self._database.write() as session:
            return add_items(session, items, self._clock.now())

    def remove(self, items: Sequence[str]) -> int:
        """The number that were on the list. Raises ConfigError for what is no item id."""
        check_ids(items)
        with self._database.write() as session:
            return remove_items(session, items, self._clock.now())

    def list(self) -> list[WatchedItem]:
        with self._database.read() as session:
            rows = session.exec(
                select(WatchItemRow, BaseRow.revision, DirtyRow.item)
                .join(BaseRow, col(BaseRow.item) == col(WatchItemRow.item), isouter=True)
                .join(DirtyRow, col(DirtyRow.item) == col(WatchItemRow.item), isouter=True)
                .where(
                    col(WatchItemRow.deleted).is_(False), col(WatchItemRow.redirect_to).is_(None)
                )
                .order_by(col(WatchItemRow.item))
            ).all()
            return [
                WatchedItem(
                    item=row.item,
                    revision=revision or 0,
                    dirty=dirty is not None,
                    looked_at=row.looked_at,
                )
                for row, revision, dirty in rows
            ]

    def lag(self) -> Lag:
        now = self._clock.now()
        leaving = select(WatchItemRow.item).where(col(WatchItemRow.gone_since).is_not(None))
        with self._database.read() as session:
            oldest = session.exec(
                select(DirtyRow.marked_at)
                .where(col(DirtyRow.item).not_in(leaving))
                .order_by(col(DirtyRow.marked_at))
                .limit(1)
            ).first()
            cursors = session.exec(select(CursorRow)).all()
            return Lag(
                watched=_count(session, WatchItemRow),
                dirty=_count(session, DirtyRow),
                settling=_count(session, CandidateRow, CandidateRow.state == "settling"),
                oldest_mark_s=(now - oldest).total_seconds() if oldest else None,
                streams={c.stream: (now - c.event_time).total_seconds() for c in cursors},
            )

    def edits_by_kind(self) -> dict[str, tuple[int, int]]:
        """(kept, dismissed) revisions by kind."""
        with self._database.read() as session:
            rows = session.exec(
                select(EditVerdictRow.kind, EditVerdictRow.kept, func.count()).group_by(
                    col(EditVerdictRow.kind), col(EditVerdictRow.kept)
                )
            ).all()
        found: dict[str, tuple[int, int]] = {}
        for kind, kept, count in rows:
            good, bad = found.get(kind, (0, 0))
            found[kind] = (good + count, bad) if kept else (good, bad + count)
        return dict(sorted(found.items()))


class Services:
    """Everything that works on the database, opened together. Close it when done."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.clock = clock_of(settings)
        self.ledger = SqlWatchLedger(database, self.clock)
        self.watch = WatchList(database, self.clock)
        self.bulk_runs = BulkRuns(database, self.clock)
        self.review = ReviewService(
            database,
            self.clock,
            lease_s=settings.review.lease_s,
            needs_two=self._needs_two,
            sample_share=settings.review.sample_share,
        )
        self.queue = Queue(database, self.clock)
        self.unattended = Unattended(database, self.clock)
        self.dismissed = Dismissed(database, self.clock)
        self.sampling = Sampling(database, self.clock)
        self.audit = Audit(database)
        self.accounts = Accounts(database, self.clock, session_h=settings.web.session_h)
        self.drafts = Drafts(database, self.clock, settings.home)
        self.imports = Imports(database, self.clock)
        alias = settings.gateway.alias
        self.blobs = Blobs(settings.blobs)
        self.registry = Registry(
            database, self.blobs, self.clock, served=alias, protection=_protection(settings)
        )
        self.releases = Releases(
            database,
            self.clock,
            recipe=settings.model.recipe,
            alias=alias,
            seed=settings.release.seed,
        )
        self.schedule = Schedule(database, self.clock, settings.schedule)
        self.workers = Workers(database)
        self.dead = DeadLetters(database, self.clock)
        self.spending = Spending(
            database,
            self.clock,
            calls=settings.curate.calls_per_day,
            usd=settings.curate.usd_per_day,
        )
        self.backups = backups_of(settings, database)

    @classmethod
    def open(cls, settings: Settings, *, patience_s: float = 0.0) -> Services:
        """Open the database (migrating it) and everything over it, waiting up to `patience_s`
        seconds for a server that does not answer yet. Raises ConfigError, NewerDatabaseError."""
        try:
            settings.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"home is {settings.home}, which cannot be used: {error}") from None

        def save(database: Database) -> None:
            backups_of(settings, database).create(label=f"-before-{Database.head()}")

        database = Database.open(settings.database_url, before_upgrade=save, patience_s=patience_s)
        return cls(settings, database)

    def close(self) -> None:
        self.database.close()

    @cached_property
    def review_policy(self) -> Policy:
        """The policy that the settings name, read when it is first needed. Raises ConfigError."""
        return policy.load(self.settings.review.policy)

    def try_policy(self, chosen: Policy | None = None) -> Trial:
        """A dry run of a policy (the configured one) over what was decided and what waits."""
        return try_policy(self.database, chosen or self.review_policy)

    def _needs_two(self, change: FactChange, retraction: bool) -> bool:
        return self.review_policy.two_people.needed(change, retraction=retraction)

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def status(self) -> dict[str, Any]:
        """Where everything stands, as JSON-able data."""
        generation, digest = self.registry.current(self.settings.gateway.alias)
        versions = {v.digest: v.number for v in self.registry.versions()}
        lag = self.watch.lag()
        standing = self.releases.standing()
        return {
            "workers": [
                {
                    "name": worker.name,
                    "role": worker.role,
                    "alive": worker.alive,
                    "leads": worker.alive and worker.leads,
                    "silent_s": round(worker.silent_s, 1),
                    **worker.state,
                }
                for worker in self.workers.list()
            ],
            "dead_letters": self.dead.counts(),
            "paused": sorted(self.schedule.paused()),
            "spent_today": self.spending.today(),
            "time": self.clock.now().isoformat(timespec="seconds"),
            "watch": {
                "items": lag.watched,
                "dirty": lag.dirty,
                "settling": lag.settling,
                "oldest_mark_s": lag.oldest_mark_s,
            },
            "changes": self.review.counts(),
            "releases": len(self.releases.list()),
            "release_standing": (
                {"id": standing.id, "state": standing.state, "edits": standing.edits}
                if standing
                else None
            ),
            "releases_left_over": [
                {"id": r.id, "state": r.state, "edits": r.edits, "reason": r.reason, "next": todo}
                for r, todo in self.releases.left_over()
            ],
            "alias": {
                "name": self.settings.gateway.alias,
                "generation": generation,
                "version": versions.get(digest, 0),
                "digest": digest,
            },
        }


def backups_of(settings: Settings, database: Database) -> Backups:
    """The backups of a home, over an opened database of any schema."""
    return Backups(database, settings.blobs, settings.backups, keep=settings.backup.keep)


def _protection(settings: Settings) -> Protection:
    def policy_digest() -> str:
        # Asked at a promotion alone: a policy that cannot be read must not stop a rollback.
        from daemon.jobs.evaluation_job import policy_digest

        return policy_digest(settings.gate.policy)

    return Protection(
        aliases=frozenset({settings.gateway.alias, *settings.registry.protected}),
        policy_digest=policy_digest,
        second_person=settings.registry.second_person,
    )


def check_ids(items: Sequence[str]) -> None:
    """Raises ConfigError for what is no item id."""
    for item in items:
        if not re.fullmatch(r"Q[1-9][0-9]*", item):
            raise ConfigError(f"{item!r} is no item id; write it as Q42")


def _count(session: Session, row: Any, *conditions: Any) -> int:
    return session.exec(select(func.count()).select_from(row).where(*conditions)).one()
