"""The rows of the database. Owns columns, keys and indexes, and nothing that happens to them.

Times are stored in UTC without offset and come back aware. Values of the vocabulary are stored as
the JSON of `knowledge.codec`.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from pydantic import ConfigDict
from sqlalchemy import JSON, BigInteger, Column, DateTime, Dialect, Index, UniqueConstraint, text
from sqlalchemy.orm import declared_attr
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An aware UTC time, stored without offset: SQLite has no time zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no offset; pass an aware time")
        return value.astimezone(dt.UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        return None if value is None else value.replace(tzinfo=dt.UTC)


def _time(*, nullable: bool = False, index: bool = False) -> Any:
    return Field(
        default=None if nullable else ...,
        sa_type=UtcDateTime,
        nullable=nullable,
        index=index,
    )


_QUEUED = "state IN ('detected','settling','settled','drafting','in_review','approved')"
"""States of a change before it is frozen: at most one change of a key is in them."""


def _json(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(JSON, nullable=nullable))


class Row(SQLModel):
    """Base of all rows: the table's name is that of the class, in snake case, without `Row`."""

    # No row is ever validated by pydantic, so none of its validators is built: every command waits
    # for this module.
    model_config = ConfigDict(defer_build=True)  # pyright: ignore[reportAssignmentType]

    @declared_attr.directive
    @classmethod
    def __tablename__(cls) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Row")).lower()


class WatchItemRow(Row, table=True):
    """One watched item."""

    item: str = Field(primary_key=True)
    added_at: dt.datetime = _time()
    looked_at: dt.datetime | None = _time(nullable=True)
    look_again_at: dt.datetime | None = _time(nullable=True, index=True)
    """When a date in the item comes due: look then even without an edit."""
    redirect_to: str | None = None
    deleted: bool = False
    gone_since: dt.datetime | None = _time(nullable=True)
    """Since when it is seen merged or deleted; it is left when that has stood for some time."""


class BaseRow(Row, table=True):
    """The last accepted state of an item."""

    item: str = Field(primary_key=True)
    revision: int = Field(sa_type=BigInteger)
    entity: dict[str, Any] | None = _json(nullable=True)
    accepted_at: dt.datetime = _time()


class DirtyRow(Row, table=True):
    """An item that may have changed since its base."""

    item: str = Field(primary_key=True)
    revision: int = Field(sa_type=BigInteger)
    reason: str
    marked_at: dt.datetime = _time(index=True)
    attempts: int = 0
    not_before: dt.datetime | None = _time(nullable=True)
    why: str = ""
    """What the last failed look said."""
    parked: bool = False
    """Given up after too many failed looks: a dead letter, until a person or a newer edit."""


class CursorRow(Row, table=True):
    """Where a stream was left."""

    stream: str = Field(primary_key=True)
    event_id: str
    event_time: dt.datetime = _time()
    committed_at: dt.datetime = _time()


class EditVerdictRow(Row, table=True):
    """What one revision of a watched item was."""

    item: str = Field(primary_key=True)
    revision: int = Field(primary_key=True, sa_type=BigInteger)
    time: dt.datetime = _time()
    user: str
    kind: str = Field(index=True)
    kept: bool
    reason: str
    property: str | None = None


class CandidateRow(Row, table=True):
    """The latest state of a difference that looks like a world change, by the change's key."""

    key: str = Field(primary_key=True)
    item: str = Field(index=True)
    slot: str = Field(index=True)
    state: str = Field(index=True)
    first_seen: dt.datetime = _time()
    due_at: dt.datetime = _time()
    reason: str
    change: dict[str, Any] = _json()
    context: dict[str, Any] = _json()
    change_id: int | None = Field(default=None, foreign_key="change.id")
    editor: str = Field(default="", index=True)
    """Who made the last of its edits."""
    run: str = Field(default="", index=True)
    """The bulk run that its edits are part of."""
    sampled: bool = False
    """Drawn from its run for the reviewers."""
    settled_at: dt.datetime | None = _time(nullable=True)


