"""Ed25519 keys: the registry's own, and those of other registries that are trusted.

Owns the folder `keys/`: `registry.pem`, readable by its owner alone, and `*.pub`, each a public key
that is trusted. Whoever can write there can vouch for any adapter. Signs and verifies bytes; knows
nothing of what they say.
"""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from daemon.errors import ConfigError

PRIVATE = "registry.pem"
OWN = "registry.pub"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class Keys:
    """The keys below `folder`. Safe for several processes at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sign(self, data: bytes) -> str:
        """A signature (hex) by the registry's own key, which is made when there is none."""
        return self._own().sign(data).hex()

    def verified_by(self, data: bytes, signature: str) -> str | None:
        """The name of the trusted key that signed `data`; None when none of them did."""
        try:
            raw = bytes.fromhex(signature)
        except ValueError:
            return None
        for name, public in self.trusted().items():
            try:
                Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(raw, data)
            except (InvalidSignature, ValueError):
                continue
            return name
        return None

    def trusted(self) -> dict[str, str]:
        """Public keys (32 bytes, hex) by name; `registry` is the own one, where there is one."""
        found: dict[str, str] = {}
        for path in sorted(self._folder.glob("*.pub")):
            found[path.stem] = path.read_text(encoding="ascii").strip()
        return found

    def public(self) -> str:
        """The own public key, hex; made when there is none."""
        return _public(self._own())

    def trust(self, name: str, public: str) -> None:
        """Believe what that key signs. Raises ConfigError for a bad name or key."""
        if not _NAME.fullmatch(name) or f"{name}.pub" == OWN:
            raise ConfigError(
                f"{name!r} is no name for a foreign key; use small letters, digits and hyphens"
            )
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(public.strip()))
        except ValueError:
            raise ConfigError(
                "that is no Ed25519 public key (64 hex digits); `almanac registry key` of the "
                "other side prints it"
            ) from None
        self._make_folder()
        _write(self._folder / f"{name}.pub", public.strip().encode(), 0o644, replace=True)

    def _own(self) -> Ed25519PrivateKey:
        path = self._folder / PRIVATE
        if not path.exists():
            self._make_folder()
            fresh = Ed25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            )
            _write(path, fresh, 0o600, replace=False)
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(
                f"the signing key {path} cannot be read ({error}); restore it from a backup, or "
                f"move it away for a new one and keep {OWN} under another name as trusted"
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"the signing key {path} is no Ed25519 key; move it away")
        public = self._folder / OWN
        if not public.exists():
            _write(public, _public(key).encode(), 0o644, replace=False)
        return key

    def _make_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def _write(path: Path, data: bytes, mode: int, *, replace: bool) -> None:
    """Whole or absent. Without `replace`, a file that another process put there first stays."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as writer:
            writer.write(data)
            writer.flush()
            os.fsync(writer.fileno())
        if replace:
            os.replace(temporary, path)
            return
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        temporary.unlink(missing_ok=True)
