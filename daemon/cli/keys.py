"""`almanac key`: who may ask the gateway."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli import context
from daemon.serving.access import Access, keys_needed

app = typer.Typer(help="API keys of the gateway.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Whose key it is; stands in the request log.")]


@app.command()
def create(name: Name, json: context.Json = False) -> None:
    """Make a key and show it, this once. From the first one on, the gateway asks for keys."""
    key = Access(context.settings().home).create(name)
    if json:
        context.print_json({"name": name, "key": key})
    else:
        context.say(key)


@app.command("list")
def list_keys(json: context.Json = False) -> None:
    """The names of the keys; only their hashes are stored."""
    keys = Access(context.settings().home).keys()
    if json:
        context.print_json([{"name": k.name, "created_at": k.created_at} for k in keys])
    else:
        context.print_table(["name", "created (UTC)"], [(k.name, k.created_at) for k in keys])


@app.command()
def revoke(name: Name, json: context.Json = False) -> None:
    """Take a key back; from now on the gateway refuses it."""
    settings = context.settings()
    access, gateway = Access(settings.home), settings.gateway
    access.revoke(name)
    if json:
        context.print_json({"revoked": name})
        return
    context.say(f"the key {name} is revoked")
    if not access.keys():
        needed = keys_needed(gateway.host, public=gateway.public)
        who = "nobody but this machine's own tools" if needed else "everybody who reaches it"
        context.say(f"it was the last one: the gateway now answers {who}")
