"""`almanac watch`: the watch list and how far behind it is."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli import context

app = typer.Typer(help="The watched items.", no_args_is_help=True)

Items = Annotated[list[str], typer.Argument(help="Item ids, e.g. Q142.")]


@app.command("list")
def list_items(json: context.Json = False) -> None:
    """Every watched item, the revision last looked at, and whether it waits for a look."""
    with context.services() as services:
        items = services.watch.list()
    if json:
        context.print_json(items)
        return
    rows = [(i.item, i.revision, i.dirty, i.looked_at) for i in items]
    context.print_table(["item", "revision", "dirty", "looked at (UTC)"], rows)


@app.command()
def add(items: Items, json: context.Json = False) -> None:
    """Watch items."""
    with context.services() as services:
        number = services.watch.add(items)
    _told({"added": number}, f"{number} new items are watched", json)


@app.command()
def remove(items: Items, json: context.Json = False) -> None:
    """Watch items no longer; what still settled about them is withdrawn."""
    with context.services() as services:
        number = services.watch.remove(items)
    _told({"removed": number}, f"{number} items are no longer watched", json)


@app.command()
def lag(json: context.Json = False) -> None:
    """How far the watch is behind Wikidata."""
    with context.services() as services:
        found = services.watch.lag()
    if json:
        context.print_json(found)
        return
    oldest = "-" if found.oldest_mark_s is None else f"{found.oldest_mark_s:.0f} s"
    rows: list[tuple[str, object]] = [
        ("watched", found.watched),
        ("dirty", found.dirty),
        ("settling", found.settling),
        ("oldest mark", oldest),
        *((f"stream {name}", f"{age:.0f} s") for name, age in found.streams.items()),
    ]
    context.print_table(["what", "value"], rows)


def _told(data: dict[str, int], text: str, json: bool) -> None:
    if json:
        context.print_json(data)
    else:
        context.say(text)
