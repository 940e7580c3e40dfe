"""Faults on demand: what the next answers do wrong, as asked through `/_control/faults`.

Owns the counters and the bodies of the error answers as Wikimedia gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import JSONResponse, PlainTextResponse, Response

_POLICY = (
    "Please set a user-agent and respect our robot policy https://w.wiki/4wJS. "
    "See also https://phabricator.wikimedia.org/T400119.\n"
)
_LIBRARIES = (
    "python-httpx",
    "python-requests",
    "python-urllib",
    "aiohttp",
    "curl/",
    "wget",
    "go-http-client",
    "java/",
    "okhttp",
    "libwww-perl",
    "sparqlwrapper",
    "axios",
    "node-fetch",
)
_LAG_HELP = (
    "See https://www.wikidata.org/w/api.php for API usage. Subscribe to the mediawiki-api-announce "
    "mailing list at &lt;https://lists.wikimedia.org/mailman/listinfo/mediawiki-api-announce&gt; "
    "for notice of API deprecations and breaking changes."
)


@dataclass(slots=True)
class Faults:
    """How many of the next answers fail in each way; `cut_stream_after` events, 0 for never."""

    maxlag: int = 0
    too_many: int = 0
    unavailable: int = 0
    truncate: int = 0
    cut_stream_after: int = 0
    duplicate: int = 0
    """Events that are sent twice."""
    reorder: int = 0
    """Runs of events that are sent in a wrong order."""
    jump: int = 0
    """Connections that begin at now, whatever the cursor says."""
    silent: int = 0
    """Connections that say nothing and are not closed either."""
    wait_ms: int = 0
    """`Retry-After` of refusals and lag; 0 for what the real ones say."""

    def update(self, asked: dict[str, int]) -> None:
        """Take over what was asked. Raises ValueError on an unknown name or a negative number."""
        names = {"429": "too_many", "503": "unavailable"}
        for key, value in asked.items():
            name = names.get(key, key)
            if name not in self.__slots__:
                known = ", ".join(self.state())
                raise ValueError(f"no fault is called {key!r}; known are {known}")
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"{key} must be a number of answers, not {value!r}")
            setattr(self, name, value)

    def state(self) -> dict[str, int]:
        return {
            "maxlag": self.maxlag,
            "429": self.too_many,
            "503": self.unavailable,
            "truncate": self.truncate,
            "cut_stream_after": self.cut_stream_after,
            "duplicate": self.duplicate,
            "reorder": self.reorder,
            "jump": self.jump,
            "silent": self.silent,
            "wait_ms": self.wait_ms,
        }

    def taken(self, name: str) -> bool:
        """Whether the next thing of a kind goes wrong; counts it."""
        left: int = getattr(self, name)
        if left:
            setattr(self, name, left - 1)
        return left > 0

    def _wait(self, usual: str) -> str:
        return str(self.wait_ms / 1000) if self.wait_ms else usual

    def refusal(self) -> Response | None:
        """The 429 or 503 that the next answer is to be, if one is asked for."""
        if self.too_many:
            self.too_many -= 1
            text = "You are making too many requests. Please retry later (see Retry-After).\n"
            return PlainTextResponse(text, 429, {"Retry-After": self._wait("1")})
        if self.unavailable:
            self.unavailable -= 1
            text = (
                "upstream connect error or disconnect/reset before headers. reset reason: overflow"
            )
            return PlainTextResponse(text, 503, {"Retry-After": self._wait("0.5")})
        return None

    def lagged(self, maxlag: float | None) -> Response | None:
        """The maxlag error for a request that sent `maxlag`; a negative one always gets it."""
        if maxlag is None or (maxlag >= 0 and not self.maxlag):
            return None
        lag = 0.21
        if self.maxlag:
            self.maxlag -= 1
            lag = max(maxlag, 0) + 3.45
        error = {
            "code": "maxlag",
            "info": f"Waiting for all: {lag} seconds lagged.",
            "host": "all",
            "lag": lag,
            "type": "wikibase-queryservice",
            "queryserviceLag": int(lag * 180),
            "*": _LAG_HELP,
        }
        headers = {
            "Retry-After": self._wait("5"),
            "X-Database-Lag": str(int(lag)),
            "MediaWiki-API-Error": "maxlag",
        }
        return JSONResponse({"error": error, "servedby": "mw1280"}, 200, headers)

    def cut_short(self, body: bytes) -> bytes:
        """The body, or half of it with a Java trace when a truncated answer is asked for."""
        if not self.truncate:
            return body
        self.truncate -= 1
        trace = b"\njava.util.concurrent.TimeoutException\n\tat java.util.concurrent.FutureTask\n"
        return body[: max(1, len(body) // 2)] + trace


def policy_refusal(user_agent: str | None) -> Response | None:
    """The 403 for requests without a User-Agent of their own."""
    known = (user_agent or "").strip().lower()
    if not known or known.startswith(_LIBRARIES):
        return PlainTextResponse(_POLICY, 403)
    return None
