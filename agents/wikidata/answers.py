"""Answers of the Action API as values, or an error that says what is wrong with them.

Owns reading one answer and its parts. An answer that is not whole raises BrokenAnswer; it is never
taken for `nothing changed`. Does not ask (`api`).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from agents.wikidata.editors import Profile
from agents.wikidata.entity import parse_entity
from agents.wikidata.errors import (
    BrokenAnswer,
    Lagging,
    Malformed,
    Refused,
    Throttled,
    Unreachable,
)
from agents.wikidata.history import Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentChange:
    """One row of recent changes."""

    item: str
    revision: int
    time: dt.datetime
    user: str
    comment: str
    bot: bool = False


def read_answer(response: httpx.Response, wait: float | None, host: str) -> Mapping[str, Any]:
    """The answer's object. `wait` is what its `Retry-After` says, in seconds.

    Raises the errors of `agents.wikidata.errors`, also for those that come with status 200."""
    status = response.status_code
    if status == 429:
        raise Throttled(f"{host} answered 429: too many requests", retry_after_s=wait)
    if status >= 500:
        raise Unreachable(f"{host} answered {status}", retry_after_s=wait)
    if status >= 400:
        raise Refused(f"{host} answered {status}: {response.text[:200]}")
    try:
        answer = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BrokenAnswer(f"{host} sent JSON that is cut off or broken: {error}") from error
    if not isinstance(answer, Mapping):
        raise BrokenAnswer(f"{host} sent {type(answer).__name__} where an object belongs")
    error = answer.get("error")
    if error is None:
        return answer
    code = error.get("code", "") if isinstance(error, Mapping) else ""
    info = error.get("info", error) if isinstance(error, Mapping) else error
    if code == "maxlag":
        raise Lagging(f"{host} is lagging: {info}", retry_after_s=wait)
    if code in ("ratelimited", "readonly") or str(code).startswith("internal_api_error"):
        raise Unreachable(f"{host} could not answer: {code}: {info}", retry_after_s=wait)
    raise Refused(f"{host} refused the request: {code}: {info}")


def read_revision(item: str, raw: Mapping[str, Any]) -> Revision:
    """One row of `prop=revisions`; what is hidden of it is empty. Raises Malformed."""
    number = whole(raw, "revid")
    slot = (raw.get("slots") or {}).get("main", raw)
    text = slot.get("content", slot.get("*"))
    doc = None
    if isinstance(text, str):
        try:
            doc = parse_entity(json.loads(text), item=item, revision=number)
        except json.JSONDecodeError as error:
            raise Malformed(f"revision {number} of {item} is no JSON: {error}") from error
    return Revision(
        id=number,
        parent=int(raw.get("parentid", 0)),
        time=_time(raw.get("timestamp")),
        user=str(raw.get("user", "")),
        comment=str(raw.get("comment", "")),
        tags=tuple(raw.get("tags", ())),
        sha1=str(raw.get("sha1", "")),
        bot=raw.get("bot") in (True, ""),
        temporary=raw.get("temp") in (True, ""),
        doc=doc,
    )


def read_profile(row: Mapping[str, Any]) -> Profile:
    """One row of `list=users`."""
    since = row.get("registration")
    return Profile(
        name=str(row.get("name", "")),
        edit_count=int(row.get("editcount") or 0),
        registered=_time(since) if since else None,
        groups=frozenset(row.get("groups", ())),
    )


def read_change(row: Mapping[str, Any]) -> RecentChange:
    """One row of `list=recentchanges`."""
    return RecentChange(
        item=str(row.get("title", "")),
        revision=int(row.get("revid", 0)),
        time=_time(row.get("timestamp")),
        user=str(row.get("user", "")),
        comment=str(row.get("comment", "")),
        bot=row.get("bot") in (True, ""),
    )


def pages_of(query: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The pages of a query's answer, which old format versions give by id."""
    pages = query.get("pages", ())
    return pages.values() if isinstance(pages, Mapping) else pages


def need(answer: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part without which the answer is not whole. Raises BrokenAnswer."""
    part = answer.get(key)
    if not isinstance(part, Mapping):
        raise BrokenAnswer(f"the answer has no `{key}`: it is not whole")
    return part


def whole(raw: Mapping[str, Any], key: str) -> int:
    """A number without which the answer is not whole. Raises BrokenAnswer."""
    value = raw.get(key)
    if not isinstance(value, int):
        raise BrokenAnswer(f"the answer has no number `{key}`: it is not whole")
    return value


def _time(text: Any) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError as error:
        raise BrokenAnswer(f"{text!r} is no timestamp") from error
