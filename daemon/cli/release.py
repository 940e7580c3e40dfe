"""`almanac release`, `rebase`: frozen batches, how far they came, and all edits on another base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import context

app = typer.Typer(help="Releases: frozen batches of edits.", no_args_is_help=True)

Id = Annotated[int, typer.Argument(help="Number of the release.")]


@app.command("list")
def list_releases(json: context.Json = False) -> None:
    """Every release, oldest first."""
    with context.services() as services:
        releases = services.releases.list()
    if json:
        context.print_json(releases)
        return
    rows = [
        (r.id, r.state, r.edits, r.recipe, r.version, context.short(r.adapter), r.created_at)
        for r in releases
    ]
    columns = ["id", "state", "edits", "recipe", "version", "adapter", "frozen (UTC)"]
    context.print_table(columns, rows)


@app.command()
def show(release: Id, json: context.Json = False) -> None:
    """A release with its edits and the gate's answer."""
    with context.services() as services:
        detail = services.releases.show(release)
    if json:
        context.print_json(detail)
        return
    row = detail.release
    context.say(f"release {row.id}: {row.state}; {row.edits} edits, recipe {row.recipe}")
    context.say(f"adapter: {row.adapter or '-'}; starts from {row.parent or 'the base model'}")
    if row.reason:
        context.say(row.reason)
    for unit in detail.units:
        change = unit.change
        old = change.old.label if change.old else "-"
        new = change.new.label if change.new else "-"
        context.say(f"  {change.subject.label} {change.property}: {old} -> {new}")
    if detail.gate is None:
        return
    context.say(f"gate {detail.gate['policy']}: {detail.verdict}; report: {detail.report_path}")
    columns = ["criterion", "value", "bar", "outcome", "why"]
    context.print_table(columns, [_criterion(c) for c in detail.gate["criteria"]])


@app.command()
def create(
    reason: Annotated[str, typer.Option(help="Why now.")] = "asked for on the command line",
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Freeze the approved edits into a release now, however few they are."""
    with context.services() as services:
        at_most = services.settings.release.max
        release = services.releases.create(actor=actor, reason=reason, at_most=at_most)
    nothing = "no approved edits wait: nothing was frozen"
    if json and release is None:
        context.print_json({"release": None, "reason": nothing})
    elif json:
        context.print_json(release)
    elif release is None:
        context.say(nothing)
    else:
        context.say(f"release {release.id}: {release.edits} edits are frozen")
    if release is None:
        raise typer.Exit(1)


@app.command()
def discard(
    release: Id,
    reason: Annotated[str, typer.Option(help="Why.")],
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Give a release up; its edits wait for the next one."""
    with context.services() as services:
        services.releases.discard(release, actor=actor, reason=reason)
    if json:
        context.print_json({"discarded": release})
    else:
        context.say(f"release {release} is discarded; its edits are approved and wait")


def _criterion(row: dict[str, object]) -> tuple[object, ...]:
    value = row["value"]
    shown = f"{value:.3f}" if isinstance(value, float) else "-"
    return (row["name"], shown, f"{row['op']} {row['bar']}", row["outcome"], row["detail"])


@context.app.command()
def rebase(
    base: Annotated[Path, typer.Option(help="Folder of the other base model.")],
    recipe: Annotated[
        str | None, typer.Option(help="Recipe by name or path (default: model.recipe).")
    ] = None,
    json: context.Json = False,
) -> None:
    """Train all edits in force on another base model, and put them before the gate."""
    from daemon.rebase import rebase as run

    with context.services() as services:
        found = run(services, base, recipe=recipe)
    if json:
        data = {
            "edits": found.edits,
            "adapter": str(found.adapter),
            "verdict": found.verdict,
            "report": str(found.report),
        }
        context.print_json(data)
    else:
        context.say(f"{found.edits} edits on {base}: the gate said {found.verdict}")
        context.say(f"adapter: {found.adapter}")
        context.say(f"report: {found.report}")
    if found.verdict != "pass":
        raise typer.Exit(1)
