"""What crashes leave behind: blobs without a row, half-written folders, stale announcements.

Owns finding all of it and, when asked, removing it. Nothing found here was ever referred to by a
row, so removing it needs no decision.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.registry.blobs import Blobs
from daemon.serving.announcement import ANNOUNCEMENT
from daemon.upkeep import backup as backups

if TYPE_CHECKING:
    from daemon.services import Services

_OLD_S = 3600.0
"""Younger things may belong to somebody at work."""


def look(services: Services, *, repair: bool = False) -> str:
    """What is left over, in words; with `repair` it is gone afterwards."""
    found = {
        "adapters stored without a row": _orphans(services),
        "half-written adapters": _old(services.settings.blobs / "tmp", "*"),
        "half-made backups": _old(services.settings.backups, "almanac-*.part"),
        "half-made results": _old(services.settings.job_folder, "*/*.part"),
        "announcements of a gateway that is gone": _announcements(services.settings.home),
    }
    told = [f"{len(paths)} {what}" for what, paths in found.items() if paths]
    if not told:
        return "nothing is left over"
    if not repair:
        return f"{', '.join(told)}; harmless, `almanac doctor --repair` removes them"
    for paths in found.values():
        for path in paths:
            _remove(path)
    return f"removed: {', '.join(told)}"


def _orphans(services: Services) -> list[Path]:
    """Blobs without a row, and old enough to be nobody's work in progress."""
    blobs = Blobs(services.settings.blobs)
    paths = [blobs.path(digest) for digest in services.registry.orphans()]
    return [path for path in paths if _age_s(path) > _OLD_S]


def _old(folder: Path, pattern: str) -> list[Path]:
    return [path for path in sorted(folder.glob(pattern)) if _age_s(path) > _OLD_S]


def _announcements(home: Path) -> list[Path]:
    path = home / ANNOUNCEMENT
    try:
        pid = int(json.loads(path.read_text(encoding="utf-8"))["pid"])
        os.kill(pid, 0)
    except ProcessLookupError:
        return [path]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return []


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _remove(path: Path) -> None:
    if path.is_dir():
        backups.remove(path)
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
