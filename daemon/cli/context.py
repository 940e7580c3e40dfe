"""What all commands share: the root options, opened services, tables and JSON, times in UTC.

Owns no command.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import gc
import getpass
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon import config
from daemon.config import Loaded, Settings
from daemon.errors import ConfigError
from knowledge import codec

if TYPE_CHECKING:  # loaded where they are needed: a command starts with what it uses
    from rich.console import Console

    from daemon.registry.service import Registry
    from daemon.services import Services

app = typer.Typer(
    name="almanac",
    help="Keeps the knowledge of a deployed language model current.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print data as JSON.")]
Actor = Annotated[str, typer.Option(help="Who acts; stands in the audit trail.")]


@dataclasses.dataclass(slots=True)
class _Root:
    config: Path | None = None
    flags: tuple[str, ...] = ()


_root = _Root()
_PLAIN_WIDTH = 200


@app.callback()
def root(
    config_file: Annotated[
        Path | None, typer.Option("--config", help="Settings file (default: almanac.toml).")
    ] = None,
    flags: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting.")
    ] = None,
) -> None:
    """Keeps the knowledge of a deployed language model current."""
    _root.config, _root.flags = config_file, tuple(flags or ())


def loaded() -> Loaded:
    """The settings of this call, with their sources. Raises ConfigError."""
    return config.load(_root.config, _root.flags)


def settings() -> Settings:
    return loaded().settings


def refuse_root_options(command: str, why: str) -> None:
    """Raises ConfigError when `--config` or `--set` was given to a command that ignores them."""
    given = [n for n, v in (("--config", _root.config), ("--set", _root.flags)) if v]
    if given:
        raise ConfigError(f"`almanac {command}` takes no {' or '.join(given)}: {why}")


@contextmanager
def services() -> Iterator[Services]:
    """The services over the configured database, closed afterwards."""
    from daemon.services import Services

    with Services.open(settings()) as opened:
        yield opened


@contextmanager
def registry() -> Iterator[Registry]:
    """The registry alone, for what must not wait for anything else; it moves no protected alias but
    back."""
    from daemon.clock import clock_of
    from daemon.registry.blobs import Blobs
    from daemon.registry.service import Registry
    from daemon.store.engine import Database

    chosen = settings()
    database = Database.open(chosen.database_url)
    try:
        alias = chosen.gateway.alias
        yield Registry(database, Blobs(chosen.blobs), clock_of(chosen), served=alias)
    finally:
        database.close()


def loading_is_over() -> None:
    """Let garbage be collected, if that was put off until all is loaded; what was loaded stays to
    the end, so collections pass it by."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def default_actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


ME = default_actor()


def console() -> Console:
    """Standard output; without a terminal so wide that nothing is cut."""
    from rich.console import Console

    made = Console(highlight=False)
    if made.is_terminal or "COLUMNS" in os.environ:
        return made
    return Console(highlight=False, width=_PLAIN_WIDTH)


def console_error(message: str) -> None:
    typer.echo(f"almanac: {message}", err=True)


def say(message: str) -> None:
    typer.echo(message)


def print_json(data: Any) -> None:
    """Data of the vocabulary, of the services, or plain, as JSON on standard output."""
    typer.echo(json.dumps(_plain(data), ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def utc(time: dt.datetime | None) -> str:
    """`2026-03-01 12:00`, in UTC; `-` for none."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M") if time else "-"


def short(digest: str | None) -> str:
    return digest[:12] if digest else "-"


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return utc(value)
    text = "-" if value is None else str(value)
    return text.replace("[", r"\[")


def _plain(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        return [_plain(one) for one in data]
    if isinstance(data, dict):
        return {str(key): _plain(value) for key, value in data.items()}
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        return codec.to_data(data)
    if isinstance(data, dt.datetime):
        return data.isoformat()
    return data
