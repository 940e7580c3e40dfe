"""What the auto-approve policy has not looked at yet, and why it left something to a person.

Owns the mark that a policy leaves on a draft, so that it looks at each once. The rules are
`daemon.review.policy`, approving is `daemon.review.service`.
"""

from __future__ import annotations

from sqlmodel import col, select

from daemon.clock import Clock
from daemon.review.items import draft_heads, get_change, latest_draft
from daemon.store.engine import Database
from daemon.store.rows import ChangeRow
from daemon.store.states import ChangeState, record_event
from knowledge import codec
from knowledge.edits import EditUnit


class Unattended:
    """The queue as a policy works through it. Blocking calls."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def unseen(self, policy: str, limit: int = 200) -> list[tuple[int, str, EditUnit, bool]]:
        """Queue items, claimed by nobody, whose current draft the policy with this digest has not
        looked at: (change id, draft digest, unit, clean)."""
        with self._database.read() as session:
            rows = session.exec(
                select(ChangeRow.id, ChangeRow.policy_seen)
                .where(
                    ChangeRow.state == ChangeState.IN_REVIEW,
                    col(ChangeRow.claimed_by).is_(None)
                    | (col(ChangeRow.claimed_until) <= self._clock.now()),
                )
                .order_by(col(ChangeRow.id))
            ).all()
            heads = draft_heads(session, [number for number, _ in rows if number])
            unseen = [
                number
                for number, seen in rows
                if number in heads and seen != f"{policy}:{heads[number][1]}"
            ][:limit]
            drafts = [d for number in unseen if (d := latest_draft(session, number or 0))]
            return [
                (d.change_id, d.digest, codec.from_data(EditUnit, d.unit), d.clean) for d in drafts
            ]

    def pass_over(self, change_id: int, policy: str, digest: str, *, actor: str, why: str) -> None:
        """Note, once for each draft, why the policy left it to a person. Raises NotFound."""
        mark = f"{policy}:{digest}"
        with self._database.write() as session:
            row = get_change(session, change_id)
            if row.policy_seen == mark:
                return
            row.policy_seen = mark
            session.add(row)
            now = self._clock.now()
            record_event(session, "change", change_id, actor=actor, reason=why, now=now)
