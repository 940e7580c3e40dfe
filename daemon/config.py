"""Settings: one typed tree, and where each value came from.

Owns the tree, its defaults, and the four layers default < file < environment < flag. An unknown
setting is an error that names it. Does not act on any of them.

File `almanac.toml` (or `--config PATH`, `ALMANAC_CONFIG`), environment `ALMANAC_RELEASE__SIZE=12`,
flag `--set release.size=12`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from agents.wikidata.contact import names_contact
from daemon.errors import ConfigError
from daemon.operating import (
    AcceleratorSettings,
    BackupSettings,
    DiskSettings,
    HealthSettings,
    NotifySettings,
    RetentionSettings,
    ScheduleSettings,
    Section,
    WorkerSettings,
)
from daemon.preconditions import check_model
from knowledge.world import LEGACY_DATE

DEFAULT_FILE = Path("almanac.toml")
ENV_PREFIX = "ALMANAC_"
CONFIG_VARIABLE = "ALMANAC_CONFIG"
_SECRETS = frozenset(
    {
        "database.url",
        "drafter.api_key",
        "judge.api_key",
        "verifier.api_key",
        "notify.webhook_url",
        "notify.webhook_secret",
        "notify.smtp_password",
    }
)
"""Settings whose value is never shown, not even a wrong one."""
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
        return all(_is_loopback(url) for url in urls)


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


class DrafterKind(StrEnum):
    TEMPLATE = "template"
    LLM = "llm"


class DrafterSettings(Section):
    kind: DrafterKind = DrafterKind.TEMPLATE
    endpoint: str | None = None
    model: str | None = None
    api_key: SecretStr | None = None
    timeout_s: float = Field(default=60.0, gt=0)
    price_in_usd: float = Field(default=0.0, ge=0)
    """US dollars for a million tokens of input; for the ledger and the budget."""
    price_out_usd: float = Field(default=0.0, ge=0)


class VerifierSettings(Section):
    """The model that judges narratives beside the rules; without one, the drafter's."""

    endpoint: str | None = None
    model: str | None = None
    api_key: SecretStr | None = None
    timeout_s: float = Field(default=60.0, gt=0)
    price_in_usd: float = Field(default=0.0, ge=0)
    price_out_usd: float = Field(default=0.0, ge=0)


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


class JudgeSettings(Section):
    """Who judges outputs: the rules, unless an OpenAI-compatible endpoint and a model are named."""

    endpoint: str | None = None
    model: str | None = None
    api_key: SecretStr | None = None


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


class Settings(BaseSettings):
    """The whole tree. Build it with `load`, which layers the sources and keeps their names."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    home: Path = Path("var")
    """Data directory: database, blobs, jobs."""
    database: DatabaseSettings = DatabaseSettings()
    wikidata: WikidataSettings = WikidataSettings()
    watch: WatchSettings = WatchSettings()
    model: ModelSettings = ModelSettings()
    drafter: DrafterSettings = DrafterSettings()
    verifier: VerifierSettings = VerifierSettings()
    curate: CurateSettings = CurateSettings()
    review: ReviewSettings = ReviewSettings()
    release: ReleaseSettings = ReleaseSettings()
    gate: GateSettings = GateSettings()
    judge: JudgeSettings = JudgeSettings()
    gateway: GatewaySettings = GatewaySettings()
    registry: RegistrySettings = RegistrySettings()
    web: WebSettings = WebSettings()
    clock: ClockSettings = ClockSettings()
    log: LogSettings = LogSettings()
    jobs: JobSettings = JobSettings()
    accelerator: AcceleratorSettings = AcceleratorSettings()
    worker: WorkerSettings = WorkerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    disk: DiskSettings = DiskSettings()
    health: HealthSettings = HealthSettings()
    notify: NotifySettings = NotifySettings()
    backup: BackupSettings = BackupSettings()
    retention: RetentionSettings = RetentionSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed: `load` reads the other sources itself, to know which one won."""
        return (init_settings,)

    @property
    def database_url(self) -> str:
        if self.database.url is not None:
            return self.database.url.get_secret_value()
        return f"sqlite:///{(self.home / 'almanac.db').resolve()}"

    @property
    def blobs(self) -> Path:
        return self.worker.blobs or self.home / "blobs"

    @property
    def job_folder(self) -> Path:
        return self.home / "jobs"

    @property
    def backups(self) -> Path:
        return self.backup.folder or self.home / "backups"

    def require_contact(self) -> None:
        """Raises ConfigError when the real Wikidata would be asked without a contact that it
        accepts."""
        contact = self.wikidata.contact
        if names_contact(contact) or self.wikidata.is_loopback:
            return
        what = f"is {contact!r}, no mail address and no URL" if contact else "is empty"
        raise ConfigError(
            f"wikidata.contact {what}, and Wikimedia refuses clients that do not say who runs "
            "them; set it to a mail address or a page: --set wikidata.contact=me@example.org"
        )

    def require_base_model(self) -> None:
        """Raises ConfigError when the base model's folder holds no model that can be read."""
        check_model(self.model.base)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingSource:
    """One line of `almanac config show`: `value` is masked where it is secret."""

    key: str
    value: Any
    source: str
    """`default`, `file`, `env` or `flag`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings, the names of their sources, and the file read (None when there was none)."""

    settings: Settings
    sources: tuple[SettingSource, ...]
    file: Path | None


