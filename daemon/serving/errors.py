"""What can go wrong between a request and its answer, and between the alias and a served version.

RequestError       the request cannot be answered as it is; carries the OpenAI error fields
├── Overloaded         the queue is full; come back after `retry_after_s`
├── NotAllowed         no API key that counts came with the request
├── TookTooLong        the answer was not there in time, and was given up
└── NotServing         no version is loaded yet, or the first one was refused
VersionRefused     a version did not load or failed its smoke test; the old one goes on serving
"""

from __future__ import annotations

from daemon.errors import AlmanacError, Permanent


class RequestError(AlmanacError):
    """An answer in the form of an OpenAI error: HTTP status, type, and the field at fault."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code


class Overloaded(RequestError):
    """More requests wait than the gateway will hold."""

    def __init__(self, waiting: int, retry_after_s: int) -> None:
        super().__init__(
            f"{waiting} requests are waiting already; try again in {retry_after_s} s",
            status=429,
            kind="rate_limit_error",
            code="queue_full",
        )
        self.retry_after_s = retry_after_s


class NotAllowed(RequestError):
    """Keys are needed, and none that counts was sent."""

    def __init__(self) -> None:
        super().__init__(
            "this gateway needs an API key: send it as `Authorization: Bearer KEY`",
            status=401,
            kind="authentication_error",
            code="invalid_api_key",
        )


class TookTooLong(RequestError):
    """The answer took longer than a request may."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(
            f"no whole answer within {timeout_s:g} s; ask for fewer tokens, or try again later",
            status=504,
            kind="server_error",
            code="timeout",
        )


class NotServing(RequestError):
    """Nothing is loaded under the alias."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"no version is being served: {reason}", status=503, kind="server_error", code="loading"
        )


class VersionRefused(Permanent):
    """A version that must not serve: its files, its loading or its first answers are wrong."""
