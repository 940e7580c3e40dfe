"""`almanac account`: people who may sign in, one-time links, API tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.accounts import Role
from daemon.accounts.service import LINK_H
from daemon.cli import context
from daemon.errors import NotFound

app = typer.Typer(help="People who may sign in, and their tokens.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the account.")]


@app.command("list")
def list_accounts(json: context.Json = False) -> None:
    """All accounts."""
    with context.services() as services:
        users = services.accounts.users()
    if json:
        context.print_json(users)
        return
    rows = [(u.name, u.role, "disabled" if u.disabled else "", u.created_at) for u in users]
    context.print_table(["name", "role", "", "since (UTC)"], rows)


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.REVIEWER,
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Add an account; prints a link that lets them in once."""
    with context.services() as services:
        services.accounts.add(name, role, actor=actor)
        path = f"/enter/{services.accounts.link(user=name)}"
        url = _url(services.settings.web.host, services.settings.web.port, path)
    if json:
        context.print_json({"added": name, "role": role, "link": url})
    else:
        context.say(f"added: {name}, {role}; the link works once, for {LINK_H:g} hours:\n{url}")


@app.command()
def link(
    name: Annotated[
        str | None, typer.Argument(help="Account; without one, the link makes an admin's.")
    ] = None,
    json: context.Json = False,
) -> None:
    """Print a link that lets somebody in once."""
    with context.services() as services:
        path = f"/enter/{services.accounts.link(user=name)}"
        url = _url(services.settings.web.host, services.settings.web.port, path)
    if json:
        context.print_json({"link": url, "account": name})
    else:
        context.say(url)


@app.command()
def change(
    name: Name,
    role: Annotated[Role | None, typer.Option(help="Another role.")] = None,
    disable: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Whether they may come in.")
    ] = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for a new password.")] = False,
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Change role, password, or whether somebody may come in. Ends their sessions."""
    secret = (
        typer.prompt("Password", hide_input=True, confirmation_prompt=True) if password else None
    )
    with context.services() as services:
        user = services.accounts.change(
            name, actor=actor, role=role, disabled=disable, password=secret
        )
    if json:
        context.print_json(user)
    else:
        context.say(f"{user.name}: {user.role}{', disabled' if user.disabled else ''}")


@app.command()
def token(
    name: Name,
    label: Annotated[str, typer.Option(help="What uses it.")],
    role: Annotated[Role, typer.Option(help="At most the account's own.")] = Role.VIEWER,
    days: Annotated[int, typer.Option(help="How long it lives.")] = 90,
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Make an API token; its secret is printed this once."""
    with context.services() as services:
        made, secret = services.accounts.new_token(name, label, role, days=days, actor=actor)
    if json:
        context.print_json({"token": made, "secret": secret})
    else:
        context.say(secret)


@app.command()
def revoke(
    number: Annotated[int, typer.Argument(help="Number of the token.")],
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Revoke an API token."""
    with context.services() as services:
        if number not in {one.id for one in services.accounts.tokens()}:
            raise NotFound(f"there is no token {number}; `almanac account tokens` lists them")
        services.accounts.revoke(number, actor=actor)
    if json:
        context.print_json({"revoked": number})
    else:
        context.say(f"revoked: {number}")


@app.command()
def tokens(json: context.Json = False) -> None:
    """All API tokens, without their secrets."""
    with context.services() as services:
        found = services.accounts.tokens()
    if json:
        context.print_json(found)
        return
    rows = [
        (t.id, t.label, t.user, t.role, t.expires_at, "revoked" if t.revoked else "") for t in found
    ]
    context.print_table(["id", "label", "account", "role", "ends (UTC)", ""], rows)


def _url(host: str, port: int, path: str) -> str:
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}{path}"
