"""`almanac up`, `demo`, `status`, `ask`, `doctor` and `config show`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon import preconditions
from daemon.cli import context
from daemon.errors import AlmanacError, Retryable

if TYPE_CHECKING:
    from daemon.cli.checks import Check

config_app = typer.Typer(help="Settings.", no_args_is_help=True)

_ASK_TIMEOUT_S = 120.0


@context.app.command()
def up() -> None:
    """Run the service: watch, curate, review, train, evaluate, promote, serve."""
    from daemon import log

    loaded = context.loaded()
    settings = loaded.settings
    log.set_up(settings.log)
    preconditions.check_all(settings)
    from daemon.app import up as run  # after what is quick to check: this loads langgraph

    run(settings, loaded.sources)


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
        str | None, typer.Option(help="Ask this version instead of production, e.g. 2 or base.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 160,
    json: context.Json = False,
) -> None:
    """Ask the gateway."""
    model = "almanac"
    if version is not None:
        with context.services() as services:
            model = f"almanac@v{services.registry.resolve(version).number}"
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": max_tokens,
        "temperature": 0,
    }
    answer, headers = _post(body)
    text = answer["choices"][0]["message"]["content"]
    served = headers.get("X-Almanac-Version", "")
    if json:
        context.print_json({"question": question, "answer": text, "version": served})
    else:
        context.say(text)


@context.app.command()
def doctor(json: context.Json = False) -> None:
    """Check what can go wrong before it does: settings, database, files, history, disk."""
    from daemon.cli.checks import run_checks

    checks = run_checks(context.settings())
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


def _post(body: dict[str, Any]) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The answer, and its headers by names of any case."""
    import httpx

    from daemon.serving.process import announced_url

    settings = context.settings()
    gateway = settings.gateway
    url = announced_url(settings.home) or f"http://{gateway.host}:{gateway.port}"
    try:
        response = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=_ASK_TIMEOUT_S)
        data = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        raise Retryable(f"no gateway answers at {url}; `almanac up` starts one") from None
    if response.status_code != 200:
        raise AlmanacError(f"the gateway refused: {data.get('error', {}).get('message', data)}")
    return data, response.headers
