"""The guarded fetcher: what it refuses to connect to, whatever a page or a name says."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Sequence

import httpx
import pytest

from agents.evidence.addresses import refusal
from agents.evidence.fetch import (
    Fetched,
    FetchFailed,
    FetchLimits,
    FetchRefused,
    GuardedFetcher,
    PageMissing,
)

PUBLIC = "93.184.216.34"
Handler = Callable[[httpx.Request], httpx.Response]


def page(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text="hello", headers={"content-type": "text/html"})


def fetch(
    url: str,
    handler: Handler = page,
    names: dict[str, Sequence[str]] | None = None,
    **limits: object,
) -> Fetched:
    async def resolver(host: str, port: int) -> Sequence[str]:
        return (names or {}).get(host, [PUBLIC])

    async def run() -> Fetched:
        fetcher = GuardedFetcher(
            "Almanac/0.1 (test@example.org)",
            limits=FetchLimits(**limits),  # type: ignore[arg-type]
            resolver=resolver,
            transport=httpx.MockTransport(handler),
        )
        async with fetcher:
            return await fetcher.get(url)

    return asyncio.run(run())


BAD_ADDRESSES = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "168.63.129.16",
    "100.64.0.1",
    "100.100.100.200",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:c0a8:101",
]


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_no_private_address_is_connected_to(address: str) -> None:
    assert refusal(ipaddress.ip_address(address))
    literal = f"[{address}]" if ":" in address else address
    with pytest.raises(FetchRefused):
        fetch(f"http://{literal}/")
    with pytest.raises(FetchRefused):
        fetch("https://evil.example/", names={"evil.example": [PUBLIC, address]})


@pytest.mark.parametrize("address", [PUBLIC, "2606:4700:4700::1111", "64:ff9b::5db8:d822"])
def test_public_addresses_pass(address: str) -> None:
    assert refusal(ipaddress.ip_address(address)) is None


def test_loopback_is_allowed_for_named_local_endpoints_only() -> None:
    local = frozenset({"127.0.0.1:8000"})
    assert fetch("http://127.0.0.1:8000/x", local_endpoints=local).text == "hello"
    for url in ("http://127.0.0.1:8001/x", "http://127.0.0.1/", "http://localhost:8000/"):
        with pytest.raises(FetchRefused):
            fetch(url, names={"localhost": ["127.0.0.1"]}, local_endpoints=local)
    with pytest.raises(FetchRefused):  # the name is allowed, but it leads elsewhere now
        named = frozenset({"wiki.local:8000"})
        fetch("http://wiki.local:8000/", names={"wiki.local": ["10.0.0.5"]}, local_endpoints=named)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "javascript:alert(1)",
        "http://user:secret@example.org/",
        "http://example.org:22/",
        "http://example.org:8080/",
        "http:///nohost",
        "http://exa mple.org/",
        "http://example.org/\r\nHost: x",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://①②⑦.0.0.1/",
        "http://[::1%25eth0]/",
        "http://example.org/" + "a" * 3000,
        "not a url",
        "",
    ],
)
def test_strange_urls_are_refused(url: str) -> None:
    names = {h: ["127.0.0.1"] for h in ("0x7f000001", "2130706433", "127.1", "localhost")}
    with pytest.raises((FetchRefused, FetchFailed)):
        fetch(url, names=names)


def test_the_connection_goes_to_the_checked_address_under_the_real_name() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return page(request)

    fetch("https://example.org/a?b=c", handler)
    (request,) = seen
    assert request.url.host == PUBLIC and request.headers["host"] == "example.org"
    assert request.extensions["sni_hostname"] == "example.org"
    assert request.url.raw_path == b"/a?b=c"


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://inner.example/",
        "file:///etc/passwd",
        "//127.0.0.1/x",
        "http://example.org:6379/",
    ],
)
def test_every_redirect_is_checked_again(target: str) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": target})

    with pytest.raises(FetchRefused):
        fetch("http://example.org/", handler, names={"inner.example": ["10.0.0.1"]})


def test_redirects_are_followed_and_bounded() -> None:
    def once(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/a":
            return httpx.Response(301, headers={"location": "/b", "set-cookie": "a=b"})
        assert "cookie" not in request.headers
        return page(request)

    assert fetch("http://example.org/a", once).url == "http://example.org/b"

    def forever(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": "/again"})

    with pytest.raises(FetchRefused, match="redirects"):
        fetch("http://example.org/", forever)


def test_size_type_and_encoding_are_capped() -> None:
    def of(kind: str, body: bytes, **headers: str) -> Handler:
        return lambda _: httpx.Response(
            200, content=body, headers={"content-type": kind, **headers}
        )

    with pytest.raises(FetchRefused, match="larger"):
        fetch("http://example.org/", of("text/plain", b"x" * 5000), max_bytes=1000)
    with pytest.raises(FetchRefused, match="not a text"):
        fetch("http://example.org/", of("application/pdf", b"x"))
    with pytest.raises(FetchRefused, match="encoded"):
        fetch("http://example.org/", of("text/plain", b"", **{"content-encoding": "br"}))

    import gzip

    bomb = gzip.compress(b"0" * 5_000_000)
    assert len(bomb) < 10_000
    with pytest.raises(FetchRefused, match="larger"):
        fetch(
            "http://example.org/",
            of("text/plain", bomb, **{"content-encoding": "gzip"}),
            max_bytes=100_000,
        )


def test_answers_are_retryable_or_not() -> None:
    with pytest.raises(FetchFailed) as busy:
        fetch("http://x.org/", lambda _: httpx.Response(503, headers={"retry-after": "7"}))
    assert busy.value.retry_after_s == 7
    with pytest.raises(PageMissing):
        fetch("http://x.org/", lambda _: httpx.Response(404))

    def cut(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("cut")

    with pytest.raises(FetchFailed):
        fetch("http://x.org/", cut)
