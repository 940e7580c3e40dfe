"""The intake: what is done by the clock so that no edit of a watched item is missed.

Owns the sweep, the filling of a stream's gap, daily discovery of subjects and the weekly audit, and
when each was last done (which `almanac watch lag` shows). Scheduling is the service loop's, judging
`agents.watch`'s.
"""

from __future__ import annotations

import datetime as dt
import json
import random

import structlog

from agents.errors import AgentError
from agents.ledger import Cursor, WatchLedger
from agents.wikidata.api import ActionApi
from agents.wikidata.audit import Audited, audit
from agents.wikidata.sparql import grow
from agents.wikidata.sweep import backfill, sweep
from daemon.clock import Clock
from daemon.config import Settings
from daemon.wiring import sparql_endpoint

SWEEP, DISCOVERY, AUDIT = "sweep", "discovery", "audit"
_DAY = dt.timedelta(days=1)
_WEEK = dt.timedelta(days=7)

log = structlog.get_logger()


class Intake:
    """The timed jobs over one watch list."""

    def __init__(
        self, api: ActionApi, ledger: WatchLedger, clock: Clock, settings: Settings
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._clock = clock
        self._settings = settings

    async def sweep(self) -> int:
        """Mark every watched item whose latest revision was not looked at yet."""
        found = await sweep(self._api, self._ledger)
        await self._done(SWEEP, {"dirty": found})
        log.info("watch.swept", dirty=found)
        return found

    async def gap(self, since: dt.datetime, until: dt.datetime) -> None:
        """Mark what was edited while the stream said nothing."""
        found = await backfill(self._api, self._ledger, since, until, clock=self._clock.now)
        log.info("watch.backfilled", since=since.isoformat(), dirty=found)

    async def discover(self) -> int:
        """Once a day: ask the configured queries for further subjects; the number added.

        A query that fails, or whose answer lost more than a fifth of what it found before, changes
        nothing: the list never shrinks by an answer."""
        queries = self._settings.watch.queries
        if not queries or await self._fresh(DISCOVERY, _DAY):
            return 0
        endpoint = sparql_endpoint(self._settings)
        before = await self._last(DISCOVERY)
        added, sizes = 0, {}
        for query in queries:
            known = set(before.get(query, ()))
            try:
                answer = await endpoint.items(query)
            except AgentError as error:
                log.warning("watch.discovery_failed", reason=str(error), query=query[:80])
                sizes[query] = sorted(known)
                continue
            found = grow(sorted(known), answer)
            if found.shrunk:
                log.warning("watch.discovery_shrunk", found=len(answer), before=len(known))
                sizes[query] = sorted(known)
                continue
            added += await self._ledger.watch(answer)
            sizes[query] = answer
        await self._done(DISCOVERY, sizes)
        log.info("watch.discovered", added=added)
        return added

    async def audit(self) -> Audited | None:
        """Once a week: read a sample in full; what had been missed must be nothing. None when the
        last audit is younger."""
        if await self._fresh(AUDIT, _WEEK):
            return None
        now = self._clock.now()
        found = await audit(
            self._api,
            self._ledger,
            now,
            grace=2 * dt.timedelta(seconds=self._settings.wikidata.sweep_interval_s),
            rng=random.Random(),
        )
        await self._done(AUDIT, {"checked": found.checked, "missed": found.missed})
        if found.missed:
            log.error("watch.audit_missed", checked=found.checked, missed=found.missed)
        else:
            log.info("watch.audited", checked=found.checked)
        return found

    async def _done(self, name: str, told: object) -> None:
        text = json.dumps(told, ensure_ascii=False)
        cursor = Cursor(stream=name, event_id=text, event_time=self._clock.now())
        await self._ledger.mark([], cursor)

    async def _fresh(self, name: str, period: dt.timedelta) -> bool:
        last = await self._ledger.cursor(name)
        return last is not None and self._clock.now() - last.event_time < period

    async def _last(self, name: str) -> dict[str, list[str]]:
        last = await self._ledger.cursor(name)
        return json.loads(last.event_id) if last is not None else {}
