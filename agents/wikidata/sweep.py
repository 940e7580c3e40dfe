"""The sweep: the guarantee that no change of a watched item is missed, whatever was down how long.

Owns marking items whose latest revision is not the one last looked at, and the backfill of a gap
from recent changes. Does not look at the items.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Protocol

from agents.ledger import DirtyMark, WatchLedger
from agents.wikidata.api import BATCH, PageInfo, RecentChange

OVERLAP = dt.timedelta(minutes=5)
UNSETTLED = dt.timedelta(seconds=10)
"""Rows so young may still be followed by rows that were committed late."""
KEPT = dt.timedelta(days=29)
"""Recent changes reach 30 days back."""
ROWS_A_DAY = 850_000
"""Recent changes of items on Wikidata."""
ROWS_A_REQUEST = 500
_BATCH = 500


class Revisions(Protocol):
    """What the sweep asks of Wikidata; `ActionApi` answers it."""

    async def lastrevids(self, items: Iterable[str]) -> dict[str, PageInfo]: ...

    def recentchanges(
        self, since: dt.datetime, until: dt.datetime, *, user: str | None = None
    ) -> AsyncIterator[RecentChange]: ...


async def sweep(api: Revisions, ledger: WatchLedger) -> int:
    """Compare the whole watch list with Wikidata, 50 items a request; the number newly dirty.

    Items that were merged or deleted are compared as well: one whose page is there again goes on.
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
    return fresh + await _returned(api, ledger)


async def _returned(api: Revisions, ledger: WatchLedger) -> int:
    """Watch again what was gone and is not any more; the number."""
    gone = sorted(await ledger.gone())
    fresh = 0
    for start in range(0, len(gone), _BATCH):
        pages = await api.lastrevids(gone[start : start + _BATCH])
        back = [i for i, page in pages.items() if not page.missing and not page.redirect]
        fresh += await ledger.watch(back) if back else 0
    return fresh


async def backfill(
    api: Revisions,
    ledger: WatchLedger,
    since: dt.datetime,
    until: dt.datetime,
    *,
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    rows_a_day: int = ROWS_A_DAY,
) -> int:
    """Mark what was edited in a gap, from recent changes; by a sweep where they do not reach so
    far back, or where that takes fewer requests (`rows_a_day` is how many they are).

    Each page is marked as it comes. Returns the number of items newly dirty."""
    now = clock()
    since, until = since - OVERLAP, min(until + OVERLAP, now - UNSETTLED)
    watched = await ledger.watched()
    rows = (until - since) / dt.timedelta(days=1) * rows_a_day
    if now - since > KEPT or len(watched) / BATCH < rows / ROWS_A_REQUEST:
        return await sweep(api, ledger)
    fresh = read = 0
    newest: dict[str, int] = {}
    async for row in api.recentchanges(since, until):
        if row.item in watched:
            newest[row.item] = max(row.revision, newest.get(row.item, 0))
        read += 1
        if read % ROWS_A_REQUEST == 0:
            fresh += await _mark(ledger, newest)
            newest = {}
    return fresh + await _mark(ledger, newest)


async def _mark(ledger: WatchLedger, newest: Mapping[str, int]) -> int:
    marks = [DirtyMark(item=i, revision=r, reason="recentchanges") for i, r in newest.items()]
    return await ledger.mark(marks) if marks else 0


def _seen(page: PageInfo, base: int) -> int:
    """The revision to mark: a page that is gone has none newer, yet must be looked at."""
    return max(page.revision, base + 1) if page.missing or page.redirect else page.revision
