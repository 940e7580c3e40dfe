"""How an alias may move, and the move itself, inside the caller's transaction.

Owns the conditions of a promotion (a passed evaluation of this digest under the current policy, or
an override), freezing, and the row and chained event of one move. Does not open transactions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from daemon.errors import Conflict, NotFound, NotPromotable
from daemon.registry import history
from daemon.registry.lineage import lineage, units_of_release
from daemon.store.rows import (
    AdapterRow,
    AliasEventRow,
    AliasRow,
    EvaluationRow,
    OverrideRow,
    ReleaseRow,
)
from daemon.store.states import ReleaseState, record_event

PROMOTE, OVERRIDE, ROLLBACK = "promote", "override", "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What a promotion needs."""

    aliases: frozenset[str]
    """Aliases that take only what the gate passed; others take any registered version."""
    policy_digest: Callable[[], str] | None = None
    """Digest of the gate policy in force, asked at a promotion; without it any policy's verdict
    counts."""
    second_person: bool = False
    """Whether an override waits until somebody else asks for it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A move that has been decided upon. `expected_generation` is what it was decided upon."""

    alias: str
    digest: str | None
    action: str
    actor: str
    reason: str
    expected_generation: int | None = None
    evaluation: int | None = None


def alias_row(session: Session, name: str, now: dt.datetime) -> AliasRow:
    """The alias, locked; a fresh one, not yet stored, when it never moved."""
    found = session.get(AliasRow, name, with_for_update=True)
    return found or AliasRow(name=name, generation=0, updated_at=now)


def admit(
    session: Session, protection: Protection, alias: str, digest: str, *, override: bool
) -> tuple[str, int | None]:
    """The action under which this digest may be promoted, and the evaluation behind it. Raises
    NotPromotable."""
    evaluation = latest_evaluation(session, digest)
    known = evaluation.id if evaluation else None
    if alias not in protection.aliases:
        return PROMOTE, known
    if evaluation is None:
        raise NotPromotable(f"adapter {digest[:12]} was never evaluated; evaluate it first")
    objection = _objection(evaluation, protection)
    if objection is None:
        return PROMOTE, known
    if override and evaluation.verdict != "fail":
        return OVERRIDE, known
    raise NotPromotable(objection)


def _objection(evaluation: EvaluationRow, protection: Protection) -> str | None:
    digest = evaluation.adapter_digest[:12]
    if evaluation.verdict == "inconclusive":
        return (
            f"the gate said inconclusive to adapter {digest}; a person may promote it with "
            "--override and a reason"
        )
    if evaluation.verdict != "pass":
        return (
            f"the gate said {evaluation.verdict} to adapter {digest}; "
            "see `almanac release show` for the criteria that it missed"
        )
    current = protection.policy_digest() if protection.policy_digest else None
    if current is None or evaluation.policy_digest == current:
        return None
    return (
        f"adapter {digest} passed under policy {evaluation.policy} as it was then, and the gate's "
        "policy is another one now; evaluate it again, or promote it with --override and a reason"
    )


def ask_for_override(
    session: Session, row: AliasRow, digest: str, *, actor: str, reason: str, now: dt.datetime
) -> OverrideRow | None:
    """The earlier wish of somebody else for this very move, which is used up by it; None when this
    is the first one, which is noted and waits."""
    key = (row.name, digest, row.generation)
    wish = session.get(OverrideRow, key)
    if wish is not None and wish.actor != actor:
        session.delete(wish)
        return wish
    if wish is None:
        wish = OverrideRow(
            name=row.name,
            digest=digest,
            generation=row.generation,
            actor=actor,
            reason=reason,
            at=now,
        )
        session.add(wish)
        record_event(
            session,
            "alias",
            row.name,
            actor=actor,
            reason=f"asks for an override: {reason}",
            now=now,
            data={"to": digest, "generation": row.generation},
        )
    return None


