"""A fetcher for evidence that cannot be talked into our own network.

Owns one HTTP GET with guards: http and https only, every resolved address checked, the connection
pinned to a checked address, each redirect checked again, caps on time, size and type. Does not
decide which URLs are worth fetching, parse pages, or retry.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from agents.errors import Permanent, Retryable
from agents.evidence.addresses import refusal
from agents.wikidata.errors import Throttled, retry_after_s
from agents.wikidata.limiter import Limiter
from agents.wikidata.quota import is_wikimedia

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to the texts of all its addresses."""

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = {301, 302, 303, 307, 308}
_BUSY = {408, 425, 429, 500, 502, 503, 504}


class FetchRefused(Permanent):
    """The URL or the answer breaks a rule of the fetcher; no other try will change that."""


class FetchFailed(Retryable):
    """No usable answer this time: unreachable, busy, cut or too slow."""


class PageMissing(Permanent):
    """The server answered that there is no such page, or not for us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """Caps of one fetch. `local_endpoints` are `host:port` texts of a local Wikidata, from the
    settings only: these may be on loopback and on any port."""

    total_s: float = 20.0
    max_bytes: int = 4_000_000
    max_redirects: int = 4
    max_url_chars: int = 2_000
    content_types: tuple[str, ...] = ("application/json", "text/html", "text/plain")
    local_endpoints: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer: the URL that gave it, its type without parameters, and its text."""

    url: str
    content_type: str
    text: str


@dataclass(frozen=True, slots=True)
class _Target:
    """A checked URL: where to connect, and what to say there."""

    url: httpx.URL
    host: str
    port: int
    address: str

    @property
    def name(self) -> str:
        """`host`, with the port where it is not the scheme's."""
        return self.host if self.port == _PORTS[self.url.scheme] else f"{self.host}:{self.port}"


async def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a host by the system's resolver. Raises FetchFailed."""
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise FetchFailed(
            f"{host} does not resolve ({error}); check the name and the network"
        ) from error
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


