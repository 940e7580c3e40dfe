"""What the gateway knows of versions, and where it learns it: identity, target, material, names.

Owns the value types and the protocol of the registry as the gateway sees it. Storage is the
registry's, loading the engine's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MODEL = "almanac"
"""The model name that never changes: whatever the alias points to answers under it."""

_NUMBERED = re.compile(rf"^(?:{MODEL}@)?v(\d+)$")
_DIGEST = re.compile(rf"^(?:{MODEL}@)?(?:sha256:)?([0-9a-f]{{8,64}})$")


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """One servable set of weights. Number 0 is the base model, with no adapter."""

    number: int
    digest: str

    @property
    def label(self) -> str:
        return f"v{self.number}"

    @property
    def model(self) -> str:
        """The model name under which exactly this version answers."""
        return f"{MODEL}@{self.label}"

    @property
    def fingerprint(self) -> str:
        return f"{self.label}-{self.digest[:12]}"

    @property
    def adapter(self) -> str | None:
        """The name under which the engine holds the adapter; None for the base model.

        Made of the digest, so that a name never stands for two adapters.
        """
        return f"kb-{self.number:06d}-{self.digest[:16]}" if self.number else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the alias points: the version, and the generation of the alias that says so."""

    generation: int
    version: Version
    previous: Version | None = None
    """Where a rollback would go; kept resident, so that it needs no loading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question of the smoke test, and the words of which an answer that is right has one."""

    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What loading a version takes: its checked folder (None for the base) and smoke questions."""

    folder: Path | None
    probes: tuple[Probe, ...]


class VersionSource(Protocol):
    """The registry as the gateway sees it. Calls may block; errors are the registry's."""

    def target(self) -> Target:
        """Where the alias points now."""
        ...

    def versions(self) -> list[Version]:
        """All versions that may be asked for by name, oldest first."""
        ...

    def material(self, version: Version) -> Material:
        """Re-hash the version's files and give its folder. Raises BlobError, NotFound."""
        ...

    def report(self, kind: str, version: Version, detail: str) -> None:
        """Write an event: `gateway.serving`, `gateway.refused`."""
        ...


def named(model: str, versions: list[Version]) -> Version | None:
    """The version that a model name stands for: `almanac@v2`, `v2`, a digest or its beginning."""
    if match := _NUMBERED.match(model):
        return next((v for v in versions if v.number == int(match.group(1))), None)
    if match := _DIGEST.match(model):
        hits = [v for v in versions if v.digest.startswith(match.group(1))]
        return hits[0] if len(hits) == 1 else None
    return next((v for v in versions if v.adapter == model), None)
