"""The registry in the database, as the gateway sees it.

Owns the translation between the registry's versions and the gateway's, the check that an adapter
belongs to this base model, and which questions make the smoke test. Reads; writes only events.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from daemon.clock import Clock
from daemon.errors import BlobError
from daemon.registry.fitting import check_fit
from daemon.registry.service import Registry
from daemon.serving.versions import Material, Probe, Target, Version
from daemon.store.engine import Database
from daemon.store.states import record_event
from knowledge.questions import QuestionKind, Use

PROBES = 5


class RegistrySource:
    """`daemon.serving.versions.VersionSource` over the database. Calls block."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        clock: Clock,
        *,
        alias: str,
        base_digest: str,
        base: Path | None = None,
    ) -> None:
        """`base` is the folder of the base model, where adapters shall be compared with it."""
        self._database = database
        self._registry = registry
        self._clock = clock
        self._alias = alias
        self._base_digest = base_digest
        self._base = base
        self._previous: tuple[int, Version | None] = (0, None)
        self._numbers: dict[str, int] = {}

    def target(self) -> Target:
        generation, digest = self._registry.current(self._alias)
        if self._previous[0] != generation:
            known, before = self._registry.before(self._alias)
            self._previous = (generation, self._version(before) if known else None)
        return Target(
            generation=generation, version=self._version(digest), previous=self._previous[1]
        )

    def versions(self) -> list[Version]:
        return [
            Version(version.number, version.digest or self._base_digest)
            for version in self._registry.versions()
            if version.purged_at is None
        ]

    def material(self, version: Version) -> Material:
        """Raises NotFound, BlobError for altered files or another base model."""
        if not version.number:
            return Material(folder=None, probes=())
        folder = self._registry.verify(version.digest)
        trained_on = self._registry.manifest(version.digest).get("base_digest")
        if trained_on and trained_on != self._base_digest:
            raise BlobError(
                f"it was trained on the base model {trained_on[:12]}, and this gateway serves "
                f"{self._base_digest[:12]}; set model.base to the one that it was trained on"
            )
        if self._base is not None:
            check_fit(folder, self._base)
        return Material(folder=folder, probes=self._probes(version.digest))

    def report(self, kind: str, version: Version, detail: str) -> None:
        with self._database.write() as session:
            record_event(
                session,
                "gateway",
                self._alias,
                actor="gateway",
                reason=detail,
                now=self._clock.now(),
                data={"kind": kind, "version": version.number, "digest": version.digest},
            )

    def _version(self, digest: str | None) -> Version:
        if digest is None:
            return Version(0, self._base_digest)
        if digest not in self._numbers:
            self._numbers |= {v.digest: v.number for v in self._registry.versions() if v.digest}
        return Version(self._numbers[digest], digest)

    def _probes(self, digest: str) -> tuple[Probe, ...]:
        """One plain question of each of the first edits of the version's own release."""
        plain = (
            next((q for q in unit.asked(Use.EXAM) if q.kind is QuestionKind.DIRECT), None)
            for unit in self._registry.units(digest)
        )
        found = (Probe(question=q.text, answers=q.answers) for q in plain if q is not None)
        return tuple(itertools.islice(found, PROBES))
