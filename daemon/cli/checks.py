"""The checks of `almanac doctor`. Each looks at one thing and says what it saw."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from daemon import preconditions
from daemon.config import Settings
from daemon.errors import AlmanacError, BlobError, ConfigError
from daemon.jobs.evaluation_job import gate_policy
from daemon.promotable import too_small
from daemon.review import policy
from daemon.services import Services
from daemon.upkeep import leavings

LEAST_FREE_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at, whether it is well, and what was seen."""

    name: str
    ok: bool
    detail: str
    warning: bool = False
    """Well, but somebody should know: it is no failure and no plain "ok"."""


def run_checks(settings: Settings, *, repair: bool = False) -> list[Check]:
    """All checks, in order; one that fails does not stop the others. With `repair`, what needs no
    decision is mended, and said so."""
    checks = [
        _check("contact", lambda: _contact(settings)),
        _check("base model", lambda: _base(settings)),
        _check("recipe", lambda: _recipe(settings)),
        _check("addresses", lambda: _addresses(settings)),
        _check("drafter", lambda: _drafter(settings)),
        _check("properties", lambda: _properties(settings)),
        _check("review policy", lambda: f"policy {policy.load(settings.review.policy).name}"),
        _check("gate policy", lambda: f"policy {gate_policy(settings.gate.policy).name}"),
        _check("disk", lambda: _disk(settings)),
    ]
    try:
        services = Services.open(settings)
    except AlmanacError as error:
        return [*checks, Check(name="database", ok=False, detail=str(error))]
    with services:
        checks += [
            Check(name="database", ok=True, detail="opened, schema is the newest"),
            _check("adapters", lambda: _adapters(services)),
            _check("history", lambda: _history(services)),
            _release_size(settings, services),
            _check("schedule", lambda: _schedule(services)),
            _check("leavings", lambda: leavings.look(services, repair=repair)),
            _check("dead letters", lambda: _dead(services)),
            _check("backup", lambda: _backup(services)),
        ]
    return checks


def _schedule(services: Services) -> str:
    lines = services.schedule.lines()
    failed = [line for line in lines if line.outcome.startswith("failed")]
    if failed:
        told = "; ".join(f"{line.name}: {line.outcome}" for line in failed)
        raise ConfigError(f"the last run did not go well: {told}")
    paused = [line.name for line in lines if line.paused]
    return f"paused: {', '.join(paused)}" if paused else f"{len(lines)} lines, none is paused"


def _dead(services: Services) -> str:
    """A word, not a fault: what is parked is parked so that the rest flows."""
    parked = {kind: int(n) for kind, n in services.dead.counts().items() if n}
    told = ", ".join(f"{n} of kind {kind}" for kind, n in parked.items())
    return f"{told}; `almanac dead list` says why" if told else "none"


def _backup(services: Services) -> str:
    age_s = services.backups.newest_age_s()
    if age_s is None:
        return "none yet; the timetable makes one a day, `almanac backup` makes one now"
    return f"the newest is {age_s / 3600:.1f} hours old"


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name=name, ok=True, detail=look())
    except AlmanacError as error:
        return Check(name=name, ok=False, detail=str(error))


def _contact(settings: Settings) -> str:
    settings.require_contact()
    return settings.wikidata.contact or "not needed on this machine's own Wikidata"


def _base(settings: Settings) -> str:
    settings.require_base_model()
    return str(settings.model.base)


def _recipe(settings: Settings) -> str:
    preconditions.check_recipe(settings.model.recipe)
    return settings.model.recipe


def _addresses(settings: Settings) -> str:
    preconditions.check_urls(settings)
    return "every URL is one"


def _drafter(settings: Settings) -> str:
    preconditions.check_drafter(settings)
    return settings.drafter.kind.value


def _properties(settings: Settings) -> str:
    preconditions.check_properties(settings)
    number = len(settings.watch.properties)
    return f"{number} are proposed" if number else "the whole catalogue"


def _disk(settings: Settings) -> str:
    home = settings.home if settings.home.exists() else settings.home.absolute().parent
    usage = shutil.disk_usage(home if home.exists() else "/")
    if usage.free < LEAST_FREE_SHARE * usage.total:
        raise ConfigError(f"only {usage.free / 1e9:.1f} GB are free; make room or move home")
    return f"{usage.free / 1e9:.1f} GB free"


def _adapters(services: Services) -> str:
    registry = services.registry
    digests = [v.digest for v in registry.versions() if v.digest and v.purged_at is None]
    for digest in digests:
        registry.verify(digest)
    return f"{len(digests)} are what their digests say"


def _history(services: Services) -> str:
    alias = services.settings.gateway.alias
    broken = services.registry.broken_at(alias)
    if broken is not None:
        raise BlobError(f"the history of {alias} was altered: generation {broken} does not fit")
    return f"{len(services.registry.history(alias))} moves of {alias}, the chain is whole"


def _release_size(settings: Settings, services: Services) -> Check:
    """A warning, not a fault: what is not promoted may still be evaluated and read."""
    name = "release size"
    try:
        live = services.registry.live_units(services.registry.current()[1])
        small = too_small(settings, len(live))
    except AlmanacError as error:
        return Check(name=name, ok=False, detail=str(error))
    fine = "releases can be large enough for the gate policy"
    return Check(name=name, ok=True, detail=small or fine, warning=small is not None)
