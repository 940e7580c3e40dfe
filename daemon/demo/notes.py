"""What a demo must remember over a restart and cannot read from the database: its own stopwatch.

Owns `notes.json` in the demo's folder. Losing it loses times, never results.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True, kw_only=True)
class Notes:
    """Seconds by stage, and those of the rollback and of the promotion after it."""

    took_s: dict[str, float] = field(default_factory=dict)
    back_s: float | None = None
    again_s: float | None = None

    @classmethod
    def read(cls, home: Path) -> Notes:
        """The notes of a demo's folder; empty ones where there are none."""
        try:
            return cls(**json.loads((home / "notes.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls()

    def write(self, home: Path) -> None:
        temporary = home / "notes.json.tmp"
        temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")
        os.replace(temporary, home / "notes.json")
