"""The error tree of `agents`: every failure is either worth another try or it is not.

Owns the two roots. Areas derive their own errors from them (`agents.wikidata.errors`).
"""

from __future__ import annotations


class AgentError(Exception):
    """Anything that `agents` raises on purpose."""


class Retryable(AgentError):
    """The same step may succeed later; nothing was decided. `retry_after_s` is the least wait."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Permanent(AgentError):
    """The same step will fail again until somebody changes something."""


class Drained(AgentError):
    """A run was asked to stop and has, after a whole step; the next call goes on from there."""
