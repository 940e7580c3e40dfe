"""Who may ask the gateway: API keys, of which only hashes are stored.

Owns `keys/gateway.json` and `keys/local.key`, the key of this machine's own command line and web.
Without any named key a gateway that only this machine reaches answers everybody; one that others
reach answers this machine's own tools alone, unless the settings call it public.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from agents.loopback import is_loopback
from daemon.errors import ConfigError, Conflict, NotFound

FILE = "gateway.json"
LOCAL = "local.key"
_PREFIX = "alm-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_Stamp = tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is stored: its name, and the sha256 of what the client sends."""

    name: str
    sha256: str
    created_at: str


class Access:
    """The keys of one home. Changes in the file count from the next request on.

    `needed`: whether a key is asked for also when none was made, or the last one was taken back.
    """

    def __init__(self, home: Path, *, needed: bool = False) -> None:
        self._folder = home / "keys"
        self._needed = needed
        self._seen: tuple[_Stamp, _Stamp] | None = None
        self._keys: dict[str, str] = {}
        self._local: str | None = None

    def keys(self) -> list[ApiKey]:
        """The named keys. Raises ConfigError for a file that cannot be read."""
        path = self._folder / FILE
        try:
            return [ApiKey(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"the gateway's keys {path} cannot be read: {error}") from None

    def create(self, name: str) -> str:
        """A new key, which is shown this once. Raises Conflict for a name that is taken."""
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} is no name for a key; use letters, digits, . _ and -")
        known = self.keys()
        if any(key.name == name for key in known):
            raise Conflict(f"a key is called {name} already; revoke it first, or take another name")
        key = _PREFIX + secrets.token_urlsafe(32)
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self._save([*known, ApiKey(name=name, sha256=_hash(key), created_at=now)])
        self.local()
        return key

    def revoke(self, name: str) -> None:
        """Raises NotFound."""
        known = self.keys()
        left = [key for key in known if key.name != name]
        if len(left) == len(known):
            raise NotFound(f"no key is called {name}; `almanac key list` shows them")
        self._save(left)

    def local(self) -> str:
        """The key of this machine's own tools, readable by the owner of the home alone."""
        path = self._folder / LOCAL
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(path, _PREFIX + secrets.token_urlsafe(32))
        return path.read_text(encoding="ascii")

    def holder(self, authorization: str | None) -> str | None:
        """Whose key an `Authorization` header carries: `anybody` while no key is needed, `local`
        for this machine's own tools; None when the header carries no key that counts."""
        self._refresh()
        if not self._keys and not self._needed:
            return "anybody"
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        found = _hash(key.strip())
        if self._local is not None and secrets.compare_digest(found, self._local):
            return "local"
        return self._keys.get(found)

    def _refresh(self) -> None:
        seen = (_stamp(self._folder / FILE), _stamp(self._folder / LOCAL))
        if seen == self._seen:
            return
        self._keys = {key.sha256: key.name for key in self.keys()}
        local = self._folder / LOCAL
        self._local = _hash(local.read_text(encoding="ascii")) if seen[1] else None
        self._seen = seen

    def _save(self, keys: list[ApiKey]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.local()  # before the first named key shuts this machine's own tools out
        _write(self._folder / FILE, json.dumps([asdict(key) for key in keys], indent=1))


def keys_needed(host: str, *, public: bool) -> bool:
    """Whether a gateway bound to `host` would answer strangers, if it asked for no key."""
    return not is_loopback(host) and not public


def access_of(home: Path, host: str, *, public: bool) -> Access:
    """Who may ask a gateway that is bound to `host`. Raises ConfigError when nobody could: it needs
    keys, and there is none."""
    needed = keys_needed(host, public=public)
    access = Access(home, needed=needed)
    if needed and not access.keys():
        raise ConfigError(
            f"gateway.host is {host}, and no API key exists: make one with `almanac key create "
            "NAME`, or say that anybody may ask with gateway.public=true"
        )
    return access


def _stamp(path: Path) -> _Stamp:
    """What changes with a file's content; None while there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_ino


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as writer:
        writer.write(text)
        writer.flush()
        os.fsync(writer.fileno())
    os.replace(temporary, path)