def move(session: Session, row: AliasRow, step: Step, now: dt.datetime) -> AliasEventRow:
    """Move the alias and chain the event. Raises Conflict when it moved since the decision, or
    points there already."""
    check_generation(row, step.expected_generation)
    still = step.action in (history.FREEZE, history.UNFREEZE)
    if not still and row.digest == step.digest:
        raise Conflict(f"{row.name} already points there; nothing was changed")
    last = last_event(session, row.name)
    event = AliasEventRow(
        name=row.name,
        generation=row.generation + 1,
        from_digest=row.digest,
        to_digest=step.digest,
        action=step.action,
        actor=step.actor,
        reason=step.reason,
        evaluation_id=step.evaluation,
        at=now,
        previous_hash=last.hash if last else history.GENESIS,
        hash="",
    )
    event.hash = history.hash_of(event)
    row.digest, row.generation, row.updated_at = step.digest, event.generation, now
    session.add(row)
    session.add(event)
    record_event(
        session,
        "alias",
        row.name,
        actor=step.actor,
        reason=step.reason,
        now=now,
        data={"action": step.action, "to": step.digest, "generation": event.generation},
    )
    return event


def check_generation(row: AliasRow, expected: int | None) -> None:
    """Raises Conflict when the alias is not at the generation that a decision was about."""
    if expected is not None and row.generation != expected:
        raise Conflict(
            f"{row.name} moved meanwhile (generation {row.generation}, expected {expected}); "
            "look at `almanac registry history` and decide again"
        )


def refuse_frozen(row: AliasRow) -> None:
    if row.frozen_by is not None:
        raise Conflict(
            f"{row.name} was frozen by {row.frozen_by}; `almanac registry history` says why, and "
            "`almanac registry unfreeze` lets it move again (a rollback is possible all the same)"
        )


def refuse_synthetic(session: Session, digest: str) -> None:
    """Made-up facts are research data: no alias that users ask may know them. An adapter that was
    trained outside says in its manifest whether it does."""
    for adapter in lineage(session, digest):
        taught = units_of_release(session, adapter.release_id) if adapter.release_id else []
        made_up = [unit.id for unit in taught if unit.synthetic]
        made_up += adapter.manifest.get("synthetic", [])
        if made_up:
            raise NotPromotable(
                f"version {adapter.version} was taught the synthetic edit {made_up[0]}; such "
                "versions are for experiments and never served. Train one without it"
            )


def refuse_discarded(session: Session, digest: str | None) -> None:
    """The edits of a discarded release wait for another one: production must not have them."""
    for adapter in lineage(session, digest):
        release = session.get(ReleaseRow, adapter.release_id) if adapter.release_id else None
        if release is not None and release.state == ReleaseState.DISCARDED:
            raise NotPromotable(
                f"version {adapter.version} is of release {release.id}, which was discarded; its "
                "edits are approved again and go into the next release"
            )


def adapter_row(session: Session, digest: str) -> AdapterRow:
    """Raises NotFound."""
    row = session.get(AdapterRow, digest)
    if row is None:
        raise NotFound(f"no adapter has the digest {digest[:12]}; see `almanac registry list`")
    return row


def latest_evaluation(session: Session, digest: str) -> EvaluationRow | None:
    return session.exec(
        select(EvaluationRow)
        .where(EvaluationRow.adapter_digest == digest)
        .order_by(col(EvaluationRow.id).desc())
    ).first()


def events_of(session: Session, alias: str) -> Sequence[AliasEventRow]:
    return session.exec(
        select(AliasEventRow)
        .where(AliasEventRow.name == alias)
        .order_by(col(AliasEventRow.generation))
    ).all()


def last_event(session: Session, alias: str) -> AliasEventRow | None:
    return session.exec(
        select(AliasEventRow)
        .where(AliasEventRow.name == alias)
        .order_by(col(AliasEventRow.generation).desc())
    ).first()
