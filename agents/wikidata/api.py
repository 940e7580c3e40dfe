"""The Action API as a good guest uses it: identified, slow enough, patient, and never fooled.

Owns requests, retries and paging; what an answer says is read by `answers`. Does not decide what to
ask about.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import stamina

from agents import loopback
from agents.errors import Retryable
from agents.wikidata.answers import (
    RecentChange,
    need,
    pages_of,
    read_answer,
    read_change,
    read_profile,
    read_revision,
    whole,
)
from agents.wikidata.contact import names_contact
from agents.wikidata.editors import Profile
from agents.wikidata.entity import EntityDoc, parse_entity
from agents.wikidata.errors import (
    BrokenAnswer,
    Malformed,
    NoContact,
    Unreachable,
    retry_after_s,
)
from agents.wikidata.history import Revision
from agents.wikidata.limiter import Limiter

__all__ = [
    "BATCH",
    "ActionApi",
    "Fetched",
    "PageInfo",
    "RecentChange",
    "check_user_agent",
    "default_limiter",
    "is_loopback",
]

BATCH = 50
"""Titles or ids a request, by Wikidata's limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageInfo:
    """Where an item's page stands. `revision` is 0 for a missing page."""

    revision: int = 0
    missing: bool = False
    redirect: bool = False


@dataclass(slots=True)
class Fetched:
    """Entities by the id that was asked for, and where merged ids went."""

    docs: dict[str, EntityDoc] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    """Items whose document is no entity, with what is wrong."""


def is_loopback(url: str) -> bool:
    """True for a server on this machine, which needs neither contact nor limit."""
    return loopback.is_loopback(httpx.URL(url).host)


def check_user_agent(user_agent: str, url: str) -> str:
    """The User-Agent, if it names a contact (a URL or an address) or the host is loopback.

    Raises NoContact."""
    if not user_agent.strip():
        raise NoContact("the User-Agent is empty: set it to `name/version (url; e-mail)`")
    if not is_loopback(url) and not names_contact(user_agent):
        raise NoContact(
            f"the User-Agent {user_agent!r} names no contact, and {httpx.URL(url).host} refuses "
            "such clients: set it to `name/version (url; e-mail)`"
        )
    return user_agent


def default_limiter(url: str) -> Limiter:
    """For a client that shares none: no rate on loopback."""
    return Limiter(per_minute=None, at_once=8) if is_loopback(url) else Limiter()


