"""`almanac watch`: the watch list and how far behind it is."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import context
from daemon.config import Settings
from daemon.errors import ConfigError

app = typer.Typer(help="The watched items.", no_args_is_help=True)

_ITEM = re.compile(r"(?:^|[^A-Za-z0-9])(Q[1-9][0-9]*)\b")

_INTAKE = ("sweep", "discovery", "audit")
"""What is done by the clock; the service tells when it last was."""

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


@app.command("import")
def import_items(
    source: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="One item id or link a line, or CSV; - for input."),
    ] = None,
    sparql: Annotated[
        str | None,
        typer.Option(metavar="QUERY", help="SPARQL that binds ?item, or @FILE with one."),
    ] = None,
    json: context.Json = False,
) -> None:
    """Watch what a file lists or a SPARQL query finds. To ask a query every day, put it into
    watch.queries of the settings."""
    if (source is None) == (sparql is None):
        raise ConfigError("name either a file or --sparql")
    with context.services() as services:
        items = _listed(source) if source is not None else _found(services.settings, sparql or "")
        if not items:
            raise ConfigError("there is no item id in it; nothing was added")
        number = services.watch.add(items)
    told = f"{number} new items are watched, of {len(items)} found"
    _told({"found": len(items), "added": number}, told, json)


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
        *((name, f"{age:.0f} s ago") for name, age in sorted(found.streams.items())),
        *((name, "never") for name in _INTAKE if name not in found.streams),
    ]
    context.print_table(["what", "value"], rows)


@app.command()
def runs(
    everything: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    json: context.Json = False,
) -> None:
    """Bulk runs: one editor's work with one summary over many items. A sample of each goes to the
    reviewers; the rest is held and follows what they say."""
    with context.services() as services:
        found = services.bulk_runs.list(everything=everything)
    if json:
        context.print_json(found)
        return
    rows = [
        (r.id, r.editor, r.day, r.size, r.held, r.sampled, r.state, r.reason or r.summary)
        for r in found
    ]
    names = ["run", "editor", "day", "items", "held", "sampled", "state", "summary or reason"]
    context.print_table(names, rows)


@app.command("decide-run")
def decide_run(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id, of `watch runs`.")],
    reason: Annotated[str, typer.Option("--reason", help="Stands at each of its changes.")],
    release: Annotated[
        bool, typer.Option("--release/--dismiss", help="Let its changes go on, or not.")
    ],
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Decide a bulk run yourself, without its sample."""
    with context.services() as services:
        services.bulk_runs.decide(run, release=release, actor=actor, reason=reason)
    state = "released" if release else "dismissed"
    if json:
        context.print_json({"run": run, "state": state})
    else:
        context.say(f"run {run} is {state}")


def _listed(source: str) -> list[str]:
    """Item ids in a text, one a line: bare, as a link, or as the first column that has one."""
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} cannot be read: {error}") from None
    found = (_ITEM.search(line) for line in text.splitlines())
    return list(dict.fromkeys(match.group(1) for match in found if match))


def _found(settings: Settings, sparql: str) -> list[str]:
    """Items that the configured endpoint finds."""
    from daemon.wiring import sparql_endpoint

    settings.require_contact()
    query = sparql
    if sparql.startswith("@"):
        try:
            query = Path(sparql[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{sparql[1:]} cannot be read: {error}") from None
    found = asyncio.run(sparql_endpoint(settings).items(query))
    return list(dict.fromkeys(found))


def _told(data: dict[str, int], text: str, json: bool) -> None:
    if json:
        context.print_json(data)
    else:
        context.say(text)
