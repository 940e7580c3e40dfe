"""`almanac curate`: how drafts came about, another draft, and MQuAKE records in and out."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.cli import context
from daemon.errors import ConfigError
from daemon.imports import units_of
from daemon.redo import Drafted
from knowledge import codec, mquake

app = typer.Typer(help="Drafts and where they come from.", no_args_is_help=True)

Id = Annotated[int, typer.Argument(help="Number of the change.")]
RecordFile = Annotated[Path, typer.Argument(help="MQuAKE records (JSON).")]


@app.command()
def show(change: Id, json: context.Json = False) -> None:
    """Each step of each draft: what went in and what came out."""
    with context.services() as services:
        drafts = services.drafts.of(change)
    if json:
        context.print_json(drafts)
        return
    if not drafts:
        context.say(f"change {change} has not been drafted yet")
    for draft in drafts:
        _print_draft(draft)


@app.command()
def redo(
    change: Id,
    reason: Annotated[
        str, typer.Option(help="Why; stands in the audit trail.")
    ] = "another draft asked for",
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Draft a change anew: one in review, rejected or failed."""
    with context.services() as services:
        services.drafts.redo(change, actor=actor, reason=reason)
    _told({"redo": change}, f"change {change} will be drafted again", json)


@app.command("import")
def import_records(
    file: RecordFile,
    synthetic: Annotated[
        bool,
        typer.Option(
            "--synthetic",
            help="Write made-up narratives for counterfactual records, into --out.",
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="With --synthetic: the records with their articles.")
    ] = None,
    units: Annotated[
        Path | None,
        typer.Option(help="Write edit units (JSON) for an experiment; nothing is queued."),
    ] = None,
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Take edits out of a file: with an article to the review queue, without one to be drafted."""
    if synthetic:
        _synthetic(file, out, json)
        return
    records = _read(file)
    if units is not None:
        made = units_of(records)
        units.write_text(
            jsonlib.dumps([codec.to_data(u) for u in made], ensure_ascii=False) + "\n",
            encoding="utf-8",
        )
        _told({"units": len(made), "file": str(units)}, f"{len(made)} units in {units}", json)
        return
    with context.services() as services:
        taken = services.imports.take(records, actor=actor)
    text = f"{taken.proposed} in review, {taken.settled} to be drafted, {taken.skipped} skipped"
    _told(codec.to_data(taken), text, json)


@app.command()
def export(file: RecordFile, json: context.Json = False) -> None:
    """Write the approved, batched and live edits as records with articles."""
    with context.services() as services:
        records = services.imports.export()
    mquake.write_records(file, records)
    _told({"records": len(records), "file": str(file)}, f"{len(records)} records in {file}", json)


def _synthetic(file: Path, out: Path | None, json: bool) -> None:
    if out is None:
        raise ConfigError("--synthetic writes the records with their articles: name --out FILE")
    from daemon.scaffold import run  # a model client is needed only here

    source = out if out.exists() else file  # what was cut goes on where it was
    with context.services() as services:
        tally = run(services, _read(source), out)
    for failure in tally.failed:
        context.say(f"  no article: {failure}")
    text = f"{tally.written} written, {tally.kept} were there, {len(tally.failed)} failed; in {out}"
    _told(codec.to_data(tally), text, json)


def _read(file: Path) -> list[mquake.Record]:
    try:
        return mquake.read_records(file)
    except (OSError, mquake.MquakeError) as error:
        raise ConfigError(f"{file}: {error}") from None


def _print_draft(draft: Drafted) -> None:
    what = f"draft {draft.version}" if draft.version else "no draft yet"
    context.say(f"{what} by {draft.author}, {context.utc(draft.at)} UTC")
    for step in draft.steps:
        context.say(f"  {step['step']} ({step['at']})")
        for name, label in (("in", "in "), ("out", "out")):
            for key, value in step[name].items():
                context.say(f"    {label} {key}: {_short(value)}")
    for key, value in draft.lineage.items():
        context.say(f"  {key}: {value}")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else jsonlib.dumps(value, ensure_ascii=False)
    return text if len(text) <= 400 else f"{text[:400]} ... ({len(text)} characters)"


def _told(data: dict[str, Any], text: str, json: bool) -> None:
    if json:
        context.print_json(data)
    else:
        context.say(text)
