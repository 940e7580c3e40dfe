"""Builds the curator out of settings: evidence, drafter, judge, questions, checkpoints.

Owns the translation of settings into the curator's own; opens what has to be closed. Importing this
module loads langgraph and the models' client, so `daemon.late_curator` alone imports it, late.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
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
from agents.evidence.fetch import GuardedFetcher
from agents.evidence.pages import CitedPages
from agents.evidence.pointing import SearchedPointers
from agents.evidence.sources import Extracts, FetchedEntities, WikimediaEvidence
from agents.verifying.llm import EntailmentJudge
from daemon.chats import chats
from daemon.config import Settings
from daemon.known_facts import KnownFacts, WorldNeighbours
from daemon.production import GatewayProduction
from daemon.redo import CURATE_FILE
from daemon.services import Services
from daemon.store import postgres
from daemon.store.evidence import SqlEvidenceStore
from daemon.store.spending import SqlAnswerLedger
from knowledge.world import World

CACHE_FILE = "curate-cache.db"
"""Drafts by content; may be deleted at any time."""


@asynccontextmanager
async def curator(services: Services, fetcher: GuardedFetcher) -> AsyncIterator[Curator]:
    """A curator over the services' memory. Raises ConfigError for missing settings."""
    settings = services.settings
    async with AsyncExitStack() as stack:
        saver = await stack.enter_async_context(_checkpoints(services))
        answers = SqlAnswerLedger(services.database, services.clock)
        drafts, judges = await chats(settings, stack, answers)
        entities = FetchedEntities(fetcher, settings.wikidata.api_url)
        more = settings.curate.paraphrases
        yield Curator(
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


def _checkpoints(services: Services) -> AbstractAsyncContextManager[BaseCheckpointSaver[Any]]:
    """Beside the ledger: a file of its own with SQLite, a schema of its own in PostgreSQL, where
    another worker can go on with a run."""
    if services.database.is_sqlite:
        return checkpoint_store(services.settings.home / CURATE_FILE)
    return postgres_checkpoints(postgres.conninfo(services.database.url))


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
