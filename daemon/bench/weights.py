"""Which base model the benches run on, and what stamps their stored results.

A stored result counts only for the code and the weights that it was measured with: its key holds
the digest of both.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from daemon.bench.rows import ROOT
from trainer.fingerprint import base_digest

EMBEDDED = ROOT / "trainer" / "embedded" / "weights"
"""The shipped model."""

_CODE = ("knowledge", "trainer", "evaluator")
_BESIDE = (
    "agents/questions.py",
    "daemon/known_facts.py",
    "daemon/bench/arms.py",
    "daemon/bench/case_runs.py",
    "daemon/bench/edit_sets.py",
    "daemon/bench/mquake_sets.py",
)
_NOT = ROOT / "trainer" / "embedded"
"""How the shipped model was made: its weights have a digest of their own."""


def bench_base() -> Path:
    """The base model of a bench: `BASE=PATH`, else the shipped one."""
    return Path(os.environ.get("BASE") or EMBEDDED)


@lru_cache(maxsize=4)
def weight_digest(base: Path) -> str:
    return base_digest(base)


@lru_cache(maxsize=1)
def code_digest() -> str:
    """sha256 over the code that decides a result; recipes and weights have their own digests."""
    whole = hashlib.sha256()
    for path in sorted(_files()):
        whole.update(path.relative_to(ROOT).as_posix().encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _files() -> Iterator[Path]:
    for name in (*_CODE, *_BESIDE):
        path = ROOT / name
        if path.is_file():
            yield path
            continue
        for pattern in ("*.py", "*.csv"):
            yield from (file for file in path.rglob(pattern) if _NOT not in file.parents)
