"""Builds the agents out of settings: clients, watcher, and a curator that comes when it is needed.

Owns the translation of settings into the agents' own; opens what has to be closed. Importing this
module does not load langgraph: what the curator is made of is `daemon.curating`'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from agents.evidence.fetch import FetchLimits, GuardedFetcher
from agents.watch import Watcher, WatchSettings
from agents.wikidata.api import ActionApi
from agents.wikidata.lift_wing import LiftWing
from agents.wikidata.limiter import FileCoolDown, Limiter
from agents.wikidata.quota import FileQuota
from agents.wikidata.sparql import SparqlEndpoint
from agents.wikidata.turnstile import Caps
from daemon.config import Settings
from daemon.contact import user_agent
from daemon.late_curator import LateCurator
from daemon.preconditions import check_drafter
from daemon.services import Services
from knowledge.properties import WATCHED

REQUESTS_PER_MINUTE = 200
COOL_DOWN_FILE = "cool-down.json"
QUOTA_FOLDER = "requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agents:
    """The watching and the curating side, ready for use."""

    api: ActionApi
    watcher: Watcher
    curator: LateCurator


@asynccontextmanager
async def agents(services: Services) -> AsyncIterator[Agents]:
    """Both sides over the services' memory. Raises ConfigError for missing settings."""
    settings = services.settings
    settings.require_contact()
    check_drafter(settings)
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(wikidata_api(settings))
        fetcher = await stack.enter_async_context(_fetcher(settings))
        risks = _risks(settings, stack)
        watcher = Watcher(api, services.ledger, services.clock.now, watch_settings(settings), risks)
        curator = await stack.enter_async_context(LateCurator(services, fetcher))
        yield Agents(api=api, watcher=watcher, curator=curator)


def watch_settings(settings: Settings) -> WatchSettings:
    """How the watch waits, by the settings."""
    watch = settings.watch
    return WatchSettings(
        stability_h=watch.stability_h,
        corroborated_h=watch.corroborated_h,
        properties=watch.properties or WATCHED,
        batch=settings.wikidata.batch_items,
        cutoff=watch.cutoff,
        bulk_items=watch.bulk_items,
        caps=Caps(
            editor_per_day=watch.editor_per_day,
            run_per_day=watch.run_per_day,
            sample=watch.bulk_sample,
        ),
    )


def wikidata_api(settings: Settings) -> ActionApi:
    """A client of the configured Wikidata. Close it."""
    return ActionApi(
        settings.wikidata.api_url, user_agent=user_agent(settings), limiter=limiter(settings)
    )


def limiter(settings: Settings) -> Limiter:
    """What all processes over this home may ask together. A local Wikidata has no limits."""
    local = settings.wikidata.is_loopback
    return Limiter(
        per_minute=None if local else REQUESTS_PER_MINUTE,
        cool_down=FileCoolDown(settings.home / COOL_DOWN_FILE),
        quota=None
        if local
        else FileQuota(settings.home / QUOTA_FOLDER, per_window=REQUESTS_PER_MINUTE),
    )


def _fetcher(settings: Settings) -> GuardedFetcher:
    urls = (settings.wikidata.api_url, settings.wikidata.wikipedia_url)
    local = frozenset(urlsplit(url).netloc for url in urls) if settings.wikidata.is_loopback else ()
    limits = FetchLimits(local_endpoints=frozenset(local))
    return GuardedFetcher(
        user_agent(settings),
        limits=limits,
        limiter=None if settings.wikidata.is_loopback else limiter(settings),
        limited=frozenset(urlsplit(url).netloc for url in urls),
    )


def sparql_endpoint(settings: Settings) -> SparqlEndpoint:
    """A client of the configured SPARQL endpoint, within the same allowance as all others."""
    return SparqlEndpoint(
        settings.wikidata.sparql_url, user_agent=user_agent(settings), limiter=limiter(settings)
    )


def _risks(settings: Settings, stack: AsyncExitStack) -> LiftWing | None:
    url = settings.wikidata.revert_risk_url
    if url is None:
        return None
    made = LiftWing(url, user_agent=user_agent(settings), limiter=limiter(settings))
    stack.push_async_callback(made.aclose)
    return made
