"""Settings: one typed tree, and where each value came from.

Owns the tree, its defaults, and the four layers default < file < environment < flag. An unknown
setting is an error that names it. Does not act on any of them.

File `almanac.toml` (or `--config PATH`, `ALMANAC_CONFIG`), environment `ALMANAC_RELEASE__SIZE=12`,
flag `--set release.size=12`.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
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
    WorkerSettings,
)
from daemon.preconditions import check_model
from daemon.sections import (
    ClockSettings,
    CurateSettings,
    DatabaseSettings,
    DrafterSettings,
    GateSettings,
    GatewaySettings,
    JobSettings,
    JudgeSettings,
    LogSettings,
    ModelSettings,
    RegistrySettings,
    ReleaseSettings,
    ReviewSettings,
    VerifierSettings,
    WatchSettings,
    WebSettings,
    WikidataSettings,
)

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
