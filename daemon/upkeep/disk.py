"""Room on the disk: whether there is enough to take new work in, and what a full one looks like.

Owns the limit's meaning and the telling of "the disk is full" from every other failure, so that a
full disk is never counted against the item that was at work. Does not stop anything itself.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

_FEW_FILES_BYTES = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_WORDS = (
    "no space left on device",
    "disk is full",
    "disk quota exceeded",
    "could not extend file",
    "disk i/o error",
)
"""How SQLite, PostgreSQL and the system say it; SQLite may call a full disk an I/O error."""


def free_share(folder: Path) -> float:
    """Share of the folder's file system that is free, from 0 to 1."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    return usage.free / usage.total if usage.total else 0.0


def has_room(folder: Path) -> bool:
    """Whether a few files could be written there: a process that could not even write why it ended
    may have ended for that."""
    return shutil.disk_usage(folder).free >= _FEW_FILES_BYTES


def is_full(error: BaseException) -> bool:
    """Whether the failure, or what caused it, is a disk without room."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _FULL:
            return True
        if says_full(str(seen)):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def says_full(text: str) -> bool:
    """Whether the last words of a process, or a message, speak of a full disk."""
    lowered = text.lower()
    return any(words in lowered for words in _WORDS)
