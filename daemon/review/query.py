"""A filter of the changes, and its translation into SQL over the narrow lines of the changes.

Owns the query's fields and meaning. Runs nothing: that is `daemon.review.queue`.
"""

from __future__ import annotations

import builtins
import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlmodel import col

from daemon.store.rows import ChangeLineRow, ChangeRow
from daemon.store.states import ChangeState

_LONGEST_SEARCH = 200
_MOST_WORDS = 8


class Checks(StrEnum):
    """What the verifier had to say."""

    CLEAN = "clean"
    OPEN = "open"
    FLAGGED = "flagged"


class Order(StrEnum):
    OLDEST = "oldest"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which changes. Empty fields do not filter; `q` looks for all its words in names and ids."""

    states: tuple[ChangeState, ...] = (ChangeState.IN_REVIEW,)
    q: str = ""
    property: str = ""
    kind: str = ""
    checks: Checks | None = None
    source: str = ""
    """Host of a source of the evidence."""
    claimed_by: str = ""
    """A name, or `nobody`."""
    older_than_h: float | None = None
    order: Order = Order.OLDEST

    @builtins.property
    def reads_text(self) -> bool:
        """Whether every line must be read: no index finds what is looked for."""
        return bool(self.q.strip() or self.source)


def where(statement: Any, query: Query, now: dt.datetime) -> Any:
    """A statement over `ChangeLineRow`, narrowed to the query at this time."""
    found: list[Any] = []
    if query.states and set(query.states) != set(ChangeState):
        found.append(col(ChangeLineRow.state).in_([s.value for s in query.states]))
    if query.property:
        found.append(ChangeLineRow.property == query.property)
    if query.kind:
        found.append(ChangeLineRow.kind == query.kind)
    of_change = _of_change(query, now)
    if of_change:
        statement = with_change(statement)
    return statement.where(*found, *_of_checks(query), *_of_text(query), *of_change)


def with_change(statement: Any) -> Any:
    """The statement with the changes beside their lines."""
    return statement.join(ChangeRow, col(ChangeRow.id) == col(ChangeLineRow.change_id))


def needs_change(query: Query) -> bool:
    """Whether `where` puts the changes beside their lines."""
    return bool(query.claimed_by) or query.older_than_h is not None


def behind(statement: Any, order: Order, after: int | None) -> Any:
    """The statement in its order, from the cursor on."""
    key, oldest = col(ChangeLineRow.change_id), order is Order.OLDEST
    if after is not None:
        statement = statement.where(key > after if oldest else key < after)
    return statement.order_by(key if oldest else key.desc())


def _of_checks(query: Query) -> list[Any]:
    match query.checks:
        case Checks.CLEAN:
            return [col(ChangeLineRow.clean).is_(True)]
        case Checks.OPEN:
            return [col(ChangeLineRow.clean).is_(False)]
        case Checks.FLAGGED:
            return [col(ChangeLineRow.flagged).is_(True)]
        case None:
            return []


def _of_text(query: Query) -> list[Any]:
    words = query.q[:_LONGEST_SEARCH].lower().split()[:_MOST_WORDS]
    found = [col(ChangeLineRow.text).contains(word, autoescape=True) for word in words]
    if query.source:
        found.append(col(ChangeLineRow.sources).contains(f" {query.source} ", autoescape=True))
    return found


def _of_change(query: Query, now: dt.datetime) -> list[Any]:
    found: list[Any] = []
    if query.claimed_by == "nobody":
        found.append(col(ChangeRow.claimed_by).is_(None) | (col(ChangeRow.claimed_until) <= now))
    elif query.claimed_by:
        found.append(ChangeRow.claimed_by == query.claimed_by)
        found.append(col(ChangeRow.claimed_until) > now)
    if query.older_than_h is not None:
        since = now - dt.timedelta(hours=min(query.older_than_h, 1e6))
        found.append(col(ChangeRow.created_at) < since)
    return found
