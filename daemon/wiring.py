"""Builds the agents out of settings: clients, watcher, evidence, drafter, verifier, curator.

Owns the translation of settings into the agents' own; opens what has to be closed. Importing this
module loads langgraph.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import openai
from langgraph.cache.sqlite import SqliteCache
from langgraph.checkpoint.base import BaseCheckpointSaver

from agents.checkpoints import postgres_checkpoints
from agents.curate import CurateSettings as CurateBounds
from agents.curate import Curator, checkpoint_store
from agents.drafting.llm import LlmDrafter
from agents.drafting.paraphrase import Paraphraser
from agents.evidence.fetch import FetchLimits, GuardedFetcher
from agents.evidence.pages import CitedPages
from agents.evidence.pointing import SearchedPointers
from agents.evidence.sources import Extracts, FetchedEntities, WikimediaEvidence
from agents.verifying.llm import EntailmentJudge
from agents.watch import Watcher, WatchSettings
from agents.wikidata.api import ActionApi
from agents.wikidata.lift_wing import LiftWing
from agents.wikidata.limiter import FileCoolDown, Limiter
from agents.wikidata.quota import FileQuota
from agents.wikidata.sparql import SparqlEndpoint
from agents.wikidata.turnstile import Caps
from daemon.chats import chats
from daemon.config import Settings
from daemon.contact import user_agent
from daemon.errors import ConfigError
from daemon.known_facts import KnownFacts, WorldNeighbours
from daemon.production import GatewayProduction
from daemon.redo import CURATE_FILE
from daemon.services import Services
from daemon.store import postgres
from daemon.store.evidence import SqlEvidenceStore
from daemon.store.spending import SqlAnswerLedger
from knowledge.properties import WATCHED
from knowledge.world import World

REQUESTS_PER_MINUTE = 200
CACHE_FILE = "curate-cache.db"
"""Drafts by content; may be deleted at any time."""
COOL_DOWN_FILE = "cool-down.json"
QUOTA_FOLDER = "requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agents:
    """The watching and the curating side, ready for use."""

    api: ActionApi
    watcher: Watcher
    curator: Curator


@asynccontextmanager
async def agents(services: Services) -> AsyncIterator[Agents]:
    """Both sides over the services' memory. Raises ConfigError for missing settings."""
    settings = services.settings
    settings.require_contact()
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(wikidata_api(settings))
        fetcher = await stack.enter_async_context(_fetcher(settings))
        saver = await stack.enter_async_context(_checkpoints(services))
        risks = _risks(settings, stack)
        watcher = Watcher(api, services.ledger, services.clock.now, watch_settings(settings), risks)
        answers = SqlAnswerLedger(services.database, services.clock)
        drafts, judges = await chats(settings, stack, answers)
        entities = FetchedEntities(fetcher, settings.wikidata.api_url)
        more = settings.curate.paraphrases
        if more and drafts is None:
            raise ConfigError(
                "curate.paraphrases asks a model for wordings: set drafter.kind to llm, or it to 0"
            )
        curator = Curator(
            evidence=WikimediaEvidence(
                entities,
                Extracts(fetcher, settings.wikidata.wikipedia_url, _pages(settings)),
                clock=services.clock.now,
                pages=_cited_pages(settings, fetcher),
            ),
            store=SqlEvidenceStore(services.database),
            checkpointer=saver,
            drafter=LlmDrafter(drafts) if drafts else None,
            judge=EntailmentJudge(judges) if judges else None,
            neighbours=WorldNeighbours(KnownFacts(World.load())),
            production=await _production(settings, stack),
            pointers=SearchedPointers(fetcher, settings.wikidata.api_url, entities),
            paraphraser=Paraphraser(drafts, more) if drafts and more else None,
            cache=SqliteCache(path=str(settings.home / CACHE_FILE)) if drafts else None,
            clock=services.clock.now,
            settings=CurateBounds(
                max_concurrent=settings.curate.at_once, pointing=settings.curate.pointing
            ),
        )
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


def _checkpoints(services: Services) -> AbstractAsyncContextManager[BaseCheckpointSaver[Any]]:
    """Beside the ledger: a file of its own with SQLite, a schema of its own in PostgreSQL, where
    another worker can go on with a run."""
    if services.database.is_sqlite:
        return checkpoint_store(services.settings.home / CURATE_FILE)
    return postgres_checkpoints(postgres.conninfo(services.database.url))


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


def _cited_pages(settings: Settings, fetcher: GuardedFetcher) -> CitedPages | None:
    """None where it is switched off, and beside a local Wikidata: its references are of the real
    world, which is not to be asked then."""
    if not settings.curate.references or settings.wikidata.is_loopback:
        return None
    return CitedPages(fetcher, at_most=settings.curate.references, agent="almanac")


def _pages(settings: Settings) -> str:
    """Where articles of the configured Wikipedia are read, up to the title."""
    parts = urlsplit(settings.wikidata.wikipedia_url)
    return f"{parts.scheme}://{parts.netloc}/wiki/"


def _risks(settings: Settings, stack: AsyncExitStack) -> LiftWing | None:
    url = settings.wikidata.revert_risk_url
    if url is None:
        return None
    made = LiftWing(url, user_agent=user_agent(settings), limiter=limiter(settings))
    stack.push_async_callback(made.aclose)
    return made


async def _production(settings: Settings, stack: AsyncExitStack) -> GatewayProduction | None:
    """The gateway of these settings, to ask what is known; None where nobody asks."""
    gateway = settings.gateway
    if not settings.curate.ask_first or not gateway.enabled or gateway.port == 0:
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(gateway.host, gateway.host)
    client = openai.AsyncOpenAI(
        base_url=f"http://{host}:{gateway.port}/v1", api_key="none", max_retries=0, timeout=30.0
    )
    await stack.enter_async_context(client)
    return GatewayProduction(client, gateway.alias)
