"""The sweep: the guarantee that no change of a watched item is missed, whatever was down how long.

Owns marking items whose latest revision is not the one last looked at, and the backfill of a gap
from recent changes. Does not look at the items.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol

from agents.ledger import DirtyMark, WatchLedger
from agents.wikidata.api import PageInfo, RecentChange

OVERLAP = dt.timedelta(minutes=5)
UNSETTLED = dt.timedelta(seconds=10)
"""Rows so young may still be followed by rows that were committed late."""
KEPT = dt.timedelta(days=29)
"""Recent changes reach 30 days back."""
_BATCH = 500


class Revisions(Protocol):
    """What the sweep asks of Wikidata; `ActionApi` answers it."""

    async def lastrevids(self, items: Iterable[str]) -> dict[str, PageInfo]: ...

    def recentchanges(
        self, since: dt.datetime, until: dt.datetime, *, user: str | None = None
    ) -> AsyncIterator[RecentChange]: ...


async def sweep(api: Revisions, ledger: WatchLedger) -> int:
    """Compare the whole watch list with Wikidata, 50 items a request; the number newly dirty.

    Needs no cursor. Each batch is marked as it comes, so an interrupted sweep loses nothing."""
    watched = await ledger.watched()
    items = sorted(watched)
    fresh = 0
    for start in range(0, len(items), _BATCH):
        part = items[start : start + _BATCH]
        pages = await api.lastrevids(part)
        marks = [
            DirtyMark(item=i, revision=_seen(pages[i], watched[i]), reason="sweep")
            for i in part
            if pages[i].missing or pages[i].redirect or pages[i].revision != watched[i]
        ]
        fresh += await ledger.mark(marks)
    return fresh


async def backfill(
    api: Revisions,
    ledger: WatchLedger,
    since: dt.datetime,
    until: dt.datetime,
    *,
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> int:
    """Mark what recent changes tell of a gap; a gap older than they reach is swept instead.

    Returns the number of items newly dirty."""
    now = clock()
    if now - since > KEPT:
        return await sweep(api, ledger)
    watched = await ledger.watched()
    newest: dict[str, int] = {}
    async for row in api.recentchanges(since - OVERLAP, min(until + OVERLAP, now - UNSETTLED)):
        if row.item in watched:
            newest[row.item] = max(row.revision, newest.get(row.item, 0))
    marks = [DirtyMark(item=i, revision=r, reason="recentchanges") for i, r in newest.items()]
    return await ledger.mark(marks)


def _seen(page: PageInfo, base: int) -> int:
    """The revision to mark: a page that is gone has none newer, yet must be looked at."""
    return max(page.revision, base + 1) if page.missing or page.redirect else page.revision
