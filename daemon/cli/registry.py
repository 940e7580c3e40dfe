"""`almanac registry`: versions, where they come from, their files, and the history of an alias."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import context
from daemon.errors import Conflict, NotFound
from daemon.registry.provenance import Difference, Provenance

app = typer.Typer(help="Versions of the model.", no_args_is_help=True)

Version = Annotated[str, typer.Argument(help="Number, `base`, or a digest's beginning.")]
Alias = Annotated[str | None, typer.Option(help="Alias (default: gateway.alias).")]


@app.command("list")
def list_versions(json: context.Json = False) -> None:
    """Every version; the base model is number 0."""
    with context.services() as services:
        versions = services.registry.versions()
        _, current = services.registry.current(services.settings.gateway.alias)
    if json:
        context.print_json(versions)
        return
    rows = [
        (
            f"v{v.number}",
            "serves" if v.digest == current else "collected" if v.purged_at else "",
            context.short(v.digest),
            v.release,
            v.verdict,
            f"{v.size_bytes / 1e6:.1f} MB" if v.digest else "base model",
            v.created_at,
        )
        for v in versions
    ]
    columns = ["version", "", "digest", "release", "verdict", "size", "created (UTC)"]
    context.print_table(columns, rows)


@app.command()
def show(version: Version, json: context.Json = False) -> None:
    """One version: lineage, edits, where its files are."""
    with context.services() as services:
        registry = services.registry
        found = registry.resolve(version)
        lineage = registry.lineage(found.digest)
        units = registry.live_units(found.digest)
        path = str(registry.path_of(found.digest)) if found.digest else None
        manifest = registry.manifest(found.digest) if found.digest else {}
    if json:
        data = {"version": found, "lineage": lineage, "edits": units, "path": path}
        context.print_json({**data, "manifest": manifest})
        return
    context.say(f"version {found.number}: {found.digest or 'the base model'}")
    context.say(f"files: {path or '-'}")
    context.say(f"lineage: {' <- '.join(['base', *(d[:12] for d in lineage)])}")
    context.say(f"taught: {len(units)} edits in force")


@app.command()
def verify(
    version: Annotated[str | None, typer.Argument(help="One version (default: all).")] = None,
    json: context.Json = False,
) -> None:
    """Check the signatures, hash the files again, and follow the history's chain."""
    with context.services() as services:
        registry = services.registry
        chosen = [registry.resolve(version)] if version else registry.versions()
        digests = [v.digest for v in chosen if v.digest and (version or not v.purged_at)]
        for digest in digests:
            registry.verify(digest)
        alias = services.settings.gateway.alias
        broken = registry.broken_at(alias)
    if broken is not None:
        raise Conflict(f"the history of {alias} was altered: generation {broken} does not fit")
    if json:
        context.print_json({"verified": digests, "history": "whole"})
    else:
        context.say(
            f"{len(digests)} adapters are signed and what their digests say; the history is whole"
        )


@app.command()
def lineage(version: Version, json: context.Json = False) -> None:
    """Where a version comes from: facts, evidence, reviewers, recipe, code, evaluation."""
    with context.services() as services:
        digest = services.registry.resolve(version).digest
        if digest is None:
            raise NotFound("version 0 is the base model; it comes from nothing of ours")
        found = services.registry.provenance(digest)
    if json:
        context.print_json(found)
    else:
        _say_provenance(found)


@app.command()
def diff(left: Version, right: Version, json: context.Json = False) -> None:
    """What the second version knows and measures that the first one does not."""
    with context.services() as services:
        registry = services.registry
        found = registry.difference(registry.resolve(left), registry.resolve(right))
    if json:
        context.print_json(found)
    else:
        _say_difference(found)


