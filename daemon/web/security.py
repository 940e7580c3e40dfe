"""What every request and answer has to keep: known hosts, same origin, and a strict content policy.

Owns the middleware and the refusal to listen beyond this machine without accounts and TLS. Who
somebody is and what they may do is `daemon.web.identity`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents.loopback import is_loopback
from daemon.config import Settings
from daemon.errors import ConfigError

MAX_BODY_BYTES = 1_000_000
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; manifest-src 'self'; report-uri /csp-report"
)
_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_WITHOUT_ORIGIN = frozenset({"/csp-report"})
_OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "testserver"})


def check_binding(settings: Settings, *, accounts: bool) -> None:
    """Raises ConfigError when the pages would be open to other machines without accounts, or
    without TLS in front."""
    host = settings.web.host
    if is_loopback(host):
        return
    if not accounts:
        raise ConfigError(
            f"web.host is {host}, which other machines can reach, and there is no account: start "
            "once on 127.0.0.1 and use the link it prints, or `almanac account add NAME`"
        )
    if not settings.web.behind_tls:
        raise ConfigError(
            f"web.host is {host}, which other machines can reach, and passwords would travel in "
            "the clear: put a TLS proxy in front and set web.behind_tls = true"
        )


class Guard:
    """ASGI middleware: refuses what must not get in, and adds the headers to what goes out."""

    def __init__(self, app: ASGIApp, settings: Settings, cookie: str) -> None:
        self._app = app
        self._hosts = {*_OWN_NAMES, settings.web.host, *settings.web.hosts}
        self._tls = settings.web.behind_tls
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message), scope["path"])
            await send(message)

        refusal = self.refuse(Request(scope))
        await (refusal or self._app)(scope, receive, guarded)

    def _add_headers(self, headers: MutableHeaders, path: str) -> None:
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        if self._tls:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        if not path.startswith("/static/"):
            headers.setdefault("Cache-Control", "no-store")

    def refuse(self, request: Request) -> Response | None:
        if _hostname(request.headers.get("host", "")) not in self._hosts:
            return PlainTextResponse(
                "Almanac is not known under that name; add it to web.hosts", status_code=421
            )
        if "transfer-encoding" in request.headers:
            return PlainTextResponse("Send the request with its length", status_code=411)
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            return PlainTextResponse("The request is too large", status_code=413)
        if request.method in _SAFE or request.url.path in _WITHOUT_ORIGIN:
            return None
        if not self._same_origin(request):
            return PlainTextResponse(
                "This request comes from another site, or does not say where it comes from",
                status_code=403,
            )
        return None

    def _same_origin(self, request: Request) -> bool:
        """By what browsers say themselves. Without a word, only who shows no cookie may pass: a
        program with a token, or somebody who logs in from a browser older than all this."""
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        origin = request.headers.get("origin")
        if origin is not None:
            return urlsplit(origin).netloc == request.headers.get("host", "")
        return self._cookie not in request.cookies


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""
