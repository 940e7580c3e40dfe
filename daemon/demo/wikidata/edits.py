"""One edit of the scenario: planned (what to change, when, by whom) and made (the revision).

Owns the value types and the labels of truth. Truth is for the demo's report; no protocol serves it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from daemon.demo.wikidata.editors import Editor
from daemon.demo.wikidata.snaks import Json


class EditKind(StrEnum):
    """What the page stream calls the change of a page."""

    EDIT = "edit"
    CREATE = "create"
    DELETE = "delete"


class Pattern(StrEnum):
    """The ways in which a succession is entered on Wikidata."""

    ENDED_AND_REPLACED = "ended_and_replaced"
    STALE_PREFERRED = "stale_preferred"
    RANK_LAST = "rank_last"
    ENTERED_EARLY = "entered_early"
    SEVERAL_DAYS = "several_days"
    OFFICE_FIRST = "office_first"


class Kind(StrEnum):
    """What an edit really is. Everything but the first two is noise."""

    SUCCESSION = "succession"
    CORROBORATION = "corroboration"
    VANDALISM = "vandalism"
    GRANULARITY = "granularity"
    LINK_FIX = "link_fix"
    FUTURE_START = "future_start"
    DUPLICATE = "duplicate_claim"
    MERGE = "merge"
    BULK_RUN = "bulk_run"
    EDIT_WAR = "edit_war"
    ACTING = "acting_holder"
    SAME_NAME = "same_name"
    LABEL = "label"
    REFERENCE = "reference"
    TERMS = "terms_and_links"
    TIME_FORMAT = "time_format"
    JUNK_ITEM = "junk_item"


NOISE_KINDS = tuple(k for k in Kind if k not in (Kind.SUCCESSION, Kind.CORROBORATION))


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What an edit is about: its kind, the slot it touches (None: none), its story."""

    kind: Kind
    slot: str | None
    story: int

    @property
    def is_noise(self) -> bool:
        return self.kind not in (Kind.SUCCESSION, Kind.CORROBORATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A planned edit.

    `at` is in seconds since the scenario's start. `change` alters the item in place; `restores`
    instead brings back the text that the item had after so many edits of this story (0: before
    the first). In the comment of a revert `{bad}`, `{bad_user}` and `{good_user}` name the undone
    revision, its author and the author of the restored one.
    """

    at: int
    item: str
    editor: Editor
    comment: str
    truth: Truth
    change: Callable[[Json], None] | None = None
    restores: int | None = None
    redirect: str | None = None
    kind: EditKind = EditKind.EDIT
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A revision: who changed which item when, and the item's text after it.

    `content` is the storage JSON, None once deleted. `reverted_at` is when a later edit undid this
    one: from then on it carries the tag `mw-reverted`. `sha1` is hexadecimal.
    """

    time: dt.datetime
    item: str
    page_id: int
    revision: int
    parent_revision: int
    editor: Editor
    comment: str
    tags: tuple[str, ...]
    content: bytes | None
    sha1: str
    kind: EditKind
    redirect: str | None
    reverted_at: dt.datetime | None
    truth: Truth | None
    """None for the revision that an item has before the scenario."""
