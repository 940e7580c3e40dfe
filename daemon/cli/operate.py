"""`almanac schedule`, `backup`, `restore`, `dead` and `db`: running it unattended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import context
from daemon.errors import ConfigError
from daemon.services import Services, backups_of
from daemon.store.engine import Database
from daemon.upkeep import backup as backups
from daemon.upkeep.schedule import EVERYTHING

schedule_app = typer.Typer(help="What runs when.", no_args_is_help=False)
dead_app = typer.Typer(help="What failed too often and was parked.", no_args_is_help=True)
db_app = typer.Typer(help="The database's schema.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Lines of the timetable (default: all).")]


@schedule_app.callback(invoke_without_command=True)
def schedule(
    arguments: typer.Context,
    upcoming: Annotated[int, typer.Option(help="Next runs to show of each line.")] = 1,
    json: context.Json = False,
) -> None:
    """What runs when, what ran last, and what is paused."""
    if arguments.invoked_subcommand is not None:
        return
    with context.services() as services:
        lines = services.schedule.lines(upcoming)
    if json:
        context.print_json(lines)
        return
    rows = [
        (
            line.name,
            line.expression or "whenever there is work",
            "paused" if line.paused else ", ".join(context.utc(t) for t in line.next) or "-",
            line.runs,
            line.last_ended,
            line.outcome or line.paused_reason,
        )
        for line in lines
    ]
    columns = ["line", "when", "next (UTC)", "runs", "last (UTC)", "outcome"]
    context.print_table(columns, rows)


@schedule_app.command()
def pause(
    names: Names = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    actor: context.Actor = context.ME,
) -> None:
    """Start nothing of these lines any more, or of all; reviewing and serving go on."""
    with context.services() as services:
        services.schedule.pause(names or [], actor=actor, reason=reason)
    context.say(f"paused: {', '.join(names or [EVERYTHING])}")


@schedule_app.command()
def resume(names: Names = None, actor: context.Actor = context.ME) -> None:
    """Go on with these lines, or with all."""
    with context.services() as services:
        services.schedule.resume(names or [], actor=actor)
    context.say(f"resumed: {', '.join(names or [EVERYTHING])}")


@schedule_app.command("run")
def run_now(
    name: Annotated[str, typer.Argument(help="Line of the timetable.")],
    actor: context.Actor = context.ME,
) -> None:
    """Have the running service do a line's work once, now."""
    with context.services() as services:
        services.schedule.ask(name, actor=actor)
    context.say(f"{name} is asked for; the service does it at its next look")


@context.app.command("backup")
def make_backup(
    to: Annotated[Path | None, typer.Option(help="Folder to put it in.")] = None,
    verify: Annotated[bool, typer.Option(help="Restore it into a scratch place too.")] = False,
    json: context.Json = False,
) -> None:
    """Copy rows and adapters into a folder of their own; the service may run meanwhile."""
    with context.services() as services:
        made = services.backups.create(into=to)
    if verify:
        backups.verify(made.folder)
    _tell(made, "proved by a restore" if verify else "not restored for proof", json)


@context.app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that `almanac backup` made.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Only prove it, in a scratch place.")
    ] = False,
    json: context.Json = False,
) -> None:
    """Fill an empty home and database from a backup, and prove what came out."""
    if verify:
        _tell(backups.verify(folder), "it is whole and can be restored", json)
        return
    with Services.open(context.settings()) as services:
        done = backups.restore(folder, services.database, services.settings.blobs)
    _tell(done, "restored", json)


@dead_app.command("list")
def dead_list(json: context.Json = False) -> None:
    """What is parked, with the reason."""
    with context.services() as services:
        letters = services.dead.list()
    if json:
        context.print_json(letters)
        return
    rows = [(one.kind, one.id, one.failures, one.since, one.reason) for one in letters]
    context.print_table(["kind", "id", "failures", "since (UTC)", "reason"], rows)


@dead_app.command()
def retry(
    kind: Annotated[str, typer.Argument(help="change, item or message.")],
    id: Annotated[str, typer.Argument(help="As `almanac dead list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why now.")] = "",
    actor: context.Actor = context.ME,
) -> None:
    """Try one again, with a fresh count of failures."""
    with context.services() as services:
        services.dead.retry(kind, id, actor=actor, reason=reason)
    context.say(f"{kind} {id} is tried again")


@db_app.command("upgrade")
def db_upgrade(json: context.Json = False) -> None:
    """Bring the database to this Almanac's schema; an older one is backed up before."""
    settings = context.settings()
    database = Database(settings.database_url)
    made: list[backups.Backup] = []

    def save(old: Database) -> None:
        label = f"-before-{Database.head()}"
        made.append(backups_of(settings, old).create(label=label))

    try:
        before = database.schema()
    finally:
        database.close()
    opened = Database.open(settings.database_url, before_upgrade=save)
    after = opened.schema()
    opened.close()
    if json:
        folder = str(made[0].folder) if made else None
        context.print_json({"from": before, "to": after, "backup": folder})
    elif before == after:
        context.say(f"the schema is {after}, the newest")
    else:
        saved = f"; the old state is in {made[0].folder}" if made else ""
        context.say(f"upgraded from {before or 'nothing'} to {after}{saved}")


@db_app.command("show")
def db_show(json: context.Json = False) -> None:
    """The schema that the database is at, and the newest that this Almanac knows."""
    database = Database(context.settings().database_url)
    try:
        here, head = database.schema(), Database.head()
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"the database cannot be asked: {reason}") from None
    finally:
        database.close()
    if json:
        context.print_json({"schema": here, "newest": head})
    else:
        context.say(f"schema {here or 'none'}; newest {head}")


def _tell(made: backups.Backup, text: str, json: bool) -> None:
    if json:
        data = {"folder": str(made.folder), "at": made.at, "schema": made.schema}
        context.print_json({**data, "rows": made.rows, "adapters": made.adapters, "state": text})
    else:
        context.say(f"{made.folder}: {made.rows} rows, {made.adapters} adapters; {text}")
