"""`almanac up`, `demo`, `status`, `ask`, `doctor` and `config show`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Annotated

import typer

from daemon import preconditions
from daemon.cli import context
from daemon.operating import Role

if TYPE_CHECKING:
    from daemon.cli.checks import Check

config_app = typer.Typer(help="Settings.", no_args_is_help=True)


@context.app.command()
def up(
    role: Annotated[
        Role, typer.Option(help="What this process does; several share one PostgreSQL.")
    ] = Role.ALL,
) -> None:
    """Run the service: watch, curate, review, train, evaluate, promote, serve."""
    from daemon import log

    loaded = context.loaded()
    settings = loaded.settings
    log.set_up(settings.log)
    if role is Role.WEB:
        from daemon.web_loop import run as run_web

        context.loading_is_over()
        run_web(settings, loaded.sources)
        return
    if role is Role.GATEWAY:
        settings.require_base_model()
        from daemon.serving.__main__ import run as run_gateway  # loads torch

        context.loading_is_over()
        run_gateway(settings)
        return
    preconditions.check_all(settings)
    from daemon.app import up as run  # after what is quick to check

    context.loading_is_over()
    run(settings, loaded.sources, role)


@context.app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def demo(arguments: typer.Context) -> None:
    """The whole loop on a local Wikidata, offline (see `almanac demo --help`)."""
    context.refuse_root_options("demo", "it has settings of its own")
    # The demo stands beside the command line and is entered by name.
    status = importlib.import_module("daemon.demo.run").main(arguments.args)
    raise typer.Exit(status or 0)


@context.app.command()
def status(json: context.Json = False) -> None:
    """Where everything stands."""
    with context.services() as services:
        data = services.status()
    if json:
        context.print_json(data)
        return
    watch, alias = data["watch"], data["alias"]
    standing = data["release_standing"]
    changes = ", ".join(f"{count} {state}" for state, count in sorted(data["changes"].items()))
    rows = [
        ("time (UTC)", data["time"]),
        (
            "watched items",
            f"{watch['items']}, {watch['dirty']} dirty, {watch['settling']} settling",
        ),
        ("changes", changes or "none yet"),
        ("releases", data["releases"]),
        (
            "release on its way",
            f"{standing['id']} {standing['state']}, {standing['edits']} edits"
            if standing
            else "none",
        ),
        (alias["name"], f"version {alias['version']} (generation {alias['generation']})"),
    ]
    context.print_table(["what", "value"], rows)


@context.app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    version: Annotated[
        list[str] | None,
        typer.Option(help="Ask this version instead of production, e.g. 2 or base; repeatable."),
    ] = None,
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 160,
    json: context.Json = False,
) -> None:
    """Ask the gateway; with several versions, side by side."""
    from daemon.serving.client import GatewayClient

    numbers: list[int | None] = [None]
    if version:
        with context.services() as services:
            numbers = [services.registry.resolve(name).number for name in version]
    client = GatewayClient(context.settings())
    said = [client.ask(question, version=n, max_tokens=max_tokens) for n in numbers]
    if json:
        rows = [{"question": question, "answer": s.text, "version": s.version} for s in said]
        context.print_json(rows if len(rows) > 1 else rows[0])
    elif len(said) == 1:
        context.say(said[0].text)
    else:
        context.print_table(["version", "answer"], [(s.version, s.text) for s in said])


@context.app.command()
def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended without a decision.")
    ] = False,
    json: context.Json = False,
) -> None:
    """Check what can go wrong before it does: settings, database, files, history, disk."""
    from daemon.cli.checks import run_checks

    checks = run_checks(context.settings(), repair=repair)
    if json:
        context.print_json(checks)
    else:
        rows = [(_mark(c), c.name, c.detail) for c in checks]
        context.print_table(["", "check", "detail"], rows)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def _mark(check: Check) -> str:
    if not check.ok:
        return "FAILED"
    return "WARN" if check.warning else "ok"


@config_app.command("show")
def config_show(json: context.Json = False) -> None:
    """Every setting, its value, and where that came from; secrets are masked."""
    loaded = context.loaded()
    if json:
        context.print_json(list(loaded.sources))
        return
    if loaded.file:
        context.say(f"file: {loaded.file}")
    context.print_table(
        ["setting", "value", "source"], [(s.key, s.value, s.source) for s in loaded.sources]
    )
