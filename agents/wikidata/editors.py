"""Who is known on Wikidata: accounts by age, edits and groups.

Owns what makes an editor confirmed. Does not decide what follows from it (`gate`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agents.wikidata.history import Revision
from agents.wikidata.risk import Editor

LEAST_EDITS = 50
LEAST_AGE = dt.timedelta(days=30)
_TRUSTED = frozenset({"autopatrolled", "rollbacker", "sysop", "bureaucrat", "bot", "confirmed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What Wikidata tells of an account."""

    name: str
    edit_count: int = 0
    registered: dt.datetime | None = None
    groups: frozenset[str] = frozenset()


def is_confirmed(profile: Profile | None, at: dt.datetime) -> bool:
    """Whether somebody is known well enough at that time: 50 edits and 30 days, or trusted by
    others. Accounts older than the register of dates (2005) have no date."""
    if profile is None:
        return False
    if profile.groups & _TRUSTED:
        return True
    old = profile.registered is None or at - profile.registered >= LEAST_AGE
    return old and profile.edit_count >= LEAST_EDITS


def asked_about(revisions: Iterable[Revision]) -> set[str]:
    """Names of the accounts among the editors that a register can tell something of (nothing of
    one whose name is hidden)."""
    return {r.user for r in revisions if r.user and r.editor is Editor.REGISTERED}


def vouched(
    edits: Iterable[Revision], later: Iterable[Revision], profiles: Mapping[str, Profile]
) -> bool:
    """Whether somebody confirmed (or a bot) made one of the edits, or edited the item after them
    without undoing anything: who saw it and left it stands for it."""
    return any(
        r.editor is Editor.BOT or is_confirmed(profiles.get(r.user), r.time)
        for r in (*edits, *(r for r in later if not r.reverting))
    )
