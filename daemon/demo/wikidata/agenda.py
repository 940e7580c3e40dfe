"""When each item is busy, so that stories which undo themselves are not cut into by others.

Owns booking of time spans per item. Times are whole seconds since the scenario's start.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

_TRIES = 40


class Agenda:
    """Busy spans of items; spans of one item never overlap."""

    def __init__(self) -> None:
        self._busy: dict[str, list[tuple[int, int]]] = defaultdict(list)

    def book(self, items: Iterable[str], first: int, last: int) -> None:
        """Note that these items are busy, whether or not they were free."""
        for item in items:
            spans = self._busy[item]
            spans.insert(bisect_left(spans, (first, last)), (first, last))

    def free(self, item: str, first: int, last: int) -> bool:
        return all(last < a or b < first for a, b in self._busy[item])

    def place(
        self, rng: random.Random, items: Iterable[str], length: int, earliest: int, latest: int
    ) -> int | None:
        """Book `length` seconds between the bounds on all items; None when there is no room."""
        items = tuple(items)
        if latest - length < earliest:
            return None
        for _ in range(_TRIES):
            first = rng.randint(earliest, latest - length)
            if all(self.free(item, first, first + length) for item in items):
                self.book(items, first, first + length)
                return first
        return None
