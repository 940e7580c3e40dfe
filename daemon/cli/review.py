"""`almanac review`: the queue and its decisions."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli import context
from daemon.errors import Conflict
from daemon.review.service import Detail, Item
from daemon.store.states import ChangeState
from knowledge.properties import CATALOGUE

app = typer.Typer(help="The review queue.", no_args_is_help=True)

Id = Annotated[int, typer.Argument(help="Number of the change.")]
Reason = Annotated[str, typer.Option(help="Why; stands in the audit trail.")]


@app.command("list")
def list_items(
    state: Annotated[
        list[ChangeState] | None, typer.Option(help="States to show (default: in_review).")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every state.")] = False,
    json: context.Json = False,
) -> None:
    """Proposals that wait for a decision, oldest first."""
    states = list(ChangeState) if everything else (state or [ChangeState.IN_REVIEW])
    with context.services() as services:
        items = services.review.list(states)
    if json:
        context.print_json(items)
        return
    rows = [
        (i.id, i.state, _label(i), _old(i), _new(i), i.clean, context.short(i.digest), i.claimed_by)
        for i in items
    ]
    columns = ["id", "state", "fact", "was", "is", "clean", "digest", "claimed by"]
    context.print_table(columns, rows)


@app.command()
def show(change: Id, json: context.Json = False) -> None:
    """One proposal with its narrative, findings, evidence and history."""
    with context.services() as services:
        detail = services.review.show(change)
    if json:
        context.print_json(detail)
    else:
        _print_detail(detail)


@app.command()
def approve(
    change: Annotated[int | None, typer.Argument(help="Number of the change.")] = None,
    digest: Annotated[
        str | None, typer.Argument(help="Digest of the draft that was read (8 characters or more).")
    ] = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="All proposals in the queue that passed every check.")
    ] = False,
    reason: Reason = "",
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Approve one draft by its digest, or all clean ones."""
    with context.services() as services:
        if clean:
            chosen = [(i.id, i.digest or "") for i in services.review.list() if i.clean]
        elif change is not None and digest is not None:
            chosen = [(change, digest)]
        else:
            raise typer.BadParameter("name a change and the digest of its draft, or use --clean")
        approved: list[int] = []
        refused: dict[int, str] = {}
        for number, read in chosen:
            try:
                services.review.approve(number, read, actor=actor, reason=reason)
                approved.append(number)
            except Conflict as error:
                if not clean:
                    raise
                refused[number] = str(error)  # somebody was first; the others still stand
    if json:
        told = {"approved": approved}
        context.print_json({**told, "refused": refused} if refused else told)
    else:
        context.say(f"approved: {', '.join(map(str, approved)) or 'nothing'}")
        for number, why in refused.items():
            context.console_error(f"not approved: {number}: {why}")
    if refused:
        raise typer.Exit(1)


@app.command()
def reject(
    change: Id,
    reason: Annotated[str, typer.Option(help="What is wrong with the proposal.")],
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Reject a proposal."""
    with context.services() as services:
        services.review.reject(change, actor=actor, reason=reason)
    _told({"rejected": change}, f"rejected: {change}", json)


@app.command()
def undo(change: Id, actor: context.Actor = context.ME, json: context.Json = False) -> None:
    """Take a decision back, until the edit is frozen into a release."""
    with context.services() as services:
        services.review.undo(change, actor=actor)
    _told({"undone": change}, f"back in the queue: {change}", json)


@app.command()
def claim(change: Id, actor: context.Actor = context.ME, json: context.Json = False) -> None:
    """Take a proposal for a while, so that nobody else decides it."""
    with context.services() as services:
        until = services.review.claim(change, actor=actor)
    data = {"claimed": change, "until": until}
    _told(data, f"{change} is yours until {context.utc(until)} UTC", json)


def _told(data: dict[str, object], text: str, json: bool) -> None:
    if json:
        context.print_json(data)
    else:
        context.say(text)


def _label(item: Item) -> str:
    row = CATALOGUE.get(item.fact.property)
    return f"{row.label if row else item.fact.property} of {item.fact.subject.label}"


def _old(item: Item) -> str:
    return item.fact.old.label if item.fact.old else "-"


def _new(item: Item) -> str:
    return item.fact.new.label if item.fact.new else "-"


def _print_detail(detail: Detail) -> None:
    item = detail.item
    context.say(f"change {item.id}: {_label(item)}: {_old(item)} -> {_new(item)}")
    context.say(f"state: {item.state}; draft {item.version}, digest {item.digest or '-'}")
    if item.retracts:
        context.say(f"takes back change {item.retracts}")
    if detail.unit and detail.unit.narrative:
        context.say("")
        for claim_ in detail.unit.narrative.claims:
            quotes = "; ".join(f'"{span.text}"' for span in claim_.spans) or "no evidence"
            context.say(f"  {claim_.kind.value}: {claim_.text}  [{quotes}]")
    for finding in detail.findings:
        context.say(f"  finding: {finding.get('rule', '')}: {finding.get('message', '')}")
    for evidence in detail.evidence:
        context.say(f"  evidence: {evidence.source} {evidence.url} ({evidence.id[:12]})")
    context.say("")
    rows = [(e.at, e.from_state, e.to_state, e.actor, e.reason) for e in detail.audit]
    context.print_table(["at (UTC)", "from", "to", "who", "why"], rows)
