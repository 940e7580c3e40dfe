"""Facts as Wikidata states them: entities, dates, statements, and a change between two states.

Owns the value types that every other package passes around. Does not parse Wikidata's JSON
(`agents.wikidata`), decide what a change means (`agents.wikidata.classify`) or store anything.

Keys are item ids, property ids and statement ids; labels are for people and never compared.
Item ids from `LOCAL_ID_START` on are Almanac's own: entities whose Wikidata id is not verified.
"""

from __future__ import annotations

import builtins
import calendar
import datetime as dt
import re
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

LOCAL_ID_START = 2_000_000_000
"""First numeric item id of Almanac's local range (Wikidata's own ids are far below)."""

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_ISO = re.compile(r"^(\d{1,4})(?:-(\d{2})(?:-(\d{2}))?)?$")
_WIKIBASE = re.compile(r"^([+-])(\d+)-(\d{2})-(\d{2})T")


def is_local_id(item_id: str) -> bool:
    """True for an item id of Almanac's own range, which must never be shown as Wikidata's."""
    return item_id.startswith("Q") and int(item_id[1:]) >= LOCAL_ID_START


class Precision(IntEnum):
    """Wikibase time precision, as far as facts about offices need it."""

    YEAR = 9
    MONTH = 10
    DAY = 11