def load(config: Path | None = None, flags: Sequence[str] = ()) -> Loaded:
    """Layer defaults, file, environment and flags (`a.b=value`). Raises ConfigError."""
    path = _config_path(config)
    layers = {
        "file": _read_file(path) if path else {},
        "env": _read_environment(),
        "flag": _read_flags(flags),
    }
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name, layer in layers.items():
        _reject_unknown(layer, name, path)
        _merge(merged, layer)
        origin.update({key: name for key, _ in _leaves(layer)})
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise ConfigError(_explain(error, origin)) from None
    return Loaded(settings=settings, sources=_sources(settings, origin), file=path)


def to_environment(settings: Settings) -> dict[str, str]:
    """The whole tree as environment variables, secrets in the clear: for child processes."""
    found: dict[str, str] = {}
    for key, value in _leaves(settings.model_dump(mode="python")):
        name = ENV_PREFIX + key.upper().replace(".", "__")
        if isinstance(value, SecretStr):
            found[name] = value.get_secret_value()
        elif isinstance(value, (tuple, list, bool)):
            found[name] = json.dumps(value)
        elif value is not None:
            found[name] = str(value)
    return found


def _config_path(config: Path | None) -> Path | None:
    named = config or (Path(v) if (v := os.environ.get(CONFIG_VARIABLE)) else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError(f"the settings file {named} does not exist or cannot be read")
        return named
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return TomlConfigSettingsSource(Settings, toml_file=path)()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} is no readable TOML: {error}") from None


def _read_environment() -> dict[str, Any]:
    _reject_unknown_variables(os.environ)
    try:
        return EnvSettingsSource(Settings)()
    except Exception as error:  # pydantic-settings raises its own kinds for unparsable JSON
        raise ConfigError(f"an {ENV_PREFIX}... variable cannot be read: {error}") from None


def _read_flags(flags: Sequence[str]) -> dict[str, Any]:
    layer: dict[str, Any] = {}
    for flag in flags:
        key, equals, text = flag.partition("=")
        if not equals:
            raise ConfigError(f"--set {flag!r} has no '='; write --set section.name=value")
        try:
            value = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            value = text  # a bare word is a string
        node = layer
        *path, last = key.strip().split(".")
        for part in path:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise ConfigError(f"--set {flag!r}: another --set gives {part!r} a value already")
        if isinstance(node.get(last), dict) and not isinstance(value, dict):
            raise ConfigError(f"--set {flag!r}: another --set names settings below it")
        node[last] = value
    return layer


def _reject_unknown_variables(environment: Mapping[str, str]) -> None:
    for name in environment:
        if not name.upper().startswith(ENV_PREFIX) or name.upper() == CONFIG_VARIABLE:
            continue
        path = name[len(ENV_PREFIX) :].lower().split("__")
        if _lookup(path) is None:
            raise ConfigError(
                f"the environment variable {name} is no setting of Almanac; "
                "`almanac config show` lists them all"
            )


def _reject_unknown(layer: Mapping[str, Any], name: str, path: Path | None) -> None:
    where = {"file": str(path), "flag": "--set"}.get(name, "the environment")
    for key, _ in _leaves(layer):
        if _lookup(key.split(".")) is None:
            raise ConfigError(
                f"unknown setting {key!r} in {where}; `almanac config show` lists them all"
            )


def _lookup(path: Sequence[str]) -> object | None:
    """The field at a path of names; None when there is none."""
    model: Any = Settings
    field = None
    for part in path:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return None
        field = model.model_fields.get(part)
        if field is None:
            return None
        model = field.annotation
    return field


def _merge(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _explain(error: ValidationError, origin: Mapping[str, str]) -> str:
    parts: list[str] = []
    for problem in error.errors():
        key = ".".join(str(p) for p in problem["loc"])
        where = {"env": "the environment", "flag": "--set", "file": "the settings file"}
        source = where.get(origin.get(key, ""), "the settings")
        got = "" if key in _SECRETS else f" (got {problem['input']!r})"
        parts.append(f"{key} in {source}: {problem['msg']}{got}")
    return "; ".join(parts)


def _sources(settings: Settings, origin: Mapping[str, str]) -> tuple[SettingSource, ...]:
    data = settings.model_dump(mode="json")
    return tuple(
        SettingSource(key=key, value=value, source=origin.get(key, "default"))
        for key, value in _leaves(data)
    )


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # malformed; told where it matters
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