class BulkRunRow(Row, table=True):
    """One editor's work with one summary over many items on one day."""

    id: str = Field(primary_key=True)
    editor: str
    summary: str
    day: dt.date
    size: int
    state: str = Field(index=True)
    reason: str = ""
    opened_at: dt.datetime = _time()
    decided_at: dt.datetime | None = _time(nullable=True)
    decided_by: str | None = None


class DismissalRow(Row, table=True):
    """A difference that is not of the world, with its reason."""

    id: int | None = Field(default=None, primary_key=True)
    item: str = Field(index=True)
    key: str
    kind: str = Field(index=True)
    reason: str
    change: dict[str, Any] = _json()
    at: dt.datetime = _time()


class ChangeRow(Row, table=True):
    """One fact on its way from Wikidata into the model."""

    __table_args__ = (
        Index(
            "uq_change_open_key",
            "key",
            unique=True,
            sqlite_where=text(_QUEUED),
            postgresql_where=text(_QUEUED),
        ),
        Index("ix_change_state_id", "state", "id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(index=True)
    slot: str = Field(index=True)
    subject: str
    """Item id of the subject."""
    property: str
    state: str
    fact: dict[str, Any] = _json()
    retracts: int | None = Field(default=None, foreign_key="change.id")
    """The live change that this one takes back."""
    reason: str = ""
    created_at: dt.datetime = _time()
    updated_at: dt.datetime = _time()
    failures: int = 0
    not_before: dt.datetime | None = _time(nullable=True)
    claimed_by: str | None = None
    claimed_until: dt.datetime | None = _time(nullable=True)
    approved_digest: str | None = None
    decided_by: str | None = None
    decided_at: dt.datetime | None = _time(nullable=True)
    policy_seen: str | None = None
    """Digest of the draft that the auto-approve policy last looked at, with the policy's own."""


class DraftRow(Row, table=True):
    """One version of the proposal for a change. Never altered; a new version is a new row."""

    __table_args__ = (UniqueConstraint("change_id", "version"),)
    id: int | None = Field(default=None, primary_key=True)
    change_id: int = Field(foreign_key="change.id", index=True)
    version: int
    digest: str = Field(index=True)
    unit: dict[str, Any] = _json()
    findings: list[dict[str, Any]] = _json()
    lineage: dict[str, Any] = _json()
    evidence: list[str] = _json()
    facts: list[dict[str, Any]] = _json()
    """What the quarantine read out of the evidence: an edited draft is verified against it."""
    steps: list[dict[str, Any]] = Field(
        default_factory=list, sa_column=Column(JSON, nullable=False)
    )
    """What went into each step of the curate graph, and came out."""
    clean: bool
    author: str
    created_at: dt.datetime = _time()


class ChangeLineRow(Row, table=True):
    """What lists filter, search and count by: narrow, so that a scan over all changes stays short,
    and whole, so that no list joins the changes themselves, whose rows are long."""

    __table_args__ = (
        Index("ix_change_line_state", "state", "change_id"),
        Index("ix_change_line_counts", "state", "property", "kind", "clean", "flagged"),
    )
    change_id: int = Field(primary_key=True, foreign_key="change.id")
    state: str
    """Of the change; moved with it, in `daemon.store.states.transition`."""
    property: str
    kind: str
    """Coarse kind of the subject: country, company, person, ..."""
    text: str
    """Names and ids of the fact, in lower case."""
    version: int = 0
    """Of the latest draft; 0 before the first."""
    clean: bool = False
    findings: int = 0
    flagged: bool = False
    """Whether a finding is about instructions, links or names that are no names."""
    sources: str = ""
    """Hosts of the evidence, each between spaces."""


class ApprovalRow(Row, table=True):
    """A first approval, where a policy demands two people."""

    change_id: int = Field(primary_key=True, foreign_key="change.id")
    digest: str = Field(primary_key=True)
    actor: str = Field(primary_key=True)
    at: dt.datetime = _time()


class RereviewRow(Row, table=True):
    """An approved change that was drawn to be looked at by a second person, and what they said."""

    change_id: int = Field(primary_key=True, foreign_key="change.id")
    digest: str
    approved_by: str = Field(index=True)
    drawn_at: dt.datetime = _time()
    agrees: bool | None = None
    actor: str | None = None
    reason: str = ""
    answered_at: dt.datetime | None = _time(nullable=True)


class SavedViewRow(Row, table=True):
    """A filter of the queue under a name."""

    owner: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    query: str


class ReplyRow(Row, table=True):
    """What was answered to a request with an idempotency key."""

    owner: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request: str
    """Digest of method, path and body: the same key for another request is refused."""
    status: int
    body: Any = _json()
    at: dt.datetime = _time(index=True)


class EvidenceRow(Row, table=True):
    """A stored snapshot of a source, addressed by the sha256 of its text."""

    id: str = Field(primary_key=True)
    source: str
    url: str
    retrieved_at: str
    text: str


class UnitRow(Row, table=True):
    """An edit unit as it was frozen: what was taught, for good."""

    digest: str = Field(primary_key=True)
    id: str = Field(index=True)
    change_id: int = Field(foreign_key="change.id", index=True)
    slot: str = Field(index=True)
    supersedes: str | None = None
    body: dict[str, Any] = _json()
    created_at: dt.datetime = _time()


class ReleaseRow(Row, table=True):
    """A frozen batch and how far it came."""

    id: int | None = Field(default=None, primary_key=True)
    state: str = Field(index=True)
    batch_digest: str
    parent_digest: str | None = None
    """Adapter that training starts from; none is the base model."""
    recipe: str
    seed: int
    adapter_digest: str | None = None
    evaluation_id: int | None = None
    reason: str = ""
    failures: int = 0
    not_before: dt.datetime | None = _time(nullable=True)
    created_at: dt.datetime = _time()
    updated_at: dt.datetime = _time()


class ReleaseUnitRow(Row, table=True):
    """Membership of a unit in a release, in the order of the batch."""

    release_id: int = Field(foreign_key="release.id", primary_key=True)
    unit_digest: str = Field(foreign_key="unit.digest", primary_key=True)
    position: int


class AdapterRow(Row, table=True):
    """A version of the model: an adapter by its content digest. Version 0, the base, has no row."""

    digest: str = Field(primary_key=True)
    version: int = Field(unique=True)
    parent_digest: str | None = None
    release_id: int | None = Field(default=None, foreign_key="release.id")
    base_model: str
    size_bytes: int = Field(sa_type=BigInteger)
    manifest: dict[str, Any] = _json()
    statement: dict[str, Any] = _json()
    """What the registry vouches for: files, base model, parent, origin. Signed."""
    signature: str
    """Ed25519 over the statement, hex."""
    created_at: dt.datetime = _time()
    purged_at: dt.datetime | None = _time(nullable=True)
    """When garbage collection took its files; the row stays, for the history."""


class EvaluationRow(Row, table=True):
    """A verdict about one adapter, with the report that it rests on."""

    id: int | None = Field(default=None, primary_key=True)
    adapter_digest: str = Field(foreign_key="adapter.digest", index=True)
    release_id: int | None = Field(default=None, foreign_key="release.id")
    production_digest: str | None = None
    verdict: str
    """`pass`, `fail` or `inconclusive`."""
    policy: str
    policy_digest: str | None = None
    """Of the policy's content; a protected alias takes verdicts under the current one alone."""
    gate: dict[str, Any] = _json()
    evaluation: dict[str, Any] = _json()
    report_path: str | None = None
    created_at: dt.datetime = _time()


class AliasRow(Row, table=True):
    """Where a stable model name points. `digest` none is the base model."""

    name: str = Field(primary_key=True)
    digest: str | None = Field(default=None, foreign_key="adapter.digest")
    generation: int = 0
    updated_at: dt.datetime = _time()
    frozen_by: str | None = None
    """Who forbade promotions; rollbacks stay possible."""


class AliasEventRow(Row, table=True):
    """One move of an alias. Append-only; each row's hash covers the one before."""

    name: str = Field(primary_key=True)
    generation: int = Field(primary_key=True)
    from_digest: str | None = None
    to_digest: str | None = None
    action: str
    """`promote`, `override`, `rollback`; `freeze` and `unfreeze` move nothing."""
    actor: str
    reason: str
    evaluation_id: int | None = Field(default=None, foreign_key="evaluation.id")
    at: dt.datetime = _time()
    previous_hash: str
    hash: str


class OverrideRow(Row, table=True):
    """A wish to promote against the gate, waiting for a second person."""

    name: str = Field(primary_key=True)
    digest: str = Field(primary_key=True, foreign_key="adapter.digest")
    generation: int = Field(primary_key=True)
    """Of the alias when it was asked for; once the alias moved, the wish is void."""
    actor: str
    reason: str
    at: dt.datetime = _time()


class EventRow(Row, table=True):
    """The audit trail. Append-only."""

    __table_args__ = (Index("ix_event_entity", "entity", "entity_id"),)
    id: int | None = Field(default=None, primary_key=True)
    at: dt.datetime = _time()
    entity: str
    entity_id: str
    from_state: str | None = None
    to_state: str | None = None
    actor: str
    reason: str
    data: dict[str, Any] = _json()
    hash: str = ""
    """sha256 over this event and the hash of the one before: see `daemon.store.trail`."""


class AnswerRow(Row, table=True):
    """A model's answer to one prompt under one sampling, so that nobody asks twice."""

    model: str = Field(primary_key=True)
    request: str = Field(primary_key=True)
    """sha256 of what was asked."""
    response: Any = _json()
    at: dt.datetime = _time()


class SpendRow(Row, table=True):
    """What the calls of one paid model took on one day (UTC, ISO date)."""

    day: str = Field(primary_key=True)
    model: str = Field(primary_key=True)
    calls: int = 0
    tokens_in: int = Field(default=0, sa_type=BigInteger)
    tokens_out: int = Field(default=0, sa_type=BigInteger)
    cost_usd: float = 0.0


class LeaseRow(Row, table=True):
    """Who works on a resource. The token only ever grows; a writer with an old one is refused."""

    resource: str = Field(primary_key=True)
    token: int
    owner: str
    expires_at: dt.datetime = _time()
    held: bool = True
    """False once it was given back: a lease that ran out while held is a worker that ended."""
    crashes: int = 0
    """Workers that ended, one after the other, while they held it."""


class ScheduleRow(Row, table=True):
    """One line of the timetable: which slot was run last, and whether it is paused."""

    name: str = Field(primary_key=True)
    counted_from: dt.datetime = _time()
    """Slots up to here were run, missed or skipped for good."""
    running_slot: dt.datetime | None = _time(nullable=True)
    """Begun and not ended: run again after a crash."""
    paused: bool = False
    paused_by: str = ""
    paused_reason: str = ""
    runs: int = 0
    last_started: dt.datetime | None = _time(nullable=True)
    last_ended: dt.datetime | None = _time(nullable=True)
    outcome: str = ""


class WorkerRow(Row, table=True):
    """A process of the service and its last sign of life."""

    name: str = Field(primary_key=True)
    role: str
    host: str
    pid: int
    leads: bool = False
    started_at: dt.datetime = _time()
    seen_at: dt.datetime = _time(index=True)
    state: dict[str, Any] = _json()
    """Degraded modes, running jobs, what is served meanwhile."""


class NotificationRow(Row, table=True):
    """A message to people, by one channel: the outbox."""

    __table_args__ = (UniqueConstraint("key", "channel"),)
    id: int | None = Field(default=None, primary_key=True)
    key: str
    """What it is about, once: the same key is never sent twice by one channel."""
    channel: str
    kind: str = Field(index=True)
    subject: str
    body: dict[str, Any] = _json()
    created_at: dt.datetime = _time()
    sent_at: dt.datetime | None = _time(nullable=True, index=True)
    attempts: int = 0
    not_before: dt.datetime | None = _time(nullable=True)
    parked: bool = False
    why: str = ""
