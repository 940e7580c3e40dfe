"""`almanac bench methods`: editing methods side by side."""

from __future__ import annotations

import importlib

import typer

from daemon.cli import context

app = typer.Typer(help="Measurements.", no_args_is_help=True)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def methods(arguments: typer.Context) -> None:
    """One editing method over an edit set (see `almanac bench methods --help`)."""
    context.refuse_root_options("bench methods", "it runs on a base model and an edit set")
    # The benches stand beside the command line and are entered by name.
    status = importlib.import_module("daemon.bench.methods_cli").main(arguments.args)
    raise typer.Exit(status or 0)
