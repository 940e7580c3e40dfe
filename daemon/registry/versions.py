"""Versions and moves as people see them, and the reading of a version's name. Pure.

Owns the value types. Rows stay inside the registry.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.errors import NotFound
from daemon.store.rows import AdapterRow, AliasEventRow, EvaluationRow


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
    purged_at: dt.datetime | None = None
    """When garbage collection took its files."""


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


def version_of(row: AdapterRow, evaluation: EvaluationRow | None) -> Version:
    return Version(
        number=row.version,
        digest=row.digest,
        parent=row.parent_digest,
        release=row.release_id,
        size_bytes=row.size_bytes,
        created_at=row.created_at,
        verdict=evaluation.verdict if evaluation else None,
        purged_at=row.purged_at,
    )


def move_of(row: AliasEventRow) -> Move:
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


def named(name: str, versions: Sequence[Version]) -> Version:
    """A version by number (`3`, `v3`), by `base`, or by a digest's beginning (8 characters).

    Raises NotFound, also when the beginning fits several. `versions` starts with the base model.
    """
    text = name.strip().lower()
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
