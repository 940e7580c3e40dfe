"""What the watcher writes into an item's base beside the item itself.

Owns reading and writing that part of the base JSON (under `almanac`): the day the state was
accepted, properties that are still open and since which revision, changes that were emitted,
differences that were already reported.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.wikidata.classify import Emitted

KEY = "almanac"


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """`starts` and `days` are by property; `told` are identities of reported differences."""

    day: dt.date | None = None
    starts: Mapping[str, int] = field(default_factory=dict)
    days: Mapping[str, dt.date] = field(default_factory=dict)
    emitted: Mapping[str, Emitted] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    legacy: dt.date | None = None
    """The base is not what was seen at a look but what held on this day, long before."""

    @classmethod
    def read(cls, entity: Mapping[str, Any] | None) -> Memory:
        raw = (entity or {}).get(KEY) or {}
        return cls(
            day=dt.date.fromisoformat(raw["day"]) if raw.get("day") else None,
            starts={p: int(r) for p, r in raw.get("starts", {}).items()},
            days={p: dt.date.fromisoformat(d) for p, d in raw.get("days", {}).items()},
            emitted={p: _emitted(e) for p, e in raw.get("emitted", {}).items()},
            told=tuple(raw.get("told", ())),
            legacy=dt.date.fromisoformat(raw["legacy"]) if raw.get("legacy") else None,
        )

    def write(self) -> dict[str, Any]:
        return {
            "day": self.day.isoformat() if self.day else None,
            "starts": dict(sorted(self.starts.items())),
            "days": {p: d.isoformat() for p, d in sorted(self.days.items())},
            "emitted": {
                p: {
                    "old": e.old,
                    "new": e.new,
                    "old_statement": e.old_statement,
                    "new_statement": e.new_statement,
                    "at": e.at.isoformat(),
                }
                for p, e in sorted(self.emitted.items())
            },
            "told": list(self.told),
            "legacy": self.legacy.isoformat() if self.legacy else None,
        }

    def since(self, base_revision: int) -> int:
        """The revision from which history must be read again."""
        return min([base_revision, *self.starts.values()])


def _emitted(raw: Mapping[str, Any]) -> Emitted:
    return Emitted(
        old=raw["old"],
        new=raw["new"],
        old_statement=raw["old_statement"],
        new_statement=raw["new_statement"],
        at=dt.datetime.fromisoformat(raw["at"]),
    )