class ActionApi:
    """`api.php` of one wiki. Close it with `aclose`, or use it as an async context manager.

    `budget_s` bounds all waiting for one request (maxlag, 429, 5xx, cut answers, a cool-down): when
    it is spent, or would be by the next wait, the last Retryable is raised. `limiter` defaults to
    200 requests a minute and 3 at once, and to no rate on loopback. Raises NoContact."""

    def __init__(
        self,
        url: str,
        *,
        user_agent: str,
        limiter: Limiter | None = None,
        client: httpx.AsyncClient | None = None,
        budget_s: float = 120.0,
        attempts: int = 8,
        max_lag_s: int = 5,
        timeout_s: float = 30.0,
    ) -> None:
        self._agent = check_user_agent(user_agent, url)
        self._url = url
        self._host = httpx.URL(url).netloc.decode()
        self._limiter = limiter or default_limiter(url)
        self._client = client or httpx.AsyncClient(timeout=timeout_s, follow_redirects=True)
        self._budget_s = budget_s
        self._attempts = attempts
        self._max_lag_s = max_lag_s

    async def __aenter__(self) -> ActionApi:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()

    async def entities(self, items: Iterable[str]) -> Fetched:
        """Current state of items (`wbgetentities`, 50 a request). Merged items are followed and
        listed in `redirects`; unknown and deleted ones come back with `missing` set."""
        found = Fetched()
        for chunk in _chunks(items):
            await self._fetch(chunk, found)
        return found

    async def lastrevids(self, items: Iterable[str]) -> dict[str, PageInfo]:
        """The latest revision of each item's page (`prop=info`, 50 a request)."""
        found: dict[str, PageInfo] = {}
        for chunk in _chunks(items):
            answer = await self._get(action="query", prop="info", titles="|".join(chunk))
            query = need(answer, "query")
            back = {n["to"]: n["from"] for n in query.get("normalized", ())}
            for page in pages_of(query):
                title = back.get(page.get("title", ""), page.get("title", ""))
                missing = "missing" in page or "invalid" in page
                found[title] = PageInfo(
                    revision=0 if missing else whole(page, "lastrevid"),
                    missing=missing,
                    redirect="redirect" in page and page["redirect"] is not False,
                )
            lost = set(chunk) - found.keys()
            if lost:
                raise BrokenAnswer(f"prop=info left out {len(lost)} of {len(chunk)} titles")
        return found

    async def history(
        self, item: str, after_revision: int, until_revision: int | None = None
    ) -> list[Revision]:
        """Revisions with content, oldest first, from `after_revision` itself (the parent state of
        the next; absent if it belongs to another page) up to `until_revision`."""
        params: dict[str, Any] = {
            "action": "query",
            "prop": "revisions",
            "titles": item,
            "rvprop": "ids|timestamp|user|userid|comment|tags|sha1|flags|content",
            "rvslots": "main",
            "rvdir": "newer",
            "rvlimit": BATCH,
        }
        if after_revision:
            params["rvstartid"] = after_revision
        if until_revision:
            params["rvendid"] = until_revision
        found: list[Revision] = []
        async for query in self._pages(params):
            for page in pages_of(query):
                if "missing" in page:
                    return []
                found += [read_revision(item, raw) for raw in page.get("revisions", ())]
        return sorted(found, key=lambda r: r.id)

    async def revision_at(self, item: str, when: dt.datetime) -> Revision | None:
        """The item's revision at a moment, with content; None when it did not exist yet."""
        answer = await self._get(
            action="query",
            prop="revisions",
            titles=item,
            rvprop="ids|timestamp|user|userid|comment|tags|sha1|flags|content",
            rvslots="main",
            rvdir="older",
            rvstart=_stamp(when),
            rvlimit=1,
        )
        for page in pages_of(need(answer, "query")):
            for raw in page.get("revisions", ()):
                return read_revision(item, raw)
        return None

    async def users(self, names: Iterable[str]) -> dict[str, Profile]:
        """What is told of these accounts, 50 a request; unknown names are left out."""
        found: dict[str, Profile] = {}
        for chunk in _chunks(names):
            answer = await self._get(
                action="query",
                list="users",
                ususers="|".join(chunk),
                usprop="editcount|registration|groups",
            )
            for row in need(answer, "query").get("users", ()):
                if "userid" in row and not row.get("missing"):
                    found[row["name"]] = read_profile(row)
        return found

    async def recentchanges(
        self, since: dt.datetime, until: dt.datetime, *, user: str | None = None
    ) -> AsyncIterator[RecentChange]:
        """Rows of recent changes of items, oldest first; `user` narrows to one editor."""
        params: dict[str, Any] = {
            "action": "query",
            "list": "recentchanges",
            "rcdir": "newer",
            "rcnamespace": 0,
            "rcstart": _stamp(since),
            "rcend": _stamp(until),
            "rclimit": 500,
            "rctype": "edit|new|log",
            "rcprop": "title|ids|flags|user|timestamp|comment",
        }
        if user is not None:
            params["rcuser"] = user
        async for query in self._pages(params):
            for row in query.get("recentchanges", ()):
                if user is None or row.get("user") == user:
                    yield read_change(row)

    async def _fetch(self, chunk: list[str], found: Fetched) -> None:
        answer = await self._get(
            action="wbgetentities",
            ids="|".join(chunk),
            props="info|labels|aliases|descriptions|claims|sitelinks",
            languages="en|mul",
            redirects="yes",
        )
        by_target: dict[str, EntityDoc] = {}
        for key, raw in need(answer, "entities").items():
            if not isinstance(raw, Mapping):
                raise BrokenAnswer(f"entity {key} of the answer is no object")
            try:
                doc = parse_entity(raw, item=key)
            except Malformed as error:
                found.broken[key] = str(error)
                continue
            by_target[key] = doc
            hop = raw.get("redirects")
            if isinstance(hop, Mapping) and "from" in hop:
                found.redirects[hop["from"]] = hop.get("to", doc.id)
            elif key in chunk and doc.id != key:
                found.redirects[key] = doc.id
        for item in chunk:
            doc = by_target.get(item) or by_target.get(found.redirects.get(item, ""))
            if doc is not None:
                found.docs[item] = doc
            elif found.redirects.get(item, item) not in found.broken:
                await self._fetch_alone(item, chunk, by_target, found)

    async def _fetch_alone(
        self, item: str, chunk: list[str], answered: Mapping[str, EntityDoc], found: Fetched
    ) -> None:
        """An id that the answer left out: a redirect to an item that was asked for as well is
        answered once, under the target's id. Asked for alone it says where it leads."""
        if len(chunk) > 1:
            await self._fetch([item], found)
        elif len(answered) == 1:
            found.redirects[item], found.docs[item] = next(iter(answered.items()))
        else:
            raise BrokenAnswer(f"wbgetentities left out {item} and names no redirect for it")

    async def _pages(self, params: dict[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """Follow `continue` to the end."""
        more: Mapping[str, Any] = {}
        while True:
            answer = await self._get(**{**params, **more})
            yield answer.get("query") or {}
            more = answer.get("continue") or {}
            if not more:
                return

    async def _get(self, **params: Any) -> Mapping[str, Any]:
        params |= {"format": "json", "formatversion": 2, "maxlag": self._max_lag_s}
        ends = time.monotonic() + self._budget_s
        async for attempt in stamina.retry_context(
            on=lambda error: _backoff(error, ends - time.monotonic()),
            attempts=self._attempts,
            timeout=self._budget_s,
            wait_initial=0.2,
            wait_max=20.0,
            wait_jitter=0.3,
        ):
            with attempt:
                return await self._ask(params, ends - time.monotonic())
        raise AssertionError("unreachable: the retry context returns or raises")

    async def _ask(self, params: Mapping[str, Any], left_s: float) -> Mapping[str, Any]:
        async with self._limiter.slot(self._host, patience_s=left_s):
            try:
                response = await self._client.get(
                    self._url,
                    params={k: str(v) for k, v in params.items()},
                    headers={"User-Agent": self._agent, "Accept-Encoding": "gzip"},
                )
            except httpx.HTTPError as error:
                raise Unreachable(f"{self._host} gave no whole answer: {error!r}") from error
        wait = retry_after_s(response.headers.get("retry-after"))
        if response.status_code in (429, 503) and wait is not None:
            await self._limiter.cool(self._host, wait)
        return read_answer(response, wait, self._host)


def _backoff(error: Exception, left_s: float) -> bool | float:
    """Whether to try again, and after how long if the server said so (with a little on top, so
    that clients that were sent away together do not come back together). A wait beyond what is
    left is not begun."""
    if not isinstance(error, Retryable):
        return False
    if error.retry_after_s is None:
        return True
    wait_s = max(0.05, error.retry_after_s * 1.02)
    return wait_s if wait_s <= left_s else False


def _chunks(items: Iterable[str]) -> Iterator[list[str]]:
    todo = list(dict.fromkeys(items))
    for start in range(0, len(todo), BATCH):
        yield todo[start : start + BATCH]


def _stamp(when: dt.datetime) -> str:
    return when.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
