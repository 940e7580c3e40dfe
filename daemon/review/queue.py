"""Lists of changes: filters, search, pages by cursor, live counts, what comes next.

Owns the query and its translation into SQL. A page never loads what it does not show.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlmodel import Session, col, func, select

from daemon.clock import Clock
from daemon.review.items import Item, read_items
from daemon.store.engine import Database
from daemon.store.rows import ChangeLineRow, ChangeRow, SavedViewRow
from daemon.store.states import ChangeState

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
_LONGEST_SEARCH = 200
COUNT_LIMIT = 10_000
"""Counts of a filter stop here: "10,000 or more" is all that anybody needs to know."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some lines, and the cursor of the next ones (None at the end)."""

    items: tuple[Item, ...]
    cursor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """How many changes the query finds (at most `COUNT_LIMIT`), and by what they differ."""

    total: int
    properties: dict[str, int]
    kinds: dict[str, int]


class Queue:
    """Blocking reads of the lists."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(self, query: Query, *, after: int | None = None, limit: int = PAGE_SIZE) -> Page:
        """Up to `limit` changes behind the cursor `after`."""
        limit = max(1, min(limit, MAX_PAGE_SIZE))
        with self._database.read() as session:
            rows = self._rows(session, query, after, limit + 1)
            items = read_items(session, rows[:limit], self._clock.now())
        more = rows[limit - 1].id if len(rows) > limit else None
        return Page(items=tuple(items), cursor=more)

    def of(self, ids: Sequence[int]) -> list[Item]:
        """These changes, in their order; unknown ids are left out."""
        with self._database.read() as session:
            rows = session.exec(
                select(ChangeRow).where(col(ChangeRow.id).in_(list(ids)[:MAX_PAGE_SIZE]))
            ).all()
            known = {row.id: row for row in rows}
            return read_items(
                session, [known[n] for n in dict.fromkeys(ids) if n in known], self._clock.now()
            )

    def oldest(self, states: Sequence[ChangeState]) -> dict[str, dt.datetime]:
        """Since when the longest waiting change of each state is in it."""
        with self._database.read() as session:
            rows = session.exec(
                select(ChangeRow.state, func.min(ChangeRow.updated_at))
                .where(col(ChangeRow.state).in_([s.value for s in states]))
                .group_by(col(ChangeRow.state))
            ).all()
            return {state: since for state, since in rows if since is not None}

    def length(self) -> int:
        """Proposals that wait for a decision."""
        with self._database.read() as session:
            return session.exec(
                select(func.count())
                .select_from(ChangeRow)
                .where(ChangeRow.state == ChangeState.IN_REVIEW)
            ).one()

    def facets(self, query: Query) -> Facets:
        """Live counts. Those of a facet ignore that facet's own choice, so that it can change."""
        with self._database.read() as session:
            total = self._count(session, query)
            return Facets(
                total=total,
                properties=self._group(session, replace(query, property=""), ChangeRow.property),
                kinds=self._group(session, replace(query, kind=""), ChangeLineRow.kind),
            )

    def neighbours(self, query: Query, change_id: int) -> tuple[int | None, int | None]:
        """The changes before and after this one in the list of the query."""
        turned = Order.NEWEST if query.order is Order.OLDEST else Order.OLDEST
        with self._database.read() as session:
            after = self._ids(session, query, change_id)
            before = self._ids(session, replace(query, order=turned), change_id)
        return before, after

    def following(self, query: Query, change_id: int, *, actor: str) -> int | None:
        """The next change of the query that `actor` may decide, going round once at the end."""
        now = self._clock.now()
        free = (
            col(ChangeRow.claimed_by).is_(None)
            | (ChangeRow.claimed_by == actor)
            | (col(ChangeRow.claimed_until) <= now)
        )
        with self._database.read() as session:
            for cursor in (change_id, None):
                found = self._ids(session, query, cursor, free, col(ChangeRow.id) != change_id)
                if found is not None:
                    return found
        return None

    # -- saved views ------------------------------------------------------------------------------

    def views(self, owner: str) -> dict[str, str]:
        """Queries by name, as they stand in a URL."""
        with self._database.read() as session:
            rows = session.exec(
                select(SavedViewRow)
                .where(SavedViewRow.owner == owner)
                .order_by(col(SavedViewRow.name))
            )
            return {row.name: row.query for row in rows}

    def save_view(self, owner: str, name: str, query: str) -> None:
        """Keep a query under a name; an empty query forgets it."""
        with self._database.write() as session:
            row = session.get(SavedViewRow, (owner, name[:60]))
            if row is not None and not query:
                session.delete(row)
            elif query:
                session.merge(SavedViewRow(owner=owner, name=name[:60], query=query[:500]))

    # -- SQL --------------------------------------------------------------------------------------

    def _rows(
        self, session: Session, query: Query, after: int | None, limit: int
    ) -> Sequence[ChangeRow]:
        statement = self._where(select(ChangeRow), query)
        return session.exec(_behind(statement, query, after).limit(limit)).all()

    def _ids(
        self, session: Session, query: Query, after: int | None, *conditions: Any
    ) -> int | None:
        statement = self._where(select(ChangeRow.id), query).where(*conditions)
        return session.exec(_behind(statement, query, after).limit(1)).first()

    def _count(self, session: Session, query: Query) -> int:
        some = self._where(select(ChangeRow.id), query).limit(COUNT_LIMIT).subquery()
        return session.exec(select(func.count()).select_from(some)).one()

    def _group(self, session: Session, query: Query, column: Any) -> dict[str, int]:
        some = (
            self._where(
                select(column.label("value")).select_from(ChangeRow),
                query,
                lines=column is ChangeLineRow.kind,
            )
            .limit(COUNT_LIMIT)
            .subquery()
        )
        rows = session.exec(
            select(some.c.value, func.count())
            .group_by(some.c.value)
            .order_by(func.count().desc(), some.c.value)
        )
        return {str(value): count for value, count in rows if value}

    def _where(self, statement: Any, query: Query, *, lines: bool = False) -> Any:
        conditions: list[Any] = []
        if query.states and set(query.states) != set(ChangeState):
            conditions.append(col(ChangeRow.state).in_([s.value for s in query.states]))
        if query.property:
            conditions.append(ChangeRow.property == query.property)
        if query.claimed_by == "nobody":
            now = self._clock.now()
            conditions.append(
                col(ChangeRow.claimed_by).is_(None) | (col(ChangeRow.claimed_until) <= now)
            )
        elif query.claimed_by:
            conditions.append(ChangeRow.claimed_by == query.claimed_by)
            conditions.append(col(ChangeRow.claimed_until) > self._clock.now())
        if query.older_than_h is not None:
            since = self._clock.now() - dt.timedelta(hours=min(query.older_than_h, 1e6))
            conditions.append(col(ChangeRow.created_at) < since)
        of_line = _line_conditions(query)
        if of_line or lines:
            statement = statement.join(
                ChangeLineRow, col(ChangeLineRow.change_id) == col(ChangeRow.id)
            )
        return statement.where(*conditions, *of_line)


def _line_conditions(query: Query) -> list[Any]:
    found: list[Any] = []
    for word in query.q[:_LONGEST_SEARCH].lower().split()[:8]:
        found.append(col(ChangeLineRow.text).contains(word, autoescape=True))
    if query.kind:
        found.append(ChangeLineRow.kind == query.kind)
    if query.source:
        found.append(col(ChangeLineRow.sources).contains(f" {query.source} ", autoescape=True))
    match query.checks:
        case Checks.CLEAN:
            found.append(col(ChangeLineRow.clean).is_(True))
        case Checks.OPEN:
            found.append(col(ChangeLineRow.clean).is_(False))
        case Checks.FLAGGED:
            found.append(col(ChangeLineRow.flagged).is_(True))
        case None:
            pass
    return found


def _behind(statement: Any, query: Query, after: int | None) -> Any:
    """The statement in its order, from the cursor on."""
    oldest = query.order is Order.OLDEST
    if after is not None:
        key = col(ChangeRow.id)
        statement = statement.where(key > after if oldest else key < after)
    return statement.order_by(col(ChangeRow.id) if oldest else col(ChangeRow.id).desc())
