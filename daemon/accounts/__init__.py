"""People and their keys: local users with roles, logins, API tokens, one-time links.

Secrets are stored as digests. Times are the machine's own: a simulated clock lets nobody in.
"""

from __future__ import annotations

from daemon.accounts.roles import Role, Who
from daemon.accounts.service import Accounts, Token, User

__all__ = ["Accounts", "Role", "Token", "User", "Who"]
