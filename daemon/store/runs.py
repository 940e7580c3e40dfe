"""Bulk runs on the database, in the caller's transaction: opened, sampled, decided.

Owns the draw (by a digest, so that nobody chooses), the outcome of a sample as the reviewers'
decisions tell it, and what has lately settled by editor and run. Holding is the watch's.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence

from sqlmodel import Session, col, select

from agents.ledger import BulkRun, CandidateState, RunStanding, RunState, Traffic
from daemon.store.rows import BulkRunRow, CandidateRow, ChangeRow
from daemon.store.states import ChangeState, record_event

ACTOR = "watch"
BY_POLICY = "policy:"
"""How the names of automatic reviewers begin: a sample is for people."""
_GOOD = frozenset({ChangeState.APPROVED, ChangeState.BATCHED, ChangeState.LIVE})
_BAD = frozenset({ChangeState.REJECTED, ChangeState.RETRACTED})
_GONE = frozenset({ChangeState.WITHDRAWN, ChangeState.DISMISSED, ChangeState.FAILED})
"""Ended without anybody having judged it: another one is drawn."""


def open_runs(session: Session, runs: Iterable[BulkRun], now: dt.datetime) -> None:
    """Enter the runs that are not known yet."""
    for run in {r.id: r for r in runs}.values():
        if session.get(BulkRunRow, run.id) is None:
            session.add(
                BulkRunRow(
                    id=run.id,
                    editor=run.editor,
                    summary=run.summary,
                    day=run.day,
                    size=run.size,
                    state=RunState.OPEN.value,
                    opened_at=now,
                )
            )
            told = f"{run.editor} edited {run.size} items within an hour: {run.summary}"
            record_event(session, "bulk_run", run.id, actor=ACTOR, reason=told, now=now)


def read_traffic(
    session: Session, editors: Sequence[str], runs: Sequence[str], since: dt.datetime, sample: int
) -> Traffic:
    """As `WatchLedger.traffic`."""
    found = Traffic()
    recent = (col(CandidateRow.settled_at) > since, CandidateRow.state == CandidateState.SETTLED)
    for editor, at in session.exec(
        select(CandidateRow.editor, CandidateRow.settled_at).where(
            col(CandidateRow.editor).in_(editors), CandidateRow.run == "", *recent
        )
    ).all():
        found.editors.setdefault(editor, []).append(at)  # type: ignore[arg-type]
    for run, at in session.exec(
        select(CandidateRow.run, CandidateRow.settled_at).where(
            col(CandidateRow.run).in_(runs), *recent
        )
    ).all():
        found.runs.setdefault(run, []).append(at)  # type: ignore[arg-type]
    for row in session.exec(select(BulkRunRow).where(col(BulkRunRow.id).in_(runs))).all():
        members = _members(session, row.id)
        drawn = _draw(session, row.id, members, sample) if row.state == RunState.OPEN else ()
        keys = {c.key for c, _ in members if c.sampled} | {c.key for c in drawn}
        found.standings[row.id] = RunStanding(
            state=RunState(row.state), reason=row.reason, sample=frozenset(keys)
        )
    return found


def has_open(session: Session) -> bool:
    query = select(BulkRunRow.id).where(BulkRunRow.state == RunState.OPEN).limit(1)
    return session.exec(query).first() is not None


def close_decided(session: Session, now: dt.datetime, sample: int) -> int:
    """As `WatchLedger.close_runs`."""
    closed = 0
    for row in session.exec(select(BulkRunRow).where(BulkRunRow.state == RunState.OPEN)).all():
        decided = _outcome(_members(session, row.id), sample)
        if decided is not None:
            decide(session, row, decided[0], actor=ACTOR, reason=decided[1], now=now)
            closed += 1
    return closed


def decide(
    session: Session, row: BulkRunRow, state: RunState, *, actor: str, reason: str, now: dt.datetime
) -> None:
    """End a run; what is held of it is due now."""
    row.state, row.reason = state.value, reason
    row.decided_at, row.decided_by = now, actor
    session.add(row)
    for candidate, _ in _members(session, row.id):
        if candidate.state == CandidateState.SETTLING and candidate.due_at > now:
            stood = candidate.reason.startswith("held: ")
            candidate.due_at = now if stood else candidate.due_at
            session.add(candidate)
    told = f"{state.value}: {reason}"
    record_event(session, "bulk_run", row.id, actor=actor, reason=told, now=now)


def _members(session: Session, run: str) -> list[tuple[CandidateRow, ChangeRow | None]]:
    rows = session.exec(
        select(CandidateRow, ChangeRow)
        .join(ChangeRow, col(ChangeRow.id) == col(CandidateRow.change_id), isouter=True)
        .where(CandidateRow.run == run)
        .order_by(col(CandidateRow.key))
    ).all()
    return [(candidate, change) for candidate, change in rows]


def _draw(
    session: Session, run: str, members: Sequence[tuple[CandidateRow, ChangeRow | None]], most: int
) -> list[CandidateRow]:
    """Fill the sample up to so many that were or can still be judged."""
    drawn = sum(c.sampled and not _is_gone(c, change) for c, change in members)
    waiting = [c for c, _ in members if not c.sampled and c.state == CandidateState.SETTLING]
    waiting.sort(key=lambda c: hashlib.sha256(f"{run}\x1f{c.key}".encode()).digest())
    chosen = waiting[: max(0, most - drawn)]
    for candidate in chosen:
        candidate.sampled = True
        if candidate.reason.startswith("held: "):
            candidate.due_at = candidate.first_seen
        session.add(candidate)
    return chosen


def _outcome(
    members: Sequence[tuple[CandidateRow, ChangeRow | None]], sample: int
) -> tuple[RunState, str] | None:
    """What the people said of the sample; None while they have not said enough."""
    drawn = [(c, change) for c, change in members if c.sampled]
    bad = [change for _, change in drawn if change is not None and change.state in _BAD]
    if bad:
        which = ", ".join(str(change.id) for change in bad)
        return RunState.DISMISSED, f"of its sample, change {which} was rejected"
    good = sum(change is not None and _is_good(change) for _, change in drawn)
    open_ = [
        c
        for c, change in members
        if not _is_gone(c, change) and not (c.sampled and change is not None and _is_good(change))
    ]
    if good >= sample or (good and not open_):
        return RunState.RELEASED, f"its sample of {good} was approved"
    return None


def _is_good(change: ChangeRow) -> bool:
    by = change.decided_by or ""
    return change.state in _GOOD and not by.startswith(BY_POLICY)


def _is_gone(candidate: CandidateRow, change: ChangeRow | None) -> bool:
    ended = candidate.state in (CandidateState.WITHDRAWN, CandidateState.DISMISSED)
    return ended or (change is not None and change.state in _GONE)
