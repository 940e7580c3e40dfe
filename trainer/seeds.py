"""Seeds and data order as pure functions of the job, the stage and the step.

No generator lives longer than a step, so a position in the schedule is all that a resumed run
needs to draw the same numbers.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


def derive(seed: int, *parts: object) -> int:
    """A seed of 63 bits for one use of one job."""
    text = "/".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class Shuffled(Generic[T]):
    """An endless stream over rows, shuffled anew each round; any position is found directly."""

    def __init__(self, rows: Sequence[T], seed: int) -> None:
        self._rows = list(rows)
        self._seed = seed
        self._round = -1
        self._order: list[T] = []

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, start: int, count: int) -> list[T]:
        """The rows at positions `start` to `start + count`; none of an empty stream."""
        return [self._at(p) for p in range(start, start + count)] if self._rows else []

    def _at(self, position: int) -> T:
        turn, place = divmod(position, len(self._rows))
        if turn != self._round:
            self._order = list(self._rows)
            random.Random(derive(self._seed, turn)).shuffle(self._order)
            self._round = turn
        return self._order[place]


def shares(batch: int, replay: float, anchor: float, *, have: tuple[bool, bool]) -> list[int]:
    """How many of a batch's rows are (edits, replay, anchors); a missing source's share goes to
    the edits, and each source that is there gets at least one row."""
    of_replay = max(1, round(batch * replay)) if have[0] and replay > 0 else 0
    of_anchor = max(1, round(batch * anchor)) if have[1] and anchor > 0 else 0
    of_edits = max(1, batch - of_replay - of_anchor)
    return [of_edits, of_replay, of_anchor]
