"""`almanac registry`, `promote`, `rollback`: versions and what production points to."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli import context
from daemon.errors import ConfigError, Conflict, NotFound
from daemon.registry.service import Move

app = typer.Typer(help="Versions of the model.", no_args_is_help=True)

Version = Annotated[str, typer.Argument(help="Number, `base`, or a digest's beginning.")]
Why = Annotated[str, typer.Option(help="Why; stands in the history for good.")]
Alias = Annotated[str | None, typer.Option(help="Alias (default: gateway.alias).")]


@app.command("list")
def list_versions(json: context.Json = False) -> None:
    """Every version; the base model is number 0."""
    with context.services() as services:
        versions = services.registry.versions()
        _, current = services.registry.current(services.settings.gateway.alias)
    if json:
        context.print_json(versions)
        return
    rows = [
        (
            f"v{v.number}",
            "serves" if v.digest == current else "",
            context.short(v.digest),
            v.release,
            v.verdict,
            f"{v.size_bytes / 1e6:.1f} MB" if v.digest else "base model",
            v.created_at,
        )
        for v in versions
    ]
    columns = ["version", "", "digest", "release", "verdict", "size", "created (UTC)"]
    context.print_table(columns, rows)


@app.command()
def show(version: Version, json: context.Json = False) -> None:
    """One version: lineage, edits, where its files are."""
    with context.services() as services:
        registry = services.registry
        found = registry.resolve(version)
        lineage = registry.lineage(found.digest)
        units = registry.live_units(found.digest)
        path = str(registry.path_of(found.digest)) if found.digest else None
        manifest = registry.manifest(found.digest) if found.digest else {}
    if json:
        data = {"version": found, "lineage": lineage, "edits": units, "path": path}
        context.print_json({**data, "manifest": manifest})
        return
    context.say(f"version {found.number}: {found.digest or 'the base model'}")
    context.say(f"files: {path or '-'}")
    context.say(f"lineage: {' <- '.join(['base', *(d[:12] for d in lineage)])}")
    context.say(f"taught: {len(units)} edits in force")


@app.command()
def verify(
    version: Annotated[str | None, typer.Argument(help="One version (default: all).")] = None,
    json: context.Json = False,
) -> None:
    """Hash the files again, and the history's chain."""
    with context.services() as services:
        registry = services.registry
        chosen = [registry.resolve(version)] if version else registry.versions()
        digests = [v.digest for v in chosen if v.digest]
        for digest in digests:
            registry.verify(digest)
        alias = services.settings.gateway.alias
        broken = registry.broken_at(alias)
    if broken is not None:
        raise Conflict(f"the history of {alias} was altered: generation {broken} does not fit")
    if json:
        context.print_json({"verified": digests, "history": "whole"})
    else:
        context.say(f"{len(digests)} adapters are what their digests say; the history is whole")


@app.command()
def history(alias: Alias = None, json: context.Json = False) -> None:
    """Every move of the alias, oldest first."""
    with context.services() as services:
        served = services.settings.gateway.alias
        moves = services.registry.history(alias or served)
    if not moves and alias not in (None, served):
        raise NotFound(f"no alias is called {alias!r}: it was never moved; production's: {served}")
    if json:
        context.print_json(moves)
        return
    rows = [
        (
            m.generation,
            m.action,
            context.short(m.from_digest),
            context.short(m.to_digest),
            m.actor,
            m.at,
            m.reason,
        )
        for m in moves
    ]
    columns = ["generation", "action", "from", "to", "who", "at (UTC)", "why"]
    context.print_table(columns, rows)


@context.app.command()
def promote(
    version: Version,
    reason: Why,
    alias: Alias = None,
    override: Annotated[
        bool, typer.Option("--override", help="Although the gate was inconclusive.")
    ] = False,
    expected_generation: Annotated[
        int | None, typer.Option(help="Refuse if the alias moved on from this generation.")
    ] = None,
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Put a version into production. The gate must have passed it."""
    _need(reason)
    with context.services() as services:
        move = services.registry.promote(
            alias or services.settings.gateway.alias,
            services.registry.resolve(version).digest,
            actor=actor,
            reason=reason,
            expected_generation=expected_generation,
            override=override,
        )
    _told(move, json)


@context.app.command()
def rollback(
    reason: Why,
    to: Annotated[
        str | None, typer.Option(help="Version to go back to (default: the one before).")
    ] = None,
    alias: Alias = None,
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Put the version before back into production, or an earlier one."""
    _need(reason)
    with context.services() as services:
        move = services.registry.rollback(
            alias or services.settings.gateway.alias, to, actor=actor, reason=reason
        )
    _told(move, json)


def _need(reason: str) -> None:
    if not reason.strip():
        raise ConfigError("--reason is empty; say why, it stands in the history for good")


def _told(move: Move, json: bool) -> None:
    if json:
        context.print_json(move)
        return
    target = context.short(move.to_digest) if move.to_digest else "the base model"
    context.say(f"{move.alias} points to {target} (generation {move.generation})")
