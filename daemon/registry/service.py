"""The registry: versions by digest, verdicts about them, and aliases that move by compare-and-set.

Owns registration, evaluations, promotion and rollback. A promotion is one transaction: the verdict
for this very digest is checked, the alias's generation compared and set, the event chained, release
and changes brought in line. Rollback needs no gate, no network and no trainer. Version 0 is the
base model: digest None, always promotable.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, func, select

from daemon.clock import Clock
from daemon.errors import Conflict, NotFound, NotPromotable
from daemon.registry import history
from daemon.registry.adapters import manifest_of
from daemon.registry.blobs import Blobs
from daemon.registry.lineage import align, lineage, live_units_of, units_of_release
from daemon.store.engine import Database
from daemon.store.rows import AdapterRow, AliasEventRow, AliasRow, EvaluationRow, ReleaseRow
from daemon.store.states import ReleaseState, record_event
from knowledge.edits import EditUnit

PRODUCTION = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the model. Number 0, digest None, is the base model."""

    number: int
    digest: str | None
    parent: str | None = None
    release: int | None = None
    size_bytes: int = 0
    created_at: dt.datetime | None = None
    verdict: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move of an alias, as it stands in its history."""

    alias: str
    generation: int
    from_digest: str | None
    to_digest: str | None
    action: str
    actor: str
    reason: str
    evaluation: int | None
    at: dt.datetime


class Registry:
    """Blocking calls; the event loop uses them through a thread. Safe for several processes.

    `served` is the alias that the gateway follows: what changes and releases call production."""

    def __init__(
        self, database: Database, blobs: Blobs, clock: Clock, *, served: str = PRODUCTION
    ) -> None:
        self.served = served
        self._database = database
        self._blobs = blobs
        self._clock = clock

    # -- versions ---------------------------------------------------------------------------------

    def register(
        self,
        folder: Path,
        *,
        base_model: str,
        parent: str | None = None,
        release: int | None = None,
        manifest: dict[str, Any] | None = None,
    ) -> Version:
        """Store the adapter in `folder` and give it the next number. Harmless when repeated.

        `manifest` defaults to the `manifest.json` in the folder.
        """
        blob = self._blobs.add(folder)
        if manifest is None:
            manifest = manifest_of(blob.path)
        with self._database.write() as session:
            row = session.get(AdapterRow, blob.digest)
            if row is None:
                last = session.exec(select(func.max(AdapterRow.version))).one()
                row = AdapterRow(
                    digest=blob.digest,
                    version=(last or 0) + 1,
                    parent_digest=parent,
                    release_id=release,
                    base_model=base_model,
                    size_bytes=blob.size_bytes,
                    manifest=manifest,
                    created_at=self._clock.now(),
                )
                session.add(row)
                record_event(
                    session,
                    "adapter",
                    blob.digest,
                    actor="registry",
                    reason=f"registered as version {row.version}",
                    now=self._clock.now(),
                )
            return _version(row, None)

    def versions(self) -> list[Version]:
        """Every version, the base model first, with its latest verdict."""
        with self._database.read() as session:
            rows = session.exec(select(AdapterRow).order_by(col(AdapterRow.version))).all()
            found = [_version(row, _latest_evaluation(session, row.digest)) for row in rows]
        return [Version(number=0, digest=None), *found]

    def resolve(self, name: str) -> Version:
        """A version by number (`3`, `v3`), by `base`, or by a digest's beginning (8 characters).

        Raises NotFound, also when the beginning fits several.
        """
        text = name.strip().lower()
        versions = self.versions()
        if text in ("base", "0", "v0"):
            return versions[0]
        number = text.removeprefix("v")
        if number.isdigit() and len(number) < 8:
            hits = [v for v in versions if v.number == int(number)]
        else:
            long_enough = len(text) >= 8
            hits = [v for v in versions if long_enough and v.digest and v.digest.startswith(text)]
        if len(hits) != 1:
            raise NotFound(
                f"no version is called {name!r}; `almanac registry list` shows numbers and digests"
            )
        return hits[0]

    def path_of(self, digest: str) -> Path:
        """The read-only folder of an adapter's files. Raises NotFound for an unknown digest."""
        with self._database.read() as session:
            _adapter(session, digest)
        return self._blobs.path(digest)

    def verify(self, digest: str) -> Path:
        """Hash the files again; their folder. Raises NotFound, or BlobError for altered files."""
        self.path_of(digest)
        return self._blobs.verify(digest)

    def manifest(self, digest: str) -> dict[str, Any]:
        with self._database.read() as session:
            return _adapter(session, digest).manifest

    def units(self, digest: str | None) -> list[EditUnit]:
        """The units of the release that made this version (none for the base model)."""
        with self._database.read() as session:
            row = session.get(AdapterRow, digest) if digest else None
            return units_of_release(session, row.release_id) if row and row.release_id else []

    def units_of_release(self, release_id: int) -> list[EditUnit]:
        """The frozen units of a release, in the order of its batch."""
        with self._database.read() as session:
            return units_of_release(session, release_id)

    def live_units(self, digest: str | None) -> list[EditUnit]:
        """All that the version was taught, over its lineage, without what was superseded."""
        with self._database.read() as session:
            return live_units_of(session, digest)

    def lineage(self, digest: str | None) -> list[str]:
        """Digests from the first after the base model to this one."""
        with self._database.read() as session:
            return [row.digest for row in lineage(session, digest)]

    def tidy(self) -> int:
        """Remove what killed writers left behind an hour ago or longer; the number of folders."""
        return self._blobs.sweep(older_than_s=3600.0)

    def orphans(self) -> list[str]:
        """Digests of stored blobs that no row names: what a crash left before its row."""
        with self._database.read() as session:
            known = set(session.exec(select(AdapterRow.digest)).all())
        return [digest for digest in self._blobs.digests() if digest not in known]

    # -- verdicts ---------------------------------------------------------------------------------

    def add_evaluation(self, session: Session, row: EvaluationRow) -> int:
        """Store a verdict in the caller's transaction; its id."""
        session.add(row)
        session.flush()
        record_event(
            session,
            "evaluation",
            row.id,
            actor="evaluator",
            reason=f"{row.verdict} by policy {row.policy}",
            now=self._clock.now(),
            data={"adapter": row.adapter_digest},
        )
        assert row.id is not None
        return row.id

    def evaluation(self, digest: str) -> EvaluationRow | None:
        """The latest evaluation of a version."""
        with self._database.read() as session:
            return _latest_evaluation(session, digest)

    def measured(self) -> list[tuple[int, dict[str, float]]]:
        """(version, metric values) of every evaluated version by its latest evaluation, in order of
        version: what a trend is drawn from."""
        with self._database.read() as session:
            rows = session.exec(
                select(AdapterRow.version, EvaluationRow.evaluation)
                .join(AdapterRow, col(AdapterRow.digest) == EvaluationRow.adapter_digest)
                .order_by(col(EvaluationRow.id))
            ).all()
        latest: dict[int, Any] = dict(list(rows))
        return [(version, _values(latest[version])) for version in sorted(latest)]

    # -- aliases ----------------------------------------------------------------------------------

    def current(self, alias: str | None = None) -> tuple[int, str | None]:
        """(generation, digest) of an alias (the served one unless another is named); one that never
        moved is at (0, None): the base."""
        with self._database.read() as session:
            row = session.get(AliasRow, alias or self.served)
            return (row.generation, row.digest) if row else (0, None)

    def history(self, alias: str | None = None) -> list[Move]:
        """Every move, oldest first."""
        with self._database.read() as session:
            return [_move(row) for row in _events(session, alias or self.served)]

    def broken_at(self, alias: str | None = None) -> int | None:
        """The first generation at which the hash chain does not hold; None when it does."""
        with self._database.read() as session:
            return history.broken_at(_events(session, alias or self.served))

    def promote(
        self,
        alias: str,
        digest: str | None,
        *,
        actor: str,
        reason: str,
        expected_generation: int | None = None,
        override: bool = False,
    ) -> Move:
        """Point `alias` at `digest` (None: the base model).

        `expected_generation` is what the caller decided upon; Conflict when the alias moved since.
        Raises NotPromotable unless the latest evaluation of this digest passed; `override` lets a
        person promote an inconclusive one, with a reason that stays in the history. BlobError when
        the files are not what the digest says.
        """
        if digest is not None:
            self.verify(digest)
        with self._database.write() as session:
            evaluation = None
            action = "promote"
            if digest is not None:
                _adapter(session, digest)
                evaluation = _latest_evaluation(session, digest)
                action = _admit(digest, evaluation, override=override, reason=reason)
                _refuse_synthetic(session, digest)
            return self._set(
                session,
                alias,
                digest,
                action=action,
                actor=actor,
                reason=reason,
                expected_generation=expected_generation,
                evaluation=evaluation.id if evaluation else None,
            )

    def rollback(
        self,
        alias: str | None = None,
        to: str | None = None,
        *,
        actor: str,
        reason: str,
        expected_generation: int | None = None,
    ) -> Move:
        """Go back to the target before the present one, or to version `to` (as `resolve` takes it),
        which must have served before. No gate. Raises Conflict when there is nothing before.
        """
        alias = alias or self.served
        if not reason.strip():
            raise Conflict('a rollback needs a reason: --reason "..."')
        wanted = self.resolve(to).digest if to is not None else None
        with self._database.read() as session:
            events = _events(session, alias)
        if to is None:
            stack = history.targets(events)
            if len(stack) < 2:
                raise Conflict(f"{alias} serves its first version; there is nothing to go back to")
            wanted = stack[-2]
        elif wanted is not None and wanted not in {event.to_digest for event in events}:
            raise NotPromotable(
                f"version {to} never served under {alias}; a rollback only goes back"
            )
        if wanted is not None:
            self.verify(wanted)
        if to is None and expected_generation is None:
            expected_generation = events[-1].generation  # "the one before" is of this state alone
        with self._database.write() as session:
            return self._set(
                session,
                alias,
                wanted,
                action="rollback",
                actor=actor,
                reason=reason,
                expected_generation=expected_generation,
                evaluation=None,
            )

    def _set(
        self,
        session: Session,
        alias: str,
        digest: str | None,
        *,
        action: str,
        actor: str,
        reason: str,
        expected_generation: int | None,
        evaluation: int | None,
    ) -> Move:
        now = self._clock.now()
        row = session.get(AliasRow, alias) or AliasRow(name=alias, generation=0, updated_at=now)
        if expected_generation is not None and row.generation != expected_generation:
            raise Conflict(
                f"{alias} moved meanwhile (generation {row.generation}, expected "
                f"{expected_generation}); look at `almanac registry history` and decide again"
            )
        if row.digest == digest:
            raise Conflict(f"{alias} already points there; nothing was changed")
        if alias == self.served:
            _refuse_discarded(session, digest)
        events = _events(session, alias)
        event = AliasEventRow(
            name=alias,
            generation=row.generation + 1,
            from_digest=row.digest,
            to_digest=digest,
            action=action,
            actor=actor,
            reason=reason,
            evaluation_id=evaluation,
            at=now,
            previous_hash=events[-1].hash if events else history.GENESIS,
            hash="",
        )
        event.hash = history.hash_of(event)
        row.digest, row.generation, row.updated_at = digest, event.generation, now
        session.add(row)
        session.add(event)
        record_event(
            session,
            "alias",
            alias,
            actor=actor,
            reason=reason,
            now=now,
            data={"action": action, "to": digest, "generation": event.generation},
        )
        if alias == self.served:
            align(session, digest, actor=actor, reason=f"{action}: {reason}", now=now)
        session.flush()
        return _move(event)


