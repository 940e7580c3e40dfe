"""What can go wrong between a request and its answer, and between the alias and a served version.

RequestError       the request cannot be answered as it is; carries the OpenAI error fields
├── Overloaded         the queue is full; come back after `retry_after_s`
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


class NotServing(RequestError):
    """Nothing is loaded under the alias."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"no version is being served: {reason}", status=503, kind="server_error", code="loading"
        )


class VersionRefused(Permanent):
    """A version that must not serve: its files, its loading or its first answers are wrong."""
