"""Lists of changes: pages by cursor, live counts, what comes next, saved views.

Owns running a query. A page never loads what it does not show, and a search reads the lines of all
changes once, for its page and its counts together.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import Session, col, func, select

from daemon.clock import Clock
from daemon.review.items import Item, read_items
from daemon.review.query import Order, Query, behind, needs_change, where, with_change
from daemon.store.engine import Database
from daemon.store.rows import ChangeLineRow, ChangeRow, SavedViewRow
from daemon.store.states import ChangeState

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
COUNT_LIMIT = 10_000
"""Counts of a search stop here: "10,000 or more" is all that anybody needs to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some lines, and the cursor of the next ones (None at the end)."""

    items: tuple[Item, ...]
    cursor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """How many changes the query finds, and by what they differ."""

    total: int
    properties: dict[str, int]
    kinds: dict[str, int]
    more: bool = False
    """A search found more than `COUNT_LIMIT`, and stopped counting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A page with its counts, of one state of the database."""

    page: Page
    facets: Facets


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tally:
    """Counts by (property, kind), whatever of both the query asks for; and where each line was
    read, the ids that the query finds, in no order."""

    groups: Counter[tuple[str, str]]
    ids: list[int] | None = None
    more: bool = False

    def facets(self, query: Query) -> Facets:
        """Those of a facet ignore that facet's own choice, so that it can change."""
        by_property: Counter[str] = Counter()
        by_kind: Counter[str] = Counter()
        total = 0
        for (property, kind), count in self.groups.items():
            right, fits = query.property in ("", property), query.kind in ("", kind)
            by_property[property] += count if fits else 0
            by_kind[kind] += count if right else 0
            total += count if right and fits else 0
        return Facets(
            total=total, properties=_named(by_property), kinds=_named(by_kind), more=self.more
        )


class Queue:
    """Blocking reads of the lists."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def look(self, query: Query, *, after: int | None = None, limit: int = PAGE_SIZE) -> Listing:
        """A page and the counts of the whole."""
        with self._database.read() as session:
            tally = self._tally(session, query)
            known = None if tally.more else tally.ids
            return Listing(
                page=self._page(session, query, after, limit, known), facets=tally.facets(query)
            )

    def page(self, query: Query, *, after: int | None = None, limit: int = PAGE_SIZE) -> Page:
        """Up to `limit` changes behind the cursor `after`."""
        with self._database.read() as session:
            return self._page(session, query, after, limit, None)

    def facets(self, query: Query) -> Facets:
        """Live counts."""
        with self._database.read() as session:
            return self._tally(session, query).facets(query)

    def of(self, ids: Sequence[int]) -> list[Item]:
        """These changes, in their order; unknown ids are left out."""
        with self._database.read() as session:
            return self._items(session, list(dict.fromkeys(ids))[:MAX_PAGE_SIZE])

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

    def neighbours(self, query: Query, change_id: int) -> tuple[int | None, int | None]:
        """The changes before and after this one in the list of the query."""
        turned = Order.NEWEST if query.order is Order.OLDEST else Order.OLDEST
        with self._database.read() as session:
            after = self._first(session, query, change_id)
            before = self._first(session, replace(query, order=turned), change_id)
        return before, after

    def following(self, query: Query, change_id: int, *, actor: str) -> int | None:
        """The next change of the query that `actor` may decide, going round once at the end."""
        free = (
            col(ChangeRow.claimed_by).is_(None)
            | (ChangeRow.claimed_by == actor)
            | (col(ChangeRow.claimed_until) <= self._clock.now())
        )
        with self._database.read() as session:
            for cursor in (change_id, None):
                found = self._first(session, query, cursor, free, but=change_id)
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

    def _page(
        self, session: Session, query: Query, after: int | None, limit: int, known: list[int] | None
    ) -> Page:
        """`known` are the ids that the query finds, where they were read already."""
        limit = max(1, min(limit, MAX_PAGE_SIZE))
        if known is None:
            statement = where(select(ChangeLineRow.change_id), query, self._clock.now())
            ids = session.exec(behind(statement, query.order, after).limit(limit + 1)).all()
        else:
            ids = _in_order(known, query.order, after)[: limit + 1]
        items = self._items(session, ids[:limit])
        return Page(items=tuple(items), cursor=ids[limit - 1] if len(ids) > limit else None)

    def _items(self, session: Session, ids: Sequence[int]) -> list[Item]:
        rows = session.exec(select(ChangeRow).where(col(ChangeRow.id).in_(ids))).all()
        known = {row.id: row for row in rows}
        return read_items(session, [known[n] for n in ids if n in known], self._clock.now())

    def _tally(self, session: Session, query: Query) -> _Tally:
        """All counts of a query by one look at the lines."""
        line, wide = ChangeLineRow, replace(query, property="", kind="")
        now = self._clock.now()
        if not query.reads_text:  # the order of the index that holds all of it
            grouped = where(select(line.property, line.kind, func.count()), wide, now)
            rows = session.exec(grouped.group_by(line.state, line.property, line.kind))
            groups: Counter[tuple[str, str]] = Counter()
            for property, kind, count in rows:
                groups[property, kind] += count
            return _Tally(groups=groups)
        found = session.exec(
            where(select(line.change_id, line.property, line.kind), wide, now).limit(COUNT_LIMIT)
        ).all()
        return _Tally(
            groups=Counter((property, kind) for _, property, kind in found),
            ids=[
                number
                for number, property, kind in found
                if query.property in ("", property) and query.kind in ("", kind)
            ],
            more=len(found) == COUNT_LIMIT,
        )

    def _first(
        self,
        session: Session,
        query: Query,
        after: int | None,
        free: Any = None,
        *,
        but: int | None = None,
    ) -> int | None:
        """The first change behind the cursor, of those that are `free`."""
        statement = where(select(ChangeLineRow.change_id), query, self._clock.now())
        if free is not None:
            statement = statement if needs_change(query) else with_change(statement)
            statement = statement.where(free)
        if but is not None:
            statement = statement.where(ChangeLineRow.change_id != but)
        return session.exec(behind(statement, query.order, after).limit(1)).first()


def _in_order(ids: Iterable[int], order: Order, after: int | None) -> list[int]:
    """The ids behind the cursor, in their order."""
    oldest = order is Order.OLDEST
    if after is not None:
        ids = [n for n in ids if (n > after if oldest else n < after)]
    return sorted(ids, reverse=not oldest)


def _named(counts: Counter[str]) -> dict[str, int]:
    """The most frequent first; what has no name is left out."""
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return {name: count for name, count in ordered if name and count}