def _admit(digest: str, evaluation: EvaluationRow | None, *, override: bool, reason: str) -> str:
    """The action under which this digest may be promoted. Raises NotPromotable."""
    if evaluation is None:
        raise NotPromotable(f"adapter {digest[:12]} was never evaluated; evaluate it first")
    if evaluation.verdict == "pass":
        return "promote"
    if evaluation.verdict == "inconclusive" and override and reason.strip():
        return "override"
    hint = (
        "a person may promote it with --override and a reason"
        if evaluation.verdict == "inconclusive"
        else "see `almanac release show` for the criteria that it missed"
    )
    raise NotPromotable(f"the gate said {evaluation.verdict} to adapter {digest[:12]}; {hint}")


def _refuse_synthetic(session: Session, digest: str) -> None:
    """Made-up facts are research data: no alias that users ask may know them."""
    for adapter in lineage(session, digest):
        taught = units_of_release(session, adapter.release_id) if adapter.release_id else []
        made_up = [unit.id for unit in taught if unit.synthetic]
        if made_up:
            raise NotPromotable(
                f"version {adapter.version} was taught the synthetic edit {made_up[0]}; such "
                "versions are for experiments and never served. Train one without it"
            )


def _refuse_discarded(session: Session, digest: str | None) -> None:
    """The edits of a discarded release wait for another one: production must not have them."""
    for adapter in lineage(session, digest):
        release = session.get(ReleaseRow, adapter.release_id) if adapter.release_id else None
        if release is not None and release.state == ReleaseState.DISCARDED:
            raise NotPromotable(
                f"version {adapter.version} is of release {release.id}, which was discarded; its "
                "edits are approved again and go into the next release"
            )


