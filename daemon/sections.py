"""Settings of the stages: watch, draft, review, release, gate, serve, and what all of them need.

Owns these sections of the settings' tree and their defaults; the tree itself is `daemon.config`.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from pathlib import Path

from pydantic import Field, SecretStr

from agents.loopback import is_loopback_url
from daemon.operating import Section
from knowledge.world import LEGACY_DATE

_ROOT = Path(__file__).resolve().parent.parent


class DatabaseSettings(Section):
    url: SecretStr | None = None
    """SQLAlchemy URL; without one, SQLite in `home`."""


class WikidataSettings(Section):
    api_url: str = "https://www.wikidata.org/w/api.php"
    stream_url: str = "https://stream.wikimedia.org/v2/stream/mediawiki.page_change.v1"
    sparql_url: str = "https://query.wikidata.org/sparql"
    wikipedia_url: str = "https://en.wikipedia.org/w/api.php"
    contact: str = ""
    """Mail address or page of the operator, for the User-Agent that Wikimedia insists on."""
    sweep_interval_s: float = Field(default=6 * 3600.0, gt=0)
    """Longest time between two sweeps that `schedule.sweep` gives; the audit allows for two."""
    batch_items: int = Field(default=50, ge=1, le=50)
    revert_risk_url: str | None = None
    """A Lift Wing model of revert risk, `.../revertrisk-wikidata:predict`; without one, edits are
    judged by their editors alone."""

    @property
    def is_loopback(self) -> bool:
        """True when all endpoints are on this machine, where nobody asks for a contact."""
        urls = (self.api_url, self.stream_url, self.sparql_url, self.wikipedia_url)
        return all(is_loopback_url(url) for url in urls)


class WatchSettings(Section):
    stability_h: float | None = Field(default=None, ge=0)
    """How long a change must stand, for all properties; without it, each property's own time."""
    corroborated_h: float = Field(default=24.0, ge=0)
    properties: tuple[str, ...] = ()
    """Properties whose changes become proposals; empty means the whole catalogue. Those left out
    still corroborate."""
    queries: tuple[str, ...] = ()
    """SPARQL queries that bind `?item`, asked once a day: what they find is watched too."""
    cutoff: dt.date | None = LEGACY_DATE
    """Up to when the served model's training data reaches: what is older is no news to it."""
    bulk_items: int = Field(default=50, ge=1)
    """One editor with one summary on more items within an hour is a bulk run: a sample of its
    changes goes to the reviewers, the rest is held until that is decided."""
    bulk_sample: int = Field(default=5, ge=1)
    run_per_day: int = Field(default=100, ge=1)
    """Changes of one released bulk run that settle within a day."""
    editor_per_day: int = Field(default=50, ge=1)
    """Changes by one editor, made by hand, that settle within a day; the others wait."""


class ModelSettings(Section):
    base: Path = _ROOT / "trainer" / "embedded" / "weights"
    recipe: str = "embedded"


class EndpointSettings(Section):
    """A model behind an OpenAI-compatible URL."""

    endpoint: str | None = None
    model: str | None = None
    api_key: SecretStr | None = None


class PaidEndpointSettings(EndpointSettings):
    """One whose calls are counted in the ledger and held to the budget."""

    timeout_s: float = Field(default=60.0, gt=0)
    price_in_usd: float = Field(default=0.0, ge=0)
    """US dollars for a million tokens of input; for the ledger and the budget."""
    price_out_usd: float = Field(default=0.0, ge=0)


class DrafterKind(StrEnum):
    TEMPLATE = "template"
    LLM = "llm"


class DrafterSettings(PaidEndpointSettings):
    kind: DrafterKind = DrafterKind.TEMPLATE


class VerifierSettings(PaidEndpointSettings):
    """The model that judges narratives beside the rules; without one, the drafter's."""


