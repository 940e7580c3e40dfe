"""The registry: versions by digest, verdicts about them, and aliases that move by compare-and-set.

Owns registration, evaluations, promotion, rollback and freezing. A promotion is one transaction:
the verdict for this very digest is checked, the alias's generation compared and set, the event
chained, release and changes brought in line. Rollback needs no gate, no network and no trainer.
Version 0 is the base model: digest None, always promotable. Collecting garbage, exporting and
comparing are modules beside this one.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, func, select

from daemon.clock import Clock
from daemon.errors import BlobError, Conflict, NeedsSecondPerson, NotPromotable
from daemon.registry import aliases, history
from daemon.registry.adapters import hashes, manifest_of
from daemon.registry.aliases import Protection, Step, adapter_row, events_of, latest_evaluation
from daemon.registry.blobs import Blobs
from daemon.registry.collecting import GRACE_S, Collected, collect
from daemon.registry.keys import Keys
from daemon.registry.lineage import align, lineage, live_units_of, units_of_release
from daemon.registry.provenance import Difference, Provenance, difference, measured, provenance
from daemon.registry.statements import canonical, differences, statement_of
from daemon.registry.versions import Move, Version, move_of, named, version_of
from daemon.store.engine import Database
from daemon.store.rows import AdapterRow, AliasEventRow, AliasRow, EvaluationRow
from daemon.store.states import record_event
from knowledge.edits import EditUnit

PRODUCTION = "production"
_ATTEMPTS = 3

__all__ = ["PRODUCTION", "Move", "Registry", "Version"]


class Registry:
    """Blocking calls; the event loop uses them through a thread. Safe for several processes.

    `served` is the alias that the gateway follows: what changes and releases call production. The
    keys lie beside the blobs. `protection` defaults to the served alias taking passed versions."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        clock: Clock,
        *,
        served: str = PRODUCTION,
        protection: Protection | None = None,
    ) -> None:
        self.served = served
        self.keys = Keys(blobs.root.parent / "keys")
        self.protection = protection or Protection(aliases=frozenset({served}))
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
        origin: dict[str, Any] | None = None,
    ) -> Version:
        """Store the adapter in `folder` and give it the next number. Harmless when repeated.

        `manifest` defaults to the `manifest.json` in the folder; `origin` says where an imported
        adapter came from. Raises BlobError when the folder is no acceptable adapter.
        """
        for _ in range(_ATTEMPTS):
            blob = self._blobs.add(folder)
            known = manifest_of(blob.path) if manifest is None else manifest
            with self._database.write() as session:
                if not blob.path.is_dir():
                    continue  # collected as an orphan between the two lines above
                row = session.get(AdapterRow, blob.digest)
                if row is None:
                    row = AdapterRow(
                        digest=blob.digest,
                        version=self._next_number(session),
                        parent_digest=parent,
                        release_id=release,
                        base_model=base_model,
                        size_bytes=blob.size_bytes,
                        manifest=known,
                        statement={},
                        signature="",
                        created_at=self._clock.now(),
                    )
                    self._vouch(row, blob.path, origin)
                    session.add(row)
                    self._note(session, blob.digest, f"registered as version {row.version}")
                elif row.purged_at is not None:
                    row.purged_at = None
                    session.add(row)
                    self._note(session, blob.digest, "its files are back")
                return version_of(row, latest_evaluation(session, blob.digest))
        raise BlobError(f"the files of {folder} were collected each time they were stored; again?")

    def versions(self) -> list[Version]:
        """Every version, the base model first, with its latest verdict."""
        with self._database.read() as session:
            rows = session.exec(select(AdapterRow).order_by(col(AdapterRow.version))).all()
            found = [version_of(row, latest_evaluation(session, row.digest)) for row in rows]
        return [Version(number=0, digest=None), *found]

    def resolve(self, name: str) -> Version:
        """A version by number (`3`, `v3`), by `base`, or by a digest's beginning (8 characters).

        Raises NotFound, also when the beginning fits several.
        """
        return named(name, self.versions())

    def path_of(self, digest: str) -> Path:
        """The read-only folder of an adapter's files. Raises NotFound for an unknown digest."""
        with self._database.read() as session:
            adapter_row(session, digest)
        return self._blobs.path(digest)

    def verify(self, digest: str) -> Path:
        """Check the signature, and hash the files again; their folder.

        Raises NotFound, or BlobError for altered files or an altered statement.
        """
        with self._database.read() as session:
            row = adapter_row(session, digest)
        if row.purged_at is not None:
            raise BlobError(
                f"the files of version {row.version} were collected on {row.purged_at:%Y-%m-%d}; "
                "import it again, or take another version"
            )
        self._check_statement(row)
        return self._blobs.verify(digest)

    def _check_statement(self, row: AdapterRow) -> None:
        if self.keys.verified_by(canonical(row.statement), row.signature) is None:
            raise BlobError(
                f"the manifest of adapter {row.digest[:12]} was altered, or is signed by no key "
                "that is trusted here; restore it from a backup, or roll back to another version"
            )
        if odd := differences(row):
            raise BlobError(
                f"the record of adapter {row.digest[:12]} was altered: {', '.join(odd)} is not "
                "what its signed manifest says; restore it from a backup"
            )

    def manifest(self, digest: str) -> dict[str, Any]:
        with self._database.read() as session:
            return adapter_row(session, digest).manifest

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

    def provenance(self, digest: str) -> Provenance:
        """Facts, evidence, reviewers, recipe, code and evaluation behind a version. Raises
        NotFound."""
        return provenance(self._database, digest)

    def difference(self, left: Version, right: Version) -> Difference:
        """What the right version knows and measures that the left one does not."""
        return difference(self._database, left, right)

    def collect(
        self,
        *,
        actor: str,
        older_than: dt.timedelta | None = None,
        grace_s: float = GRACE_S,
        dry_run: bool = False,
    ) -> Collected:
        """Remove left-overs and, with `older_than`, the files of versions that nothing needs."""
        return collect(
            self._database,
            self._blobs,
            self._clock,
            actor=actor,
            older_than=older_than,
            grace_s=grace_s,
            dry_run=dry_run,
        )

    def orphans(self) -> list[str]:
        """Digests of stored blobs that no version needs: what a crash left before its row, or after
        its files were given up."""
        with self._database.read() as session:
            held = select(AdapterRow.digest).where(col(AdapterRow.purged_at).is_(None))
            known = set(session.exec(held).all())
        return [digest for digest in self._blobs.digests() if digest not in known]

    # -- verdicts ---------------------------------------------------------------------------------

    def add_evaluation(self, session: Session, row: EvaluationRow) -> int:
        """Store a verdict in the caller's transaction; its id. One that does not say under which
        policy's content it was reached is taken for one under the present policy."""
        if row.policy_digest is None and self.protection.policy_digest is not None:
            row.policy_digest = self.protection.policy_digest()
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
            return latest_evaluation(session, digest)

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
        return [(version, measured(latest[version])) for version in sorted(latest)]

    # -- aliases ----------------------------------------------------------------------------------

    def current(self, alias: str | None = None) -> tuple[int, str | None]:
        """(generation, digest) of an alias (the served one unless another is named); one that never
        moved is at (0, None): the base."""
        with self._database.read() as session:
            row = session.get(AliasRow, alias or self.served)
            return (row.generation, row.digest) if row else (0, None)

    def frozen_by(self, alias: str | None = None) -> str | None:
        """Who forbade promotions of the alias; None when they are allowed."""
        with self._database.read() as session:
            row = session.get(AliasRow, alias or self.served)
            return row.frozen_by if row else None

    def before(self, alias: str | None = None) -> tuple[bool, str | None]:
        """(whether a rollback has somewhere to go, where to)."""
        with self._database.read() as session:
            stack = history.targets(events_of(session, alias or self.served))
        return (True, stack[-2]) if len(stack) > 1 else (False, None)

    def history(self, alias: str | None = None) -> list[Move]:
        """Every move, oldest first."""
        with self._database.read() as session:
            return [move_of(row) for row in events_of(session, alias or self.served)]

    def broken_at(self, alias: str | None = None) -> int | None:
        """The first generation at which the hash chain does not hold; None when it does."""
        with self._database.read() as session:
            return history.broken_at(events_of(session, alias or self.served))

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

        `expected_generation` is what the caller decided upon; Conflict when the alias moved since,
        or is frozen. A protected alias raises NotPromotable unless the latest evaluation of this
        digest passed under the present policy; `override` lets a person promote what is not failed,
        with a reason that stays in the history, and raises NeedsSecondPerson where it takes two.
        BlobError when the files are not what the digest says.
        """
        if digest is not None:
            self.verify(digest)
        with self._database.write() as session:
            row = aliases.alias_row(session, alias, self._clock.now())
            aliases.check_generation(row, expected_generation)
            aliases.refuse_frozen(row)
            event = self._promote(
                session, row, digest, actor=actor, reason=reason, override=override
            )
            if event is not None:
                return move_of(event)
        raise NeedsSecondPerson(
            f"noted that {actor} wants {alias} to serve {(digest or '')[:12]} against the gate; "
            "it moves when somebody else gives the same command"
        )

    def _promote(
        self,
        session: Session,
        row: AliasRow,
        digest: str | None,
        *,
        actor: str,
        reason: str,
        override: bool,
    ) -> AliasEventRow | None:
        """The event; None when an override waits for a second person."""
        action, evaluation = aliases.PROMOTE, None
        if digest is not None:
            if adapter_row(session, digest).purged_at is not None:
                raise BlobError(f"the files of adapter {digest[:12]} have just been collected")
            action, evaluation = aliases.admit(
                session, self.protection, row.name, digest, override=override
            )
            aliases.refuse_synthetic(session, digest)
            if action == aliases.OVERRIDE:
                if not reason.strip():
                    raise NotPromotable("an override needs a reason")
                if self.protection.second_person:
                    wish = aliases.ask_for_override(
                        session, row, digest, actor=actor, reason=reason, now=self._clock.now()
                    )
                    if wish is None:
                        return None
                    reason = f"{wish.reason}; {actor}: {reason}"
                    actor = f"{wish.actor} and {actor}"
        step = Step(
            alias=row.name,
            digest=digest,
            action=action,
            actor=actor,
            reason=reason,
            evaluation=evaluation,
        )
        return self._move(session, row, step)

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
            events = events_of(session, alias)
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
            row = aliases.alias_row(session, alias, self._clock.now())
            step = Step(
                alias=alias,
                digest=wanted,
                action=aliases.ROLLBACK,
                actor=actor,
                reason=reason,
                expected_generation=expected_generation,
            )
            return move_of(self._move(session, row, step))

    def freeze(self, alias: str | None = None, *, actor: str, reason: str) -> Move:
        """Forbid promotions of an alias until it is unfrozen; rollbacks stay possible. Raises
        Conflict when it is frozen already."""
        return self._set_frozen(alias or self.served, history.FREEZE, actor, reason)

    def unfreeze(self, alias: str | None = None, *, actor: str, reason: str) -> Move:
        """Allow promotions again. Raises Conflict when the alias is not frozen."""
        return self._set_frozen(alias or self.served, history.UNFREEZE, actor, reason)

    def _set_frozen(self, alias: str, action: str, actor: str, reason: str) -> Move:
        if not reason.strip():
            raise Conflict(f'to {action} an alias needs a reason: --reason "..."')
        with self._database.write() as session:
            row = aliases.alias_row(session, alias, self._clock.now())
            if (row.frozen_by is not None) == (action == history.FREEZE):
                raise Conflict(f"{alias} is {'' if row.frozen_by else 'not '}frozen already")
            row.frozen_by = actor if action == history.FREEZE else None
            step = Step(alias=alias, digest=row.digest, action=action, actor=actor, reason=reason)
            return move_of(aliases.move(session, row, step, self._clock.now()))

    def _move(self, session: Session, row: AliasRow, step: Step) -> AliasEventRow:
        """The move, and production's releases and changes brought in line with it."""
        now = self._clock.now()
        served = row.name == self.served
        if served:
            aliases.refuse_discarded(session, step.digest)
        event = aliases.move(session, row, step, now)
        if served:
            why = f"{step.action}: {step.reason}"
            align(session, step.digest, actor=step.actor, reason=why, now=now)
        session.flush()
        return event

    # -- inside -----------------------------------------------------------------------------------

    @staticmethod
    def _next_number(session: Session) -> int:
        return (session.exec(select(func.max(AdapterRow.version))).one() or 0) + 1

    def _vouch(self, row: AdapterRow, folder: Path, origin: dict[str, Any] | None) -> None:
        files = hashes([path for path in folder.iterdir() if path.is_file()], folder)
        row.statement = statement_of(row, files, origin)
        row.signature = self.keys.sign(canonical(row.statement))

    def _note(self, session: Session, digest: str, reason: str) -> None:
        now: dt.datetime = self._clock.now()
        record_event(session, "adapter", digest, actor="registry", reason=reason, now=now)
