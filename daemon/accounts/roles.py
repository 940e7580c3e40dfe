"""Roles, each of which may do all that the one before it may, and who somebody is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    VIEWER = "viewer"
    """Reads everything but accounts."""
    REVIEWER = "reviewer"
    """Decides about proposals."""
    OPERATOR = "operator"
    """Freezes and discards releases, promotes, rolls back."""
    ADMIN = "admin"
    """Accounts and tokens."""

    @property
    def rank(self) -> int:
        return list(Role).index(self)

    def covers(self, other: Role) -> bool:
        return self.rank >= other.rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Somebody whose key was accepted. `via` is `web` for a browser session, `api` for a token."""

    name: str
    role: Role
    via: str
