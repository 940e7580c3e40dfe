"""`almanac promote`, `rollback`, `freeze`, `unfreeze`: what an alias points to."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli import context
from daemon.errors import ConfigError
from daemon.registry.versions import Move

Version = Annotated[str, typer.Argument(help="Number, `base`, or a digest's beginning.")]
Why = Annotated[str, typer.Option(help="Why; stands in the history for good.")]
Alias = Annotated[str | None, typer.Option(help="Alias (default: gateway.alias).")]


@context.app.command()
def promote(
    version: Version,
    reason: Why,
    alias: Alias = None,
    override: Annotated[
        bool, typer.Option("--override", help="Although the gate did not pass it.")
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
    with context.registry() as registry:
        move = registry.rollback(alias, to, actor=actor, reason=reason)
    _told(move, json)


@context.app.command()
def freeze(
    reason: Why,
    alias: Alias = None,
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Forbid promotions, the daemon's too, until `unfreeze`; a rollback stays possible."""
    _need(reason)
    with context.services() as services:
        move = services.registry.freeze(alias, actor=actor, reason=reason)
    _told(move, json, f"{move.alias} is frozen")


@context.app.command()
def unfreeze(
    reason: Why,
    alias: Alias = None,
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Allow promotions again."""
    _need(reason)
    with context.services() as services:
        move = services.registry.unfreeze(alias, actor=actor, reason=reason)
    _told(move, json, f"{move.alias} can be promoted again")


def _need(reason: str) -> None:
    if not reason.strip():
        raise ConfigError("--reason is empty; say why, it stands in the history for good")


def _told(move: Move, json: bool, words: str | None = None) -> None:
    if json:
        context.print_json(move)
        return
    if words:
        context.say(words)
        return
    target = context.short(move.to_digest) if move.to_digest else "the base model"
    context.say(f"{move.alias} points to {target} (generation {move.generation})")