@dataclass(frozen=True, slots=True)
class Date:
    """A calendar date known to the year, the month or the day (proleptic Gregorian, CE)."""

    year: int
    month: int | None = None
    day: int | None = None

    @property
    def precision(self) -> Precision:
        if self.day:
            return Precision.DAY
        return Precision.MONTH if self.month else Precision.YEAR

    @classmethod
    def parse(cls, text: str) -> Date:
        """Read an ISO prefix: `2023`, `2023-02` or `2023-02-16`. Raises ValueError."""
        match = _ISO.match(text.strip())
        if not match:
            raise ValueError(f"{text!r} is not a date of the form YYYY, YYYY-MM or YYYY-MM-DD")
        year, month, day = match.groups()
        value = cls(int(year), int(month) if month else None, int(day) if day else None)
        value.earliest()  # raises on a month 13 or a 31 June
        return value

    @classmethod
    def of(cls, text: str) -> Date | None:
        """As `parse`, but an empty text is None."""
        return cls.parse(text) if text.strip() else None

    @classmethod
    def from_wikibase(cls, time: str, precision: int) -> Date | None:
        """Read Wikibase's `+2023-02-16T00:00:00Z`; None for BCE and for less than a year."""
        match = _WIKIBASE.match(time)
        if not match or match.group(1) == "-" or precision < Precision.YEAR:
            return None
        year, month, day = (int(match.group(i)) for i in (2, 3, 4))
        if precision == Precision.YEAR or month == 0:
            return cls(year)
        return (
            cls(year, month) if precision == Precision.MONTH or day == 0 else cls(year, month, day)
        )

    def to_wikibase(self) -> str:
        """The time string that Wikibase stores, with zeros for what is not known."""
        return f"+{self.year:04d}-{self.month or 0:02d}-{self.day or 0:02d}T00:00:00Z"

    def iso(self) -> str:
        parts = [f"{self.year:04d}", f"{self.month:02d}" if self.month else ""]
        parts.append(f"{self.day:02d}" if self.day else "")
        return "-".join(p for p in parts if p)

    def text(self) -> str:
        """As people write it: `16 February 2023`, `February 2023`, `2023`."""
        words = [str(self.day)] if self.day else []
        if self.month:
            words.append(MONTHS[self.month - 1])
        return " ".join([*words, str(self.year)])

    def earliest(self) -> dt.date:
        return dt.date(self.year, self.month or 1, self.day or 1)

    def latest(self) -> dt.date:
        month = self.month or 12
        return dt.date(self.year, month, self.day or calendar.monthrange(self.year, month)[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """An item: its id is its identity, label and aliases are what people call it."""

    id: str
    label: str
    aliases: tuple[str, ...] = ()
    kind: str = ""
    """Coarse type in one word (country, person, club, ...); empty when unknown."""

    @property
    def names(self) -> tuple[str, ...]:
        """Label first, then aliases: every accepted name of the entity."""
        return (self.label, *self.aliases)


class SnakKind(StrEnum):
    VALUE = "value"
    SOMEVALUE = "somevalue"
    NOVALUE = "novalue"


class Rank(StrEnum):
    PREFERRED = "preferred"
    NORMAL = "normal"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snak:
    """One property-value pair in canonical form.

    `value` is canonical text: an item id, `<wikibase time>/<precision>`, `<amount> <unit>`, or the
    string itself; empty unless `kind` is VALUE. Two snaks that say the same compare equal.
    """

    property: str
    kind: SnakKind = SnakKind.VALUE
    datatype: str = "wikibase-item"
    value: str = ""

    def date(self) -> Date | None:
        """The value as a date; None when it is no time or coarser than a year."""
        if self.datatype != "time" or self.kind is not SnakKind.VALUE:
            return None
        time, _, precision = self.value.partition("/")
        return Date.from_wikibase(time, int(precision or Precision.DAY))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement of an item, with what qualifies and supports it."""

    id: str
    subject: str
    mainsnak: Snak
    rank: Rank = Rank.NORMAL
    qualifiers: tuple[Snak, ...] = ()
    references: tuple[tuple[Snak, ...], ...] = ()

    @property
    def property(self) -> str:
        return self.mainsnak.property

    def qualifier(self, property_id: str) -> Snak | None:
        """The first qualifier of that property, if there is one."""
        return next((q for q in self.qualifiers if q.property == property_id), None)


class ChangeKind(StrEnum):
    """What a difference between two states of an item is (DESIGN 3). Only some are of the world."""

    SUCCESSION = "succession"
    START = "start"
    END = "end"
    LATE_ENTRY = "late_entry"
    CORRECTION = "correction"
    GRANULARITY = "granularity"
    LINK_CHANGE = "link_change"
    FORMAT = "format"
    RANK_ONLY = "rank_only"
    REVERT = "revert"
    VANDALISM_SUSPECT = "vandalism_suspect"
    MERGE = "merge_or_redirect"
    BULK_RUN = "bulk_run"
    NOT_STARTED = "not_started"
    DUPLICATE = "duplicate_claim"
    AMBIGUOUS = "ambiguous"
    ACTING = "acting_holder"
    NO_CHANGE = "no_change"

    @property
    def is_world_change(self) -> bool:
        """True for the kinds that go on to become proposals."""
        return self in WORLD_CHANGES


WORLD_CHANGES = frozenset(
    {ChangeKind.SUCCESSION, ChangeKind.START, ChangeKind.END, ChangeKind.LATE_ENTRY}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactChange:
    """One changed fact: what `property` of `subject` was, what it is now, and since when.

    `old` or `new` is None for a start or an end. Dates are of the event, not of the edit.
    """

    subject: Entity
    property: str
    old: Entity | None
    new: Entity | None
    kind: ChangeKind
    old_statement: str | None = None
    new_statement: str | None = None
    ended: Date | None = None
    """End of the old state (P582)."""
    started: Date | None = None
    """Start of the new state (P580)."""
    cause: Entity | None = None
    """End cause of the old state (P1534), if Wikidata states one."""
    base_revision: int = 0
    head_revision: int = 0
    reason: str = ""
    """The evidence that decided `kind`, in one sentence."""
    corroborations: tuple[str, ...] = field(default=())
    """What agrees independently: statements of other items (`item:property`), or the sources of two
    references (`host:P854`, `item:P248`)."""

    @builtins.property
    def key(self) -> str:
        """Identity of the change: the same fact changed in the same way, whenever it was seen."""
        old = self.old.id if self.old else "-"
        new = self.new.id if self.new else "-"
        return f"{self.subject.id}:{self.property}:{old}:{new}"

    @builtins.property
    def slot(self) -> str:
        """The fact that changed, `subject:property`: two changes of one slot contradict."""
        return f"{self.subject.id}:{self.property}"
