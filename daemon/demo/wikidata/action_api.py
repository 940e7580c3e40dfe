"""The Action API's manners: parameters, lists and their limits, errors, warnings, format versions.

Owns what all modules share. The modules are `entity_answers` and `query_answers`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from daemon.demo.wikidata.errors import LocalWikidataError

Answer = dict[str, Any]

_HELP = (
    "See https://www.wikidata.org/w/api.php for API usage. Subscribe to the mediawiki-api-announce "
    "mailing list at &lt;https://lists.wikimedia.org/mailman/listinfo/mediawiki-api-announce&gt; "
    "for notice of API deprecations and breaking changes."
)
_COMMON = frozenset(
    {"action", "format", "formatversion", "maxlag", "utf8", "ascii", "origin", "assert"}
    | {"servedby", "curtimestamp", "errorformat", "errorlang", "uselang", "smaxage", "maxage"}
    | {"continue", "requestid"}
)
"""Parameters of the API itself, known to every module."""

LIMIT = 50
"""How many values a list may have for a caller without special rights."""


class ApiError(LocalWikidataError):
    """An error answer of the API (status 200, `error` in the body)."""

    def __init__(self, code: str, info: str, **more: object) -> None:
        super().__init__(info)
        self.code, self.info, self.more = code, info, more

    def body(self) -> Answer:
        error = {"code": self.code, "info": self.info, **self.more, "*": _HELP}
        return {"error": error, "servedby": "mw1223"}


class Params:
    """The parameters of one request. What nobody asked for becomes a warning."""

    def __init__(self, values: Mapping[str, str], now: dt.datetime) -> None:
        self._values = dict(values)
        self._read: set[str] = set(_COMMON)
        self.now = now
        self.version = 2 if values.get("formatversion") in ("2", "latest") else 1

    def get(self, name: str, default: str = "") -> str:
        self._read.add(name)
        return self._values.get(name, default)

    def has(self, name: str) -> bool:
        self._read.add(name)
        return name in self._values

    def many(self, name: str, default: str = "", limit: int = LIMIT) -> list[str]:
        """A list separated by `|`, or by U+001F when it begins with one. At most `limit` values."""
        text = self.get(name, default)
        parts = text[1:].split("\x1f") if text.startswith("\x1f") else text.split("|")
        values = list(dict.fromkeys(part for part in parts if part))
        if len(values) > limit:
            raise ApiError(
                "toomanyvalues",
                f'Too many values supplied for parameter "{name}". The limit is {limit}.',
                parameter=name,
                limit=limit,
                lowlimit=limit,
                highlimit=limit * 10,
            )
        return values

    def number(self, name: str, default: int, highest: int) -> int:
        text = self.get(name)
        if not text:
            return default
        if text == "max":
            return highest
        if not re.fullmatch(r"-?\d+", text):
            raise ApiError("badinteger", f'Invalid value "{text}" for integer parameter "{name}".')
        return max(1, min(int(text), highest))

    def time(self, name: str) -> dt.datetime | None:
        """A timestamp: ISO 8601, MediaWiki's 14 digits, seconds of the epoch, or `now`."""
        text = self.get(name)
        if not text:
            return None
        found = parse_time(text, self.now)
        if found is None:
            raise ApiError(
                "badtimestamp", f'Invalid value "{text}" for timestamp parameter "{name}".'
            )
        return found

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.get(name, default)
        if value not in allowed:
            raise ApiError("badvalue", f'Unrecognized value for parameter "{name}": {value}.')
        return value

    def unread(self) -> list[str]:
        return sorted(set(self._values) - self._read)

    def flag(self, target: Answer, name: str, value: bool) -> None:
        """Set a boolean as the format version shows it: present and empty, or true and false."""
        if self.version == 2:
            target[name] = value
        elif value:
            target[name] = ""

    def flagged(self, target: Answer, name: str) -> Answer:
        """The target with that boolean set."""
        self.flag(target, name, True)
        return target


def parse_time(text: str, now: dt.datetime) -> dt.datetime | None:
    """A timestamp in any form that MediaWiki takes; None when it is none."""
    if text == "now":
        return now
    if re.fullmatch(r"\d{14}", text):
        return dt.datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)
    if re.fullmatch(r"\d{1,13}", text):
        return dt.datetime.fromtimestamp(int(text), dt.UTC)
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def iso(time: dt.datetime) -> str:
    """As every Wikimedia API writes a time."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def digits(time: dt.datetime) -> str:
    """As continuation tokens write a time."""
    return time.strftime("%Y%m%d%H%M%S")


def add_warnings(params: Params, answer: Answer) -> None:
    """Say which parameters no module knows, as the API does."""
    unread = params.unread()
    if not unread:
        return
    plural = "s" if len(unread) > 1 else ""
    text = f"Unrecognized parameter{plural}: {', '.join(unread)}."
    key = "warnings" if params.version == 2 else "*"
    answer.setdefault("warnings", {}).setdefault("main", {})[key] = text
