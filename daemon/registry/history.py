"""The hash chain of an alias's history. Pure.

Owns the hash of one move (which covers the move before), the check of a whole chain, and which
target comes before the present one when promotions push and rollbacks pop.
"""

from __future__ import annotations

from collections.abc import Sequence

from daemon.store.rows import AliasEventRow
from knowledge.narrative import digest_of

GENESIS = "0" * 64
FREEZE, UNFREEZE = "freeze", "unfreeze"
"""Actions that stand in the history and move nothing."""
_FIELDS = (
    "name",
    "generation",
    "from_digest",
    "to_digest",
    "action",
    "actor",
    "reason",
    "evaluation_id",
    "previous_hash",
)


def hash_of(event: AliasEventRow) -> str:
    """sha256 (hex) over the move and the hash of the one before."""
    data = {name: getattr(event, name) for name in _FIELDS}
    return digest_of({**data, "at": event.at.isoformat()})


def broken_at(events: Sequence[AliasEventRow]) -> int | None:
    """The first generation whose hash or predecessor does not fit; None when the chain is whole.

    `events` is the history of one alias in order.
    """
    previous = GENESIS
    for generation, event in enumerate(events, start=1):
        if (
            event.generation != generation
            or event.previous_hash != previous
            or event.hash != hash_of(event)
        ):
            return generation
        previous = event.hash
    return None


def targets(events: Sequence[AliasEventRow]) -> list[str | None]:
    """The targets that a rollback can go back through, oldest first, the present one last.

    A promotion adds a target; a rollback takes away all that came after the one it went back to.
    """
    stack: list[str | None] = [None]
    for event in events:
        if event.action in (FREEZE, UNFREEZE):
            continue
        if event.action == "rollback" and event.to_digest in stack:
            while stack[-1] != event.to_digest:
                stack.pop()
        else:
            stack.append(event.to_digest)
    return stack
