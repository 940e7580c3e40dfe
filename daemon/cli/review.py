"""`almanac review`: the queue and its decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import context
from daemon.review.approvals import BULK_LIMIT, Outcome
from daemon.review.editing import Edit
from daemon.review.items import Detail, Item
from daemon.review.policy import load
from daemon.store.states import ChangeState
from knowledge import codec
from knowledge.narrative import ClaimKind
from knowledge.properties import CATALOGUE

app = typer.Typer(help="The review queue.", no_args_is_help=True)

CLIENT = "cli"
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
        review = services.review.via(CLIENT)
        approved: list[int] = []
        first: list[int] = []
        refused: dict[int, str] = {}
        if clean:
            chosen = [(i.id, i.digest or "") for i in review.list() if i.clean]
            for start in range(0, len(chosen), BULK_LIMIT):
                done = review.approve_many(
                    chosen[start : start + BULK_LIMIT], actor=actor, reason=reason
                )
                approved += done.approved
                first += done.first
                refused |= done.refused
        elif change is not None and digest is not None:
            outcome = review.approve(change, digest, actor=actor, reason=reason)
            (approved if outcome is Outcome.APPROVED else first).append(change)
        else:
            raise typer.BadParameter("name a change and the digest of its draft, or use --clean")
    if json:
        told = {"approved": approved, "first_of_two": first, "refused": refused}
        context.print_json({k: v for k, v in told.items() if v or k == "approved"})
    else:
        context.say(f"approved: {', '.join(map(str, approved)) or 'nothing'}")
        if first:
            numbers = ", ".join(map(str, first))
            context.say(f"first of two approvals, somebody else must agree: {numbers}")
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
        services.review.via(CLIENT).reject(change, actor=actor, reason=reason)
    _told({"rejected": change}, f"rejected: {change}", json)


@app.command()
def undo(change: Id, actor: context.Actor = context.ME, json: context.Json = False) -> None:
    """Take a decision back, until the edit is frozen into a release."""
    with context.services() as services:
        services.review.via(CLIENT).undo(change, actor=actor)
    _told({"undone": change}, f"back in the queue: {change}", json)


@app.command()
def claim(change: Id, actor: context.Actor = context.ME, json: context.Json = False) -> None:
    """Take a proposal for a while, so that nobody else decides it."""
    with context.services() as services:
        until = services.review.via(CLIENT).claim(change, actor=actor)
    data = {"claimed": change, "until": until}
    _told(data, f"{change} is yours until {context.utc(until)} UTC", json)


@app.command()
def edit(
    change: Id,
    digest: Annotated[str, typer.Argument(help="Digest of the draft that was read.")],
    legacy: Annotated[str | None, typer.Option(help="The sentence about what was.")] = None,
    cause_text: Annotated[str | None, typer.Option(help="The sentence about why.")] = None,
    transition: Annotated[str | None, typer.Option(help="The sentence about the change.")] = None,
    new: Annotated[str | None, typer.Option(help="The sentence about what is.")] = None,
    cause: Annotated[
        str | None, typer.Option(help="The cause in a few words; empty: no source states one.")
    ] = None,
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Store an edit as a new version of the draft; the rules check it. Sentences that are not named
    stay as they are."""
    texts = {
        ClaimKind.LEGACY: legacy,
        ClaimKind.CAUSE: cause_text,
        ClaimKind.TRANSITION: transition,
        ClaimKind.NEW: new,
    }
    with context.services() as services:
        review = services.review.via(CLIENT)
        wanted = Edit(
            claims={kind: text for kind, text in texts.items() if text is not None},
            cause=cause,
        )
        made = review.edit(change, digest, wanted, actor=actor)
        findings = review.show(change).findings
    data = {"edited": change, "digest": made, "findings": list(findings)}
    checks = f"{len(findings)} findings" if findings else "all checks passed"
    _told(data, f"edited: {change}, now {context.short(made)}, {checks}", json)


@app.command()
def skip(
    change: Id, reason: Reason = "", actor: context.Actor = context.ME, json: context.Json = False
) -> None:
    """Leave a proposal to somebody else; gives a claim back."""
    with context.services() as services:
        services.review.via(CLIENT).skip(change, actor=actor, reason=reason)
    _told({"skipped": change}, f"skipped: {change}", json)


@app.command()
def dismissed(
    kind: Annotated[str, typer.Option(help="One kind only.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.")] = 50,
    json: context.Json = False,
) -> None:
    """Differences that the watch put aside, with the reason of each."""
    with context.services() as services:
        found = services.dismissed.page(kind=kind, limit=limit).items
    if json:
        context.print_json(list(found))
        return
    rows = [(d.id, d.kind, d.fact.subject.label, d.fact.property, d.reason) for d in found]
    context.print_table(["id", "kind", "subject", "property", "why"], rows)


@app.command()
def reopen(
    number: Annotated[int, typer.Argument(help="Number of the change, or of the difference.")],
    difference: Annotated[
        bool, typer.Option("--difference", help="It is a difference of `review dismissed`.")
    ] = False,
    reason: Reason = "",
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Take up what was dismissed, rejected or failed."""
    with context.services() as services:
        if difference:
            change = services.dismissed.reopen(number, actor=actor, reason=reason)
        else:
            services.dismissed.reopen_change(number, actor=actor, reason=reason)
            change = number
    _told({"reopened": change}, f"reopened: change {change}", json)


@app.command("dry-run")
def dry_run(
    policy: Annotated[
        Path | None, typer.Option(help="Policy file (default: review.policy).")
    ] = None,
    json: context.Json = False,
) -> None:
    """What an auto-approve policy would have done, and where people said otherwise."""
    with context.services() as services:
        trial = services.try_policy(load(policy) if policy else None)
    if json:
        context.print_json(trial)
        return
    context.say(f"{trial.policy} {trial.text}")
    if trial.disagreements:
        context.say(f"disagrees on: {', '.join(map(str, trial.disagreements))}")


@app.command("second-look")
def second_look(
    change: Annotated[int | None, typer.Argument(help="Number of the change.")] = None,
    agrees: Annotated[
        bool | None, typer.Option("--agree/--disagree", help="Whether the approval was right.")
    ] = None,
    reason: Reason = "",
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """List approvals that were drawn for a second look, or answer for one of them."""
    with context.services() as services:
        if change is None or agrees is None:
            waiting = services.sampling.waiting()
            if json:
                context.print_json(waiting)
            else:
                rows = [(w.change, w.approved_by, w.drawn_at) for w in waiting]
                context.print_table(["change", "approved by", "drawn (UTC)"], rows)
            return
        services.sampling.answer(change, agrees=agrees, actor=actor, reason=reason)
    _told({"answered": change, "agrees": agrees}, f"answered: {change}", json)


@app.command()
def audit(
    check: Annotated[
        bool, typer.Option("--check", help="Only check that the chain is whole.")
    ] = False,
    json: context.Json = False,
) -> None:
    """Every event as a line of JSON, oldest first; or whether their chain is whole."""
    with context.services() as services:
        if not check:
            for event in services.audit.export():
                typer.echo(codec.to_json(event))
            return
        broken = services.audit.broken_at()
    whole = "the chain is whole" if broken is None else f"the chain is broken at event {broken}"
    _told({"whole": broken is None, "broken_at": broken}, whole, json)
    if broken is not None:
        raise typer.Exit(1)


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
