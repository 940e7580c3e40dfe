"""The auto-approve policy at work on the queue: approves what it may, notes why it leaves the rest.

Owns nothing but the round; the rules are `daemon.review.policy`, the decision
`daemon.review.service`.
"""

from __future__ import annotations

import asyncio

from daemon.errors import Conflict
from daemon.review.policy import Policy, decide
from daemon.review.service import ReviewService
from daemon.review.unattended import Unattended


class ReviewPolicyController:
    """Looks at every draft once. What is contested is looked at again when it no longer is."""

    def __init__(self, review: ReviewService, queue: Unattended, policy: Policy) -> None:
        self._review = review
        self._queue = queue
        self._policy = policy
        self._actor = f"policy:{policy.name}"

    async def reconcile(self) -> int:
        """One round; the number of proposals approved or left to a person."""
        return await asyncio.to_thread(self._round)

    def _round(self) -> int:
        done = 0
        policy = self._policy.digest
        for change_id, digest, unit, clean in self._queue.unseen(policy):
            contested = self._review.contested(unit.slot)
            decision = decide(self._policy, unit, clean=clean, contested=contested)
            if contested:
                continue
            try:
                if decision.approve:
                    self._review.approve(change_id, digest, actor=self._actor, reason=decision.text)
                else:
                    why = f"left to a person: {decision.text}"
                    self._queue.pass_over(change_id, policy, digest, actor=self._actor, why=why)
            except Conflict:
                continue  # somebody decided meanwhile
            done += 1
        return done
