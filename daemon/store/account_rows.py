"""Rows of people and their keys: users, sessions, API tokens, one-time links, failed logins.

Owns columns. Secrets are stored as digests only; whoever reads the database cannot act with it.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlmodel import Field

from daemon.store.rows import Row, UtcDateTime


def _time() -> Any:
    return Field(sa_type=UtcDateTime, nullable=False)


class UserRow(Row, table=True):
    """A local user. Without a password only a one-time link lets them in."""

    name: str = Field(primary_key=True)
    role: str
    password: str | None = None
    """Argon2id in PHC form."""
    disabled: bool = False
    created_at: dt.datetime = _time()


class LoginRow(Row, table=True):
    """A browser session, by the sha256 of its cookie."""

    digest: str = Field(primary_key=True)
    user: str = Field(foreign_key="user.name", index=True)
    created_at: dt.datetime = _time()
    expires_at: dt.datetime = _time()


class TokenRow(Row, table=True):
    """An API token, by the sha256 of its secret. Its role is at most its owner's."""

    id: int | None = Field(default=None, primary_key=True)
    digest: str = Field(unique=True)
    label: str
    user: str = Field(foreign_key="user.name", index=True)
    role: str
    created_at: dt.datetime = _time()
    expires_at: dt.datetime = _time()
    revoked: bool = False


class LinkRow(Row, table=True):
    """A link that lets somebody in once: into their account, or to make one with this role."""

    digest: str = Field(primary_key=True)
    user: str | None = Field(default=None, foreign_key="user.name")
    role: str
    expires_at: dt.datetime = _time()
    used: bool = False


class LoginFailureRow(Row, table=True):
    """How often a name, or an address, failed to log in lately."""

    key: str = Field(primary_key=True)
    failures: int
    last_at: dt.datetime = _time()