@app.command()
def gc(
    older_than_days: Annotated[
        int | None,
        typer.Option(min=0, help="Also the files of versions that old which nothing needs."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Remove what crashes left behind, and on request the files of versions of no use."""
    age = dt.timedelta(days=older_than_days) if older_than_days is not None else None
    with context.services() as services:
        found = services.registry.collect(actor=actor, older_than=age, dry_run=dry_run)
    if json:
        context.print_json(found)
        return
    would = "would be " if dry_run else ""
    context.say(
        f"{would}removed: {found.scratch} scratch folders, {len(found.orphans)} blobs without a "
        f"version, the files of {len(found.versions)} versions; {found.freed_bytes / 1e6:.1f} MB"
    )


@app.command()
def export(
    version: Version,
    target: Annotated[Path, typer.Argument(help="Folder to write; must be new.")],
    json: context.Json = False,
) -> None:
    """Write a version as a folder that PEFT and vLLM load, with a card and a signed manifest."""
    from daemon.registry import exporting

    with context.services() as services:
        digest = services.registry.resolve(version).digest
        if digest is None:
            raise NotFound("version 0 is the base model; export an adapter's version")
        path = exporting.export(services.registry, digest, target)
    if json:
        context.print_json({"exported": digest, "folder": str(path)})
    else:
        context.say(f"{path} holds adapter {context.short(digest)}")


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="What `almanac registry export` wrote.")],
    json: context.Json = False,
) -> None:
    """Take a version from another registry, if a trusted key signed it."""
    from daemon.registry import exporting

    with context.services() as services:
        version = exporting.import_(services.registry, folder)
    if json:
        context.print_json(version)
    else:
        context.say(f"it is version {version.number} here: {context.short(version.digest)}")


@app.command()
def key(json: context.Json = False) -> None:
    """The public key that this registry signs with, and the keys that it trusts."""
    with context.services() as services:
        own, trusted = services.registry.keys.public(), services.registry.keys.trusted()
    if json:
        context.print_json({"public": own, "trusted": trusted})
        return
    context.print_table(["name", "public key"], sorted(trusted.items()))


@app.command()
def trust(
    name: Annotated[str, typer.Argument(help="What to call the other registry here.")],
    public_key: Annotated[str, typer.Argument(help="What its `almanac registry key` prints.")],
    json: context.Json = False,
) -> None:
    """Believe what another registry signs."""
    with context.services() as services:
        services.registry.keys.trust(name, public_key)
    if json:
        context.print_json({"trusted": name})
    else:
        context.say(f"{name} is trusted: its exports can be imported")


@app.command()
def history(alias: Alias = None, json: context.Json = False) -> None:
    """Every move of the alias, oldest first."""
    with context.services() as services:
        served = services.settings.gateway.alias
        moves = services.registry.history(alias or served)
    if not moves and alias not in (None, served):
        raise NotFound(f"no alias is called {alias!r}: it was never moved; production's: {served}")
    if json:
        context.print_json(moves)
        return
    rows = [
        (
            m.generation,
            m.action,
            context.short(m.from_digest),
            context.short(m.to_digest),
            m.actor,
            m.at,
            m.reason,
        )
        for m in moves
    ]
    columns = ["generation", "action", "from", "to", "who", "at (UTC)", "why"]
    context.print_table(columns, rows)


def _say_provenance(found: Provenance) -> None:
    version, training = found.version, found.training
    context.say(f"version {version.number}: {version.digest}")
    names = ["base", *(f"v{a.number}" for a in found.ancestors), f"v{version.number}"]
    context.say(f"lineage: {' <- '.join(names)}; {found.in_force} edits in force")
    context.say(
        f"made by method {training.get('method', '-')}, recipe {training.get('recipe', '-')}, seed "
        f"{training.get('seed', '-')}; code {context.short(found.statement.get('code'))}"
    )
    if found.evaluation:
        context.say(f"gate: {found.evaluation.verdict} under policy {found.evaluation.policy}")
    columns = ["edit", "property", "old", "new", "drafted by", "approved by", "sources"]
    rows = [
        (
            e.subject,
            e.property,
            e.old,
            e.new,
            e.author,
            e.approved_by,
            ", ".join(s.source for s in e.sources),
        )
        for e in found.edits
    ]
    context.print_table(columns, rows)


def _say_difference(found: Difference) -> None:
    for number, edits in ((found.left, found.only_left), (found.right, found.only_right)):
        context.say(f"only v{number} ({len(edits)} edits):")
        for edit in edits:
            context.say(f"  {edit}")
    rows = [(name, *pair) for name, pair in {**found.settings, **found.metrics}.items()]
    context.print_table(["", f"v{found.left}", f"v{found.right}"], rows)