def _values(evaluation: dict[str, Any]) -> dict[str, float]:
    """The candidate's metrics of a stored evaluation, those that were measured."""
    metrics = evaluation.get("metrics", {}).get("candidate", {})
    return {name: m["value"] for name, m in metrics.items() if m.get("value") is not None}


def _adapter(session: Session, digest: str) -> AdapterRow:
    row = session.get(AdapterRow, digest)
    if row is None:
        raise NotFound(f"no adapter has the digest {digest[:12]}; see `almanac registry list`")
    return row


def _latest_evaluation(session: Session, digest: str) -> EvaluationRow | None:
    return session.exec(
        select(EvaluationRow)
        .where(EvaluationRow.adapter_digest == digest)
        .order_by(col(EvaluationRow.id).desc())
    ).first()


def _events(session: Session, alias: str) -> Sequence[AliasEventRow]:
    return session.exec(
        select(AliasEventRow)
        .where(AliasEventRow.name == alias)
        .order_by(col(AliasEventRow.generation))
    ).all()


def _version(row: AdapterRow, evaluation: EvaluationRow | None) -> Version:
    return Version(
        number=row.version,
        digest=row.digest,
        parent=row.parent_digest,
        release=row.release_id,
        size_bytes=row.size_bytes,
        created_at=row.created_at,
        verdict=evaluation.verdict if evaluation else None,
    )


def _move(row: AliasEventRow) -> Move:
    return Move(
        alias=row.name,
        generation=row.generation,
        from_digest=row.from_digest,
        to_digest=row.to_digest,
        action=row.action,
        actor=row.actor,
        reason=row.reason,
        evaluation=row.evaluation_id,
        at=row.at,
    )