class GuardedFetcher:
    """Fetches public pages, and nothing else.

    `user_agent` names a contact, as Wikimedia asks. Requests to Wikimedia, and to the hosts of
    `limited` (`host` or `host:port`), take their turn from `limiter`; the wait for it does not
    count against a fetch's time. One instance serves many concurrent fetches; close it with
    `aclose` or use it as an async context manager.
    """

    def __init__(
        self,
        user_agent: str,
        *,
        limits: FetchLimits | None = None,
        resolver: Resolver = resolve,
        transport: httpx.AsyncBaseTransport | None = None,
        limiter: Limiter | None = None,
        limited: frozenset[str] = frozenset(),
        max_concurrent: int = 8,
    ) -> None:
        self._limits = limits or FetchLimits()
        self._resolver = resolver
        self._limiter = limiter
        self._limited = limited
        self._slots = asyncio.Semaphore(max_concurrent)
        self._client = httpx.AsyncClient(
            transport=transport,
            trust_env=False,  # a proxy of the environment would connect where we did not check
            follow_redirects=False,
            timeout=self._limits.total_s,
            headers={"User-Agent": user_agent, "Accept-Encoding": "gzip, identity"},
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def __aenter__(self) -> GuardedFetcher:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def get(self, url: str, params: Mapping[str, str] | None = None) -> Fetched:
        """Fetch one page. Raises FetchRefused, PageMissing or FetchFailed."""
        full = str(httpx.URL(url, params=dict(params))) if params else url
        try:
            async with self._slots:
                return await self._follow(full)
        except TimeoutError as error:
            raise FetchFailed(
                f"{_shown(full)} took longer than {self._limits.total_s:g} s"
            ) from error

    async def get_json(self, url: str, params: Mapping[str, str] | None = None) -> Any:
        """As `get`, parsed. Raises FetchFailed too when the answer is cut or no JSON."""
        page = await self.get(url, params)
        try:
            return json.loads(page.text)
        except ValueError as error:
            raise FetchFailed(f"{_shown(page.url)} answered with broken JSON") from error

    async def check(self, url: str) -> _Target:
        """Judge a URL and choose the address to connect to. Raises FetchRefused or FetchFailed."""
        if len(url) > self._limits.max_url_chars or any(ord(c) <= 32 or ord(c) == 127 for c in url):
            raise FetchRefused("the URL is too long or contains white space or control characters")
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
            parsed = httpx.URL(url)
        except (ValueError, httpx.InvalidURL) as error:
            raise FetchRefused(f"{_shown(url)} is not a valid URL: {error}") from error
        # The name that httpx would connect to is the one to judge, not what another parser read.
        host = parsed.raw_host.decode("ascii").rstrip(".").lower().strip("[]")
        if parsed.scheme not in _PORTS or not host:
            raise FetchRefused(f"{_shown(url)}: only http and https URLs are fetched")
        if parsed.userinfo:
            raise FetchRefused(f"{_shown(url)}: URLs with credentials are not fetched")
        local = f"{host}:{port}" in self._limits.local_endpoints
        if port != _PORTS[parsed.scheme] and not local:
            raise FetchRefused(f"{_shown(url)}: port {port} is not fetched from, only 80 and 443")
        return _Target(parsed, host, port, await self._address(host, port, local))

    async def _address(self, host: str, port: int, local: bool) -> str:
        try:
            found: Sequence[str] = [str(ipaddress.ip_address(host))]
        except ValueError:
            found = await self._resolver(host, port)
        if not found:
            raise FetchFailed(f"{host} has no address")
        for text in found:  # one bad address is enough: a name with two faces is not trusted
            if why := refusal(ipaddress.ip_address(text), loopback_allowed=local):
                raise FetchRefused(f"{host} is not fetched from: {why}")
        return found[0]

    async def _follow(self, url: str) -> Fetched:
        left_s = self._limits.total_s
        for _ in range(self._limits.max_redirects + 1):
            began = time.monotonic()
            async with asyncio.timeout(left_s):
                target = await self.check(url)
            left_s -= time.monotonic() - began
            async with self._turn(target):
                began = time.monotonic()
                async with asyncio.timeout(left_s):
                    found = await self._hop(url, target)
                left_s -= time.monotonic() - began
            if isinstance(found, Fetched):
                return found
            url = urljoin(url, found)
        raise FetchRefused(f"{_shown(url)}: more than {self._limits.max_redirects} redirects")

    @asynccontextmanager
    async def _turn(self, target: _Target) -> AsyncIterator[None]:
        """A place in the shared allowance, where the host is one that it is for."""
        name = target.name
        if self._limiter is None or not (is_wikimedia(name) or name in self._limited):
            yield
            return
        try:
            async with self._limiter.slot(name):
                yield
        except Throttled as error:
            raise FetchFailed(str(error), retry_after_s=error.retry_after_s) from error
        except FetchFailed as error:
            if error.retry_after_s:
                await self._limiter.cool(name, error.retry_after_s)
            raise

    async def _hop(self, url: str, target: _Target) -> Fetched | str:
        """One request: the answer, or where it redirects to."""
        request = self._request(target)
        try:
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise FetchFailed(f"{_shown(url)}: no answer ({type(error).__name__})") from error
        self._client.cookies.clear()
        try:
            if response.status_code not in _REDIRECTS:
                return await self._read(url, response)
            location = response.headers.get("location", "")
        finally:
            await response.aclose()
        if not location:
            raise FetchRefused(f"{_shown(url)} redirects to nowhere")
        return location

    def _request(self, target: _Target) -> httpx.Request:
        default = target.port == _PORTS[target.url.scheme]
        literal = f"[{target.host}]" if ":" in target.host else target.host
        # Connecting to the checked address defeats a name that resolves differently the next time.
        return self._client.build_request(
            "GET",
            target.url.copy_with(host=target.address),
            headers={"Host": literal if default else f"{literal}:{target.port}"},
            extensions={"sni_hostname": target.host},
        )

    async def _read(self, url: str, response: httpx.Response) -> Fetched:
        status = response.status_code
        if status in _BUSY:
            raise FetchFailed(
                f"{_shown(url)} answered {status}",
                retry_after_s=retry_after_s(response.headers.get("retry-after")),
            )
        if status != 200:
            raise PageMissing(f"{_shown(url)} answered {status}")
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in self._limits.content_types:
            raise FetchRefused(
                f"{_shown(url)} is {kind or 'of no stated type'}, not a text to quote"
            )
        if response.headers.get("content-encoding", "identity").lower() not in ("identity", "gzip"):
            raise FetchRefused(f"{_shown(url)} is encoded in a way that was not asked for")
        body = bytearray()
        try:
            async for chunk in response.aiter_bytes(65_536):
                body += chunk
                if max(len(body), response.num_bytes_downloaded) > self._limits.max_bytes:
                    raise FetchRefused(
                        f"{_shown(url)} is larger than {self._limits.max_bytes} bytes"
                    )
        except httpx.HTTPError as error:
            raise FetchFailed(
                f"{_shown(url)}: the answer was cut ({type(error).__name__})"
            ) from error
        charset = response.charset_encoding or "utf-8"
        try:
            text = body.decode(charset, errors="replace")
        except LookupError:
            text = body.decode("utf-8", errors="replace")
        return Fetched(url=url, content_type=kind, text=text)


def _shown(url: str) -> str:
    """A URL fit for a log line: no credentials, no query, not too long, printable."""
    parts = url.partition("?")[0].rpartition("@")[2] if "@" in url else url.partition("?")[0]
    return "".join(c if c.isprintable() else "?" for c in parts)[:120]
