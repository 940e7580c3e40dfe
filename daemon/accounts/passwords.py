"""Passwords and random secrets. Owns how both are made unreadable: Argon2id, and sha256."""

from __future__ import annotations

import hashlib
import os
import secrets

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from daemon.errors import Conflict

MIN_CHARS = 10
MAX_CHARS = 200


def hash_password(password: str) -> str:
    """The PHC form. Raises Conflict for one that is too short or too long."""
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise Conflict(f"a password has {MIN_CHARS} to {MAX_CHARS} characters")
    # OWASP's second choice for Argon2id: 19 MiB, two passes; about 40 ms.
    kdf = Argon2id(salt=os.urandom(16), length=32, iterations=2, lanes=1, memory_cost=19 * 1024)
    return kdf.derive_phc_encoded(password.encode())


def is_password(password: str, stored: str | None) -> bool:
    """Whether the password is the stored one. Takes as long for a user who has none."""
    try:
        Argon2id.verify_phc_encoded(password[:MAX_CHARS].encode(), stored or _NOBODY)
    except InvalidKey:
        return False
    return stored is not None


def new_secret(prefix: str) -> str:
    """A secret of 256 random bits that says what it is."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> str:
    """What is stored of a random secret: it has enough entropy to need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


_NOBODY = hash_password(secrets.token_urlsafe(24))
