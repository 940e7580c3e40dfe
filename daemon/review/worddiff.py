"""The difference between two texts, word by word. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

_PIECE = re.compile(r"\s+|\w+|[^\w\s]")
_LONGEST = 4_000
"""Pieces of a text that are compared; matching takes time that grows with the square."""


class Side(StrEnum):
    SAME = "same"
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text that both have, that only the old one has, or only the new one."""

    side: Side
    text: str


def word_diff(old: str, new: str) -> tuple[Run, ...]:
    """Runs which, without the new ones, are the old text, and without the gone ones the new."""
    a, b = _PIECE.findall(old), _PIECE.findall(new)
    if len(a) > _LONGEST or len(b) > _LONGEST:
        whole = (Run(Side.GONE, old), Run(Side.NEW, new))
        return tuple(run for run in whole if run.text) if old != new else (Run(Side.SAME, old),)
    runs: list[Run] = []
    for verb, i1, i2, j1, j2 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if verb == "equal":
            runs.append(Run(Side.SAME, "".join(a[i1:i2])))
            continue
        if i2 > i1:
            runs.append(Run(Side.GONE, "".join(a[i1:i2])))
        if j2 > j1:
            runs.append(Run(Side.NEW, "".join(b[j1:j2])))
    return tuple(runs)
