"""Pages that the changed statements cite, read as evidence.

Owns which addresses are worth a fetch (the references of the old and the new statement, in order,
few), what a host is asked at most, robots.txt, and HTML to plain text. Whether an address may be
connected to at all is the fetcher's to say.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from agents.errors import AgentError
from agents.evidence.fetch import FetchRefused, GuardedFetcher, PageMissing
from agents.evidence.hygiene import clean, objections
from agents.evidence.statements import WITHHELD
from knowledge.facts import SnakKind, Statement
from knowledge.narrative import Evidence

REFERENCE_URL = "P854"
MAX_PAGE_CHARS = 20_000
_SKIPPED = frozenset({"script", "style", "noscript", "template", "nav", "header", "footer", "form"})
_BLOCKS = frozenset(
    {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "section", "article", "td", "blockquote"}
)


class HostBudget:
    """So many fetches of a host in a time, and never two at once: we are guests."""

    def __init__(
        self,
        *,
        fetches: int = 20,
        per_s: float = 3600.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetches = fetches
        self._per_s = per_s
        self._now = now
        self._times: dict[str, list[float]] = defaultdict(list)
        self.locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def take(self, host: str) -> bool:
        """Whether the host may be asked once more now; counts it if so."""
        since = self._now() - self._per_s
        times = self._times[host] = [t for t in self._times[host] if t > since]
        if len(times) >= self._fetches:
            return False
        times.append(self._now())
        return True


class CitedPages:
    """Reads cited pages through the guarded fetcher. A page that cannot be had is no failure of the
    change: the narrative rests on what could be read."""

    def __init__(
        self, fetcher: GuardedFetcher, *, at_most: int, agent: str, budget: HostBudget | None = None
    ) -> None:
        """`agent` is the name that robots.txt is asked for."""
        self._fetcher = fetcher
        self._at_most = at_most
        self._agent = agent
        self._budget = budget or HostBudget()
        self._robots: dict[str, RobotFileParser] = {}

    async def read(
        self, statements: Sequence[Statement], at: dt.datetime
    ) -> tuple[list[Evidence], list[str]]:
        """The snapshots of the pages, and why others were not read."""
        urls = cited(statements)[: self._at_most]
        found = await asyncio.gather(*(self._one(url) for url in urls))
        retrieved = at.astimezone(dt.UTC).isoformat(timespec="seconds")
        pages = [
            Evidence(source=_name(url), url=url, retrieved_at=retrieved, text=text)
            for url, (text, _) in zip(urls, found, strict=True)
            if text
        ]
        return pages, [
            f"{_name(url)}: {why}" for url, (_, why) in zip(urls, found, strict=True) if why
        ]

    async def _one(self, url: str) -> tuple[str, str]:
        """The text of a page, or why there is none."""
        host = urlsplit(url).netloc.lower()
        try:
            async with self._budget.locks[host]:
                if not await self._allowed(url, host):
                    return "", "robots.txt does not allow it"
                if not self._budget.take(host):
                    return "", "the host has been asked enough for now"
                page = await self._fetcher.get(url)
        except AgentError as error:
            return "", f"{type(error).__name__}"
        if page.content_type == "application/json":
            return "", "it is data, not a text to quote"
        raw = plain_text(page.text) if page.content_type == "text/html" else page.text
        text = clean(raw)[:MAX_PAGE_CHARS].strip()
        return text, "" if text else "it has no text"

    async def _allowed(self, url: str, host: str) -> bool:
        """By the host's robots.txt, read once; one that is missing allows everything, one that
        cannot be read allows nothing this time."""
        if host not in self._robots:
            rules = RobotFileParser()
            if not self._budget.take(host):
                return True  # the budget itself will say no
            try:
                page = await self._fetcher.get(f"{urlsplit(url).scheme}://{host}/robots.txt")
                rules.parse(page.text.splitlines())
            except (PageMissing, FetchRefused):
                rules.parse([])
            self._robots[host] = rules
        return self._robots[host].can_fetch(self._agent, url)


def cited(statements: Sequence[Statement]) -> list[str]:
    """Reference URLs of statements, in their order, each once."""
    found: dict[str, None] = {}
    for statement in statements:
        for reference in statement.references:
            for snak in reference:
                if snak.property == REFERENCE_URL and snak.kind is SnakKind.VALUE:
                    found[snak.value.strip()] = None
    return [url for url in found if re.match(r"https?://", url)]


class _Text(HTMLParser):
    """Collects what a reader of a page sees as text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SKIPPED:
            self._hidden += 1
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SKIPPED:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def plain_text(html: str) -> str:
    """The text of a page: no scripts, styles or navigation, one line a block."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return "\n".join(line for line in lines if line)


def _name(url: str) -> str:
    """The page as a source; an address that reads like a command is withheld."""
    host = urlsplit(url).netloc
    shown = f"{host}{urlsplit(url).path}"[:120]
    return f"reference:{WITHHELD if objections(shown.replace('/', ' ')) else shown}"
