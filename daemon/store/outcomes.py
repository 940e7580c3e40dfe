"""What one look at an item leaves behind, in the caller's transaction.

Owns the new base (if nobody stored another since the look began), verdicts and dismissals, when an
item is looked at again, and the leaving of items that were merged or deleted. What candidates
become is in `daemon.store.candidates`.
"""

from __future__ import annotations

import datetime as dt

from sqlmodel import Session

from agents.ledger import Base, Dismissal, EditVerdict, ItemOutcome
from daemon.store.candidates import (
    DELETED,
    apply_candidate,
    withdraw_candidates,
    withdraw_proposals,
)
from daemon.store.rows import BaseRow, DirtyRow, DismissalRow, EditVerdictRow, WatchItemRow
from daemon.store.runs import open_runs
from daemon.store.watch_list import add_items, forget
from knowledge import codec

_FIRST_RETRY_S = 30.0
_LONGEST_RETRY_S = 3600.0
_LAGGING_LOOKS = 6
"""Good answers older than the mark before the mark is dropped: the sweep finds what is real."""
PARK_AFTER = 30
"""Failed looks (a day of them) before an item is a dead letter."""


def record_outcome(session: Session, outcome: ItemOutcome, now: dt.datetime) -> None:
    """Store what a look found; harmless when repeated."""
    item = session.get(WatchItemRow, outcome.item, with_for_update=True)
    if item is None:
        forget(session, outcome.item)  # taken off the list while it was looked at
        return
    if outcome.status == "unknown":
        _postpone(session, outcome.item, now, outcome.reason)
        return
    if _is_overtaken(session, item, outcome):
        _again(session, item, now)
        return
    if outcome.status == "early":
        item.gone_since = None
        session.add(item)
        _hold(session, outcome.item, outcome.look_again_at or now, outcome.reason, now)
        return
    item.looked_at, item.look_again_at = now, outcome.look_again_at
    session.add(item)
    for verdict in outcome.edits:
        session.merge(_verdict_row(verdict))
    for dismissal in outcome.dismissals:
        session.add(_dismissal_row(outcome.item, dismissal, now))
    open_runs(session, outcome.runs, now)
    for candidate in outcome.candidates:
        apply_candidate(session, outcome.item, candidate, now)
    if outcome.redirect_to is not None or outcome.deleted:
        _leave(session, item, outcome, now)
        return
    item.gone_since = None
    if outcome.base is not None:
        session.merge(
            BaseRow(
                item=outcome.item,
                revision=outcome.base.revision,
                entity=outcome.base.entity,
                accepted_at=now,
            )
        )
    _clean(session, outcome.item, now)


def _is_overtaken(session: Session, item: WatchItemRow, outcome: ItemOutcome) -> bool:
    """Whether somebody stored another base (or left the item) since the look began."""
    if outcome.started_from is None:
        return False
    if item.deleted or item.redirect_to is not None:
        return True
    row = session.get(BaseRow, item.item)
    stored = Base(item=item.item, revision=0, entity=None)
    if row is not None:
        stored = Base(item=row.item, revision=row.revision, entity=row.entity)
    return stored.identity != outcome.started_from


def _again(session: Session, item: WatchItemRow, now: dt.datetime) -> None:
    """Nothing of the look is kept; the next one starts from what is stored."""
    mark = session.get(DirtyRow, item.item)
    if item.deleted or item.redirect_to is not None:
        if mark is not None:
            session.delete(mark)
    elif mark is None:
        why = "its base was stored anew during the look"
        session.add(DirtyRow(item=item.item, revision=0, reason="due", marked_at=now, why=why))


def _hold(session: Session, item: str, until: dt.datetime, why: str, now: dt.datetime) -> None:
    """Look again at that time. Nothing failed, so nothing is counted."""
    row = session.get(DirtyRow, item) or DirtyRow(
        item=item, revision=0, reason="due", marked_at=now
    )
    row.not_before, row.attempts, row.why = until, 0, why
    session.add(row)


def _postpone(session: Session, item: str, now: dt.datetime, why: str) -> None:
    """Look again later: soon first, then less and less often, then not before somebody asks."""
    row = session.get(DirtyRow, item) or DirtyRow(
        item=item, revision=0, reason="due", marked_at=now
    )
    wait_s = min(_FIRST_RETRY_S * 2 ** min(row.attempts, 20), _LONGEST_RETRY_S)
    row.attempts += 1
    row.not_before = now + dt.timedelta(seconds=wait_s)
    row.why, row.parked = why, row.attempts >= PARK_AFTER
    session.add(row)


def _clean(session: Session, item: str, now: dt.datetime) -> None:
    row = session.get(DirtyRow, item)
    if row is None:
        return
    base = session.get(BaseRow, item)
    caught_up = row.revision <= (base.revision if base else 0)
    if caught_up or row.attempts >= _LAGGING_LOOKS:
        session.delete(row)
    elif row.attempts == 0:  # the mark came while the item was looked at: look again at once
        row.attempts, row.why = 1, "marked during the look"
        session.add(row)
    else:  # a lagging replica
        _postpone(session, item, now, "the answer was older than the mark")


def _leave(session: Session, item: WatchItemRow, outcome: ItemOutcome, now: dt.datetime) -> None:
    """The item was merged away or deleted. When that has stood, what settled about it is void; its
    base is kept, because the page may come back."""
    item.gone_since = item.gone_since or now
    session.add(item)
    stands = item.gone_since + outcome.stands_for
    if now < stands:
        _hold(session, item.item, stands, outcome.reason, now)
        return
    if outcome.redirect_to is not None:
        reason = f"the item was merged into {outcome.redirect_to}"
        add_items(session, [outcome.redirect_to], now)
        _rekey(session, item.item, outcome.redirect_to, now)
        withdraw_candidates(session, item.item, reason, now)
    else:
        withdraw_candidates(session, item.item, DELETED, now)
        withdraw_proposals(session, item.item, DELETED, now)
    mark = session.get(DirtyRow, item.item)
    if mark is not None:
        session.delete(mark)
    item.redirect_to, item.deleted, item.look_again_at = outcome.redirect_to, outcome.deleted, None


def _rekey(session: Session, item: str, target: str, now: dt.datetime) -> None:
    """What was accepted of a merged item is what its target is compared with, if nothing is yet."""
    base = session.get(BaseRow, item)
    if base is not None and session.get(BaseRow, target) is None:
        session.add(
            BaseRow(item=target, revision=base.revision, entity=base.entity, accepted_at=now)
        )


def _verdict_row(verdict: EditVerdict) -> EditVerdictRow:
    return EditVerdictRow(
        item=verdict.item,
        revision=verdict.revision,
        time=verdict.time,
        user=verdict.user,
        kind=verdict.kind,
        kept=verdict.kept,
        reason=verdict.reason,
        property=verdict.property,
    )


def _dismissal_row(item: str, dismissal: Dismissal, now: dt.datetime) -> DismissalRow:
    return DismissalRow(
        item=item,
        key=dismissal.change.key,
        kind=dismissal.kind.value,
        reason=dismissal.reason,
        change=codec.to_data(dismissal.change),
        at=now,
    )
