"""Who made an edit and how far that is a reason to wait.

Owns editor classes by name and flags, revert marks by tag and comment, and the summary of an edit
without what varies from item to item (to recognise a bulk run). Does not judge values.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from enum import StrEnum

REVERTING_TAGS = frozenset({"mw-rollback", "mw-undo", "mw-manual-revert"})

_TEMPORARY_NAME = re.compile(r"^~\d{4}-")
_UNDOING = re.compile(r"^/\* *(undo|restore|rollback)\b|^(Reverted edits? by|Undid revision)", re.I)
_UNDONE = re.compile(r"^/\* *undo:[^|]*\|\|(\d+)")
_ENTITY = re.compile(r"\[\[(?:Property:)?[PQL]\d+[^\]]*\]\]|\b[PQL]\d+\b")
_AUTO = re.compile(r"/\*\s*([\w-]+)[^*]*\*/")


class Editor(StrEnum):
    """What the name and the flags say about an editor."""

    ANONYMOUS = "anonymous"
    TEMPORARY = "temporary"
    BOT = "bot"
    REGISTERED = "registered"


def editor(user: str, *, bot: bool = False, temporary: bool = False) -> Editor:
    """The class of an editor: an IP address, a temporary `~2025-...` account, a bot, or a person
    with an account."""
    if temporary or _TEMPORARY_NAME.match(user):
        return Editor.TEMPORARY
    try:
        ipaddress.ip_address(user)
    except ValueError:
        pass
    else:
        return Editor.ANONYMOUS
    if bot or re.search(r"bot\b|bot$", user, re.IGNORECASE):
        return Editor.BOT
    return Editor.REGISTERED


def is_unconfirmed(kind: Editor) -> bool:
    return kind in (Editor.ANONYMOUS, Editor.TEMPORARY)


def is_reverting(tags: Iterable[str], comment: str) -> bool:
    """Whether an edit calls itself an undo, a rollback or a restoration."""
    return bool(REVERTING_TAGS.intersection(tags)) or bool(_UNDOING.match(comment))


def undone_revision(comment: str) -> int | None:
    """The revision that an undo names in its summary."""
    match = _UNDONE.match(comment)
    return int(match.group(1)) if match else None


def run_summary(comment: str) -> str:
    """A summary without ids and values: equal for the edits of one run over many items."""
    action = "".join(_AUTO.findall(comment)[:1])
    rest = re.sub(r"\d+", "#", _ENTITY.sub("*", _AUTO.sub("", comment)))
    return f"{action}|{' '.join(rest.split())}".casefold()