class CurateSettings(Section):
    ask_first: bool = True
    """Ask the version in production before drafting; what it knows already is dismissed."""
    at_once: int = Field(default=4, ge=1)
    """Changes drafted side by side."""
    calls_per_day: int | None = Field(default=None, ge=0)
    """Bound on paid model calls a day (UTC); beyond it the template drafts and nobody judges."""
    usd_per_day: float | None = Field(default=None, ge=0)
    references: int = Field(default=2, ge=0)
    """Pages cited by the changed statements that are read as evidence, for each change."""
    pointing: int = Field(default=2, ge=0)
    """Two-hop questions of each change through items that point at its subject."""
    paraphrases: int = Field(default=0, ge=0, le=20)
    """Wordings that the drafter's model adds to the training questions of each change, checked by
    rules; needs `drafter.kind = "llm"`."""


class ReviewSettings(Section):
    auto_approve: bool = False
    policy: Path = _ROOT / "daemon" / "review" / "policies" / "default.toml"
    lease_s: float = Field(default=600.0, gt=0)
    sample_share: float = Field(default=0.05, ge=0, le=1)
    """Part of the approvals that a second person looks at again."""


class ReleaseSettings(Section):
    size: int = Field(default=15, ge=1)
    """Approved edits that make a release by themselves: the least that the default policy can pass
    is 14."""
    max: int = Field(default=50, ge=1)
    replay: int = Field(default=32, ge=0)
    """Earlier live edits replayed in training."""
    retrain_every: int = Field(default=0, ge=0)
    """Every so many releases, train all live edits anew from the base model instead of going on
    from production; 0: never."""
    oldest_h: float | None = Field(default=None, gt=0)
    """Freeze fewer edits than `size` once the oldest approved one has waited this long."""
    seed: int = 0
    auto_promote: bool = True


class GateSettings(Section):
    policy: str = "default"
    """Name of a shipped policy, or the path of a policy file."""
    seed: int = 0


class JudgeSettings(EndpointSettings):
    """Who judges outputs: the rules, unless an OpenAI-compatible endpoint and a model are named."""


class UpstreamKind(StrEnum):
    EMBEDDED = "embedded"
    VLLM = "vllm"


class GatewaySettings(Section):
    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    alias: str = "production"
    upstream: UpstreamKind = UpstreamKind.EMBEDDED
    vllm_url: str = "http://127.0.0.1:8000"
    """Where vLLM listens, on this machine alone: its adapter endpoints know no keys."""
    adapters: int = Field(default=4, ge=4)
    """Adapters that may be resident at once."""
    max_running: int = Field(default=16, ge=1)
    """Requests that are answered at the same time."""
    max_queue: int = Field(default=64, ge=1)
    """Requests that may wait; more are refused with 429."""
    timeout_s: float = Field(default=120.0, gt=0)
    public: bool = False
    """Whether strangers may ask without a key when the gateway is bound beyond this machine."""
    log_prompts: bool = False
    """Whether the request log holds what was asked."""


class RegistrySettings(Section):
    protected: tuple[str, ...] = ()
    """Aliases that take only what the gate passed, besides `gateway.alias`, which always does."""
    second_person: bool = False
    """An override of the gate waits until somebody else gives the same command."""


class WebSettings(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8081, ge=0, le=65535)
    hosts: tuple[str, ...] = ()
    """Names under which people reach the pages, beside `host` and this machine's own."""
    behind_tls: bool = False
    """Whether a proxy in front speaks TLS; beyond loopback nothing else is accepted."""
    session_h: float = Field(default=12.0, gt=0)
    """How long a login lasts."""


class ClockKind(StrEnum):
    SYSTEM = "system"
    FILE = "file"


class ClockSettings(Section):
    kind: ClockKind = ClockKind.SYSTEM
    path: Path | None = None


class LogStyle(StrEnum):
    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogSettings(Section):
    level: LogLevel = LogLevel.INFO
    style: LogStyle = LogStyle.AUTO


class JobSettings(Section):
    attempts: int = Field(default=3, ge=1)
    """Failures of one row, or of one job, before it is given up."""
    crashes: int = Field(default=20, ge=1)
    """Times that a worker may end while it drafts one change before that is given up too."""
    lease_s: float = Field(default=60.0, gt=0)
    """How long a worker that vanished keeps others from its work; a living one renews."""
    heartbeat_timeout_s: float = Field(default=1800.0, gt=0)
    """Longest silence of a job's `progress.jsonl` before it is taken for hung."""
    threads: int = Field(default=1, ge=1)
    """OpenMP threads of a child process."""
