"""Builds the agents out of settings: clients, watcher, evidence, drafter, verifier, curator.

Owns the translation of settings into the agents' own; opens what has to be closed. Importing this
module loads langgraph.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

import openai

from agents.curate import Curator, checkpoint_store
from agents.drafting.chat import ChatSettings, JsonChat
from agents.drafting.llm import LlmDrafter
from agents.evidence.fetch import FetchLimits, GuardedFetcher
from agents.evidence.sources import Extracts, FetchedEntities, WikimediaEvidence
from agents.verifying.llm import EntailmentVerifier, RulesThenModel
from agents.watch import Watcher, WatchSettings
from agents.wikidata.api import ActionApi
from agents.wikidata.limiter import FileCoolDown, Limiter
from agents.wikidata.quota import FileQuota
from daemon.config import DrafterKind, Settings
from daemon.errors import ConfigError
from daemon.known_facts import KnownFacts, WorldNeighbours
from daemon.services import Services
from daemon.store.evidence import SqlEvidenceStore
from knowledge.properties import WATCHED
from knowledge.world import World

REQUESTS_PER_MINUTE = 200
CURATE_FILE = "curate.db"
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
        api = await stack.enter_async_context(_api(settings))
        fetcher = await stack.enter_async_context(_fetcher(settings))
        saver = await stack.enter_async_context(checkpoint_store(settings.home / CURATE_FILE))
        watch = settings.watch
        watcher = Watcher(
            api,
            services.ledger,
            services.clock.now,
            WatchSettings(
                stability_h=watch.stability_h,
                corroborated_h=watch.corroborated_h,
                properties=watch.properties or WATCHED,
                batch=settings.wikidata.batch_items,
            ),
        )
        chat = await _chat(settings, stack)
        curator = Curator(
            evidence=WikimediaEvidence(
                FetchedEntities(fetcher, settings.wikidata.api_url),
                Extracts(fetcher, settings.wikidata.wikipedia_url, _pages(settings)),
                clock=services.clock.now,
            ),
            store=SqlEvidenceStore(services.database),
            checkpointer=saver,
            drafter=LlmDrafter(chat) if chat else None,
            verifier=RulesThenModel(EntailmentVerifier(chat)) if chat else None,
            neighbours=WorldNeighbours(KnownFacts(World.load())),
        )
        yield Agents(api=api, watcher=watcher, curator=curator)


def user_agent(settings: Settings) -> str:
    """`almanac/VERSION (CONTACT)`, as Wikimedia asks."""
    try:
        number = version("almanac")
    except PackageNotFoundError:
        number = "0"
    return f"almanac/{number} ({settings.wikidata.contact or 'local'})"


def _api(settings: Settings) -> ActionApi:
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
    return GuardedFetcher(user_agent(settings), limits=limits)


def _pages(settings: Settings) -> str:
    """Where articles of the configured Wikipedia are read, up to the title."""
    parts = urlsplit(settings.wikidata.wikipedia_url)
    return f"{parts.scheme}://{parts.netloc}/wiki/"


async def _chat(settings: Settings, stack: AsyncExitStack) -> JsonChat | None:
    drafter = settings.drafter
    if drafter.kind is DrafterKind.TEMPLATE:
        return None
    if not drafter.endpoint or not drafter.model:
        raise ConfigError(
            'drafter.kind is "llm", which needs drafter.endpoint (an OpenAI-compatible URL) and '
            "drafter.model"
        )
    key = drafter.api_key.get_secret_value() if drafter.api_key else "none"
    client = openai.AsyncOpenAI(base_url=drafter.endpoint, api_key=key)
    await stack.enter_async_context(client)
    return JsonChat(client, ChatSettings(model=drafter.model))
