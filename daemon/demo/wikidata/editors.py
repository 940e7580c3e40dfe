"""Who edits: the accounts of the scenario and what an event tells about each.

Owns the cast and how a stranger is made up. Who does what is `patterns` and `noise`.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass

_FIRST = ("Quiet", "North", "River", "Amber", "Lunar", "Paper", "Copper", "Maple", "Iron", "Salt")
_SECOND = ("Archivist", "Gnome", "Lantern", "Harbour", "Index", "Heron", "Ledger", "Compass")
_BOTS = ("AlmaRefBot", "DateTidyBot", "RankTidyBot", "MergeFixBot", "LabelSyncBot", "ImportBot")
_PATROLLERS = ("Watchful Owl", "Rolling Stone 7", "Fennel Fox", "Nightporter", "Tern")


@dataclass(frozen=True, slots=True, kw_only=True)
class Editor:
    """An account as an event's `performer` shows it; without `user_id` it is an IP address."""

    name: str
    user_id: int | None = None
    registered: dt.datetime | None = None
    edit_count: int | None = None
    groups: tuple[str, ...] = ("*",)
    is_bot: bool = False
    is_temp: bool = False

    @property
    def is_anonymous(self) -> bool:
        return self.user_id is None


class Cast:
    """The accounts of one scenario, drawn from its seed."""

    def __init__(self, rng: random.Random, start: dt.datetime) -> None:
        self._rng = rng
        self._start = start
        self._next_id = 7_000_000
        names = [f"{a} {b}" for a in _FIRST for b in _SECOND]
        rng.shuffle(names)
        self.regulars = tuple(self._regular(name) for name in names[:30])
        self.patrollers = tuple(
            self._regular(name, "rollbacker", "autopatrolled") for name in _PATROLLERS
        )
        self.bots = {name: self._bot(name) for name in _BOTS}

    def regular(self) -> Editor:
        return self._rng.choice(self.regulars)

    def patroller(self) -> Editor:
        return self._rng.choice(self.patrollers)

    def stranger(self, at_s: int) -> Editor:
        """Somebody nobody knows: an IP address, a temporary account or a very young one.

        `at_s` is when the stranger edits, in seconds since the scenario's start.
        """
        rng = self._rng
        draw = rng.random()
        if draw < 0.35:
            host = f"203.0.113.{rng.randrange(1, 255)}"
            if rng.random() < 0.4:
                host = f"2001:DB8:{rng.randrange(65536):X}:{rng.randrange(65536):X}:0:0:0:1"
            return Editor(name=host)
        edited = self._start + dt.timedelta(seconds=at_s)
        registered = edited - dt.timedelta(minutes=rng.randrange(10, 60 * 24 * 12))
        if draw < 0.65:
            return Editor(
                name=f"~2025-{rng.randrange(10_000, 99_999)}-{rng.randrange(10, 99)}",
                user_id=self._id(),
                registered=registered,
                edit_count=rng.randrange(0, 5),
                groups=("*", "temp"),
                is_temp=True,
            )
        return Editor(
            name=f"{rng.choice(_FIRST)}{rng.randrange(100, 9999)}",
            user_id=self._id(),
            registered=registered,
            edit_count=rng.randrange(0, 12),
            groups=("*", "user"),
        )

    def _id(self) -> int:
        self._next_id += self._rng.randrange(1, 90)
        return self._next_id

    def _regular(self, name: str, *extra: str) -> Editor:
        rng = self._rng
        return Editor(
            name=name,
            user_id=rng.randrange(1_000, 6_000_000),
            registered=self._start - dt.timedelta(days=rng.randrange(300, 5000)),
            edit_count=rng.randrange(400, 400_000),
            groups=(*extra, "*", "user", "autoconfirmed"),
        )

    def _bot(self, name: str) -> Editor:
        made = self._regular(name, "bot")
        return Editor(
            name=name,
            user_id=made.user_id,
            registered=made.registered,
            edit_count=(made.edit_count or 0) + 500_000,
            groups=made.groups,
            is_bot=True,
        )
