"""`almanac bench methods` and `tune`: editing methods side by side."""

from __future__ import annotations

import importlib

import typer

from daemon.cli import context

app = typer.Typer(help="Measurements.", no_args_is_help=True)


_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_PASS_ON, add_help_option=False)
def methods(arguments: typer.Context) -> None:
    """One editing method over an edit set (see `almanac bench methods --help`)."""
    _enter("methods", "methods_cli", arguments.args)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def tune(arguments: typer.Context) -> None:
    """As many trials of each method, on the tune split (see `almanac bench tune --help`)."""
    _enter("tune", "tuning", arguments.args)


def _enter(command: str, module: str, arguments: list[str]) -> None:
    """The benches stand beside the command line and are entered by name."""
    context.refuse_root_options(f"bench {command}", "it runs on a base model and an edit set")
    status = importlib.import_module(f"daemon.bench.{module}").main(arguments)
    raise typer.Exit(status or 0)
