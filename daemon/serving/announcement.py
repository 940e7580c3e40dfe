"""The file in the home that says where the gateway listens: written by it, read by everybody else.

Owns its name and form.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ANNOUNCEMENT = "gateway.json"


@contextmanager
def announced(home: Path, url: str) -> Iterator[Path]:
    """While inside, `home/gateway.json` says where the gateway listens and as which process."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / ANNOUNCEMENT
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
    os.replace(temporary, path)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def announced_url(home: Path) -> str | None:
    """Where the gateway of this home listens; None when none says so."""
    try:
        url = json.loads((home / ANNOUNCEMENT).read_text(encoding="utf-8"))["url"]
    except (OSError, ValueError, KeyError):
        return None
    return url if isinstance(url, str) else None
