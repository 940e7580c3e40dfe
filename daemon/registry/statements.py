"""What the registry vouches for about one adapter, in a form that can be signed. Pure.

Owns the statement's fields, its canonical bytes, and the comparison of a signed statement with the
row that it belongs to. Signing is `keys`', hashing files `adapters`'.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from daemon.store.rows import AdapterRow
from knowledge.narrative import digest_of

FORMAT = "almanac-version/1"
_CODE = ("knowledge", "trainer")
"""Packages whose code decides what a training makes of its job."""


def statement_of(
    row: AdapterRow, files: dict[str, str], origin: dict[str, Any] | None
) -> dict[str, Any]:
    """What is signed when `row` is registered. `files` gives sha256 by name; `origin` says where an
    imported adapter came from."""
    return {
        "format": FORMAT,
        "digest": row.digest,
        "files": dict(sorted(files.items())),
        **_of_row(row),
        "almanac": _almanac(),
        "code": code_digest() if origin is None else None,
        "origin": origin,
    }


def canonical(statement: dict[str, Any]) -> bytes:
    """The bytes that are signed: sorted keys, no spaces, UTF-8."""
    text = json.dumps(statement, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def differences(row: AdapterRow) -> list[str]:
    """Fields in which the row says something else than its own signed statement."""
    said = row.statement
    wanted = {"format": FORMAT, "digest": row.digest, **_of_row(row)}
    return [name for name, value in wanted.items() if said.get(name) != value]


@lru_cache(maxsize=1)
def code_digest() -> str:
    """sha256 (hex) over the sources that train: the same code has the same digest, in a checkout
    and installed."""
    root = Path(__file__).resolve().parents[2]
    lines = [
        (path.relative_to(root).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest())
        for package in _CODE
        for path in sorted((root / package).rglob("*.py"))
    ]
    return digest_of(lines)


def _of_row(row: AdapterRow) -> dict[str, Any]:
    return {
        "version": row.version,
        "base_model": row.base_model,
        "base_digest": row.manifest.get("base_digest"),
        "parent": row.parent_digest,
        "release": row.release_id,
        "manifest": digest_of(row.manifest),
        "registered_at": row.created_at.isoformat(),
    }


def _almanac() -> str:
    try:
        return version("almanac")
    except PackageNotFoundError:
        return "0"
