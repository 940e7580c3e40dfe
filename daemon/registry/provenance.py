"""Where a version comes from: facts, evidence, reviewers, recipe, code, evaluation; and how two
versions differ.

Owns the reading of what the other tables say about one version. Changes nothing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from daemon.registry.aliases import adapter_row, latest_evaluation
from daemon.registry.lineage import lineage, live_units_of
from daemon.registry.versions import Move, Version, move_of, version_of
from daemon.store.engine import Database
from daemon.store.rows import (
    AdapterRow,
    AliasEventRow,
    ChangeRow,
    DraftRow,
    EvaluationRow,
    EvidenceRow,
    ReleaseRow,
    ReleaseUnitRow,
    UnitRow,
)
from knowledge import codec
from knowledge.edits import EditUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A stored snapshot that a narrative rests on."""

    id: str
    source: str
    url: str
    retrieved_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """One edit of a version: what changed, who wrote and who approved it, and on what."""

    unit: str
    """Id of the frozen unit."""
    digest: str
    change: int
    subject: str
    property: str
    old: str | None
    new: str | None
    since: str | None
    revision: int
    """Of the subject on Wikidata, at which the new state was seen."""
    author: str | None
    approved_by: str | None
    approved_at: dt.datetime | None
    supersedes: str | None
    narrative: dict[str, str] = field(default_factory=dict)
    """Prompt hashes and models of the drafting."""
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The latest evaluation of a version."""

    verdict: str
    policy: str
    policy_digest: str | None
    against: str | None
    metrics: dict[str, Any]
    at: dt.datetime
    report: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Everything that is known of how a version came to be."""

    version: Version
    ancestors: tuple[Version, ...]
    """Oldest first, without the base model and without the version itself."""
    statement: dict[str, Any]
    """What the registry signed: files, base model, code."""
    training: dict[str, Any]
    """The trainer's manifest: method, recipe, seed, libraries, what was measured in training."""
    batch_digest: str | None
    edits: tuple[Taught, ...]
    """Of the version's own release."""
    in_force: int
    """Edits over the whole lineage, without those that later ones supersede."""
    evaluation: Judged | None
    moves: tuple[Move, ...]
    """Of any alias, to or from this version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Version `left` beside version `right`."""

    left: int
    right: int
    only_left: tuple[str, ...]
    """Edits in force in the left one alone, as `subject property: old -> new`."""
    only_right: tuple[str, ...]
    settings: dict[str, tuple[Any, Any]]
    """How they were trained, where that differs."""
    metrics: dict[str, tuple[float | None, float | None]]


def provenance(database: Database, digest: str) -> Provenance:
    """Raises NotFound."""
    with database.read() as session:
        row = adapter_row(session, digest)
        evaluation = latest_evaluation(session, digest)
        release = session.get(ReleaseRow, row.release_id) if row.release_id else None
        return Provenance(
            version=version_of(row, evaluation),
            ancestors=tuple(
                version_of(a, latest_evaluation(session, a.digest))
                for a in lineage(session, digest)[:-1]
            ),
            statement=row.statement,
            training=row.manifest,
            batch_digest=release.batch_digest if release else None,
            edits=tuple(_edits(session, row)),
            in_force=len(live_units_of(session, digest)),
            evaluation=_judged(evaluation),
            moves=tuple(_moves(session, digest)),
        )


def difference(database: Database, left: Version, right: Version) -> Difference:
    """What the right one knows, was made by and measures that the left one does not."""
    with database.read() as session:
        sides = [_Side.of(session, version) for version in (left, right)]
    (one, two) = sides
    names = sorted(one.settings.keys() | two.settings.keys())
    pairs = {name: (one.settings.get(name), two.settings.get(name)) for name in names}
    measured = sorted(one.metrics.keys() | two.metrics.keys())
    return Difference(
        left=left.number,
        right=right.number,
        only_left=tuple(text for key, text in one.edits.items() if key not in two.edits),
        only_right=tuple(text for key, text in two.edits.items() if key not in one.edits),
        settings={name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
        metrics={name: (one.metrics.get(name), two.metrics.get(name)) for name in measured},
    )


def describe(unit: EditUnit) -> str:
    """`subject property: old -> new`."""
    change = unit.change
    old = change.old.label if change.old else "nobody"
    new = change.new.label if change.new else "nobody"
    return f"{change.subject.label} {change.property}: {old} -> {new}"


@dataclass(frozen=True, slots=True)
class _Side:
    edits: dict[str, str]
    settings: dict[str, Any]
    metrics: dict[str, float]

    @classmethod
    def of(cls, session: Session, version: Version) -> _Side:
        if version.digest is None:
            return cls({}, {}, {})
        row = adapter_row(session, version.digest)
        units = live_units_of(session, version.digest)
        training = {
            name: row.manifest.get(name)
            for name in ("method", "recipe", "recipe_digest", "seed", "base_digest", "versions")
        }
        evaluation = latest_evaluation(session, version.digest)
        return cls(
            {unit.id: describe(unit) for unit in units},
            {**training, "code": row.statement.get("code"), "size_bytes": row.size_bytes},
            measured(evaluation.evaluation) if evaluation else {},
        )


def measured(summary: dict[str, Any]) -> dict[str, float]:
    """Values by metric out of an evaluation's summary, where it has any."""
    metrics = summary.get("metrics", {}).get("candidate", {})
    found = {
        name: row["value"]
        for name, row in metrics.items()
        if isinstance(row, dict) and isinstance(row.get("value"), (int, float))
    }
    capability = summary.get("capability", {}).get("candidate")
    return found | ({"capability": capability} if capability is not None else {})


def _edits(session: Session, row: AdapterRow) -> list[Taught]:
    units = session.exec(
        select(UnitRow)
        .join(ReleaseUnitRow, col(ReleaseUnitRow.unit_digest) == col(UnitRow.digest))
        .where(ReleaseUnitRow.release_id == row.release_id)
        .order_by(col(ReleaseUnitRow.position))
    ).all()
    return [_taught(session, unit) for unit in units]


def _taught(session: Session, row: UnitRow) -> Taught:
    unit = codec.from_data(EditUnit, row.body)
    change = session.get(ChangeRow, row.change_id)
    draft = session.exec(
        select(DraftRow).where(
            DraftRow.change_id == row.change_id,
            DraftRow.digest == (change.approved_digest if change else None),
        )
    ).first()
    evidence = [session.get(EvidenceRow, one) for one in (draft.evidence if draft else [])]
    fact = unit.change
    return Taught(
        unit=unit.id,
        digest=row.digest,
        change=row.change_id,
        subject=fact.subject.label,
        property=fact.property,
        old=fact.old.label if fact.old else None,
        new=fact.new.label if fact.new else None,
        since=str(fact.started) if fact.started else None,
        revision=fact.head_revision,
        author=draft.author if draft else None,
        approved_by=change.decided_by if change else None,
        approved_at=change.decided_at if change else None,
        supersedes=row.supersedes,
        narrative=unit.narrative.lineage if unit.narrative else {},
        sources=tuple(
            Source(id=e.id, source=e.source, url=e.url, retrieved_at=e.retrieved_at)
            for e in evidence
            if e is not None
        ),
    )


def _judged(row: EvaluationRow | None) -> Judged | None:
    if row is None:
        return None
    return Judged(
        verdict=row.verdict,
        policy=row.policy,
        policy_digest=row.policy_digest,
        against=row.production_digest,
        metrics=_estimates(row.evaluation),
        at=row.created_at,
        report=row.report_path,
    )


def _estimates(summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Value, interval, test and number of each metric, without the cells behind them."""
    metrics = summary.get("metrics", {}).get("candidate", {})
    kept = ("value", "low", "high", "method", "n")
    return {
        name: {key: row[key] for key in kept if key in row}
        for name, row in metrics.items()
        if isinstance(row, dict)
    }


def _moves(session: Session, digest: str) -> list[Move]:
    rows = session.exec(
        select(AliasEventRow)
        .where((AliasEventRow.to_digest == digest) | (AliasEventRow.from_digest == digest))
        .order_by(col(AliasEventRow.at), col(AliasEventRow.generation))
    ).all()
    return [move_of(row) for row in rows]
