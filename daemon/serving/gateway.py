"""The gateway's HTTP side: an OpenAI-compatible API over whatever version the alias points to.

Owns the routes, keys, time limits, the request log and the life of the parts behind them. Versions
are `residents` and `reconcile`, what answers is an `upstream`.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.types import Receive, Scope, Send

from daemon.serving.access import Access
from daemon.serving.errors import (
    NotAllowed,
    NotServing,
    Overloaded,
    RequestError,
    TookTooLong,
    VersionRefused,
)
from daemon.serving.metrics import metrics_of
from daemon.serving.openai_api import error_body
from daemon.serving.reconcile import Reconciler
from daemon.serving.residents import Residents
from daemon.serving.upstream import Call, Endpoint, Upstream
from daemon.serving.versions import MODEL, Version, VersionSource, named

VERSION_HEADER = "X-Almanac-Version"
DIGEST_HEADER = "X-Almanac-Digest"
ID_HEADER = "X-Request-Id"
_NEVER = ("echo", "prompt_logprobs")
"""Fields that make vLLM score prompts, which can kill a server with adapters."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may take."""

    timeout_s: float = 120.0
    body_bytes: int = 1_000_000
    log_prompts: bool = False
    """Whether the request log holds what was asked. Off: prompts are the users' own."""


class Gateway:
    """Answers requests with the version they ask for, or the one that the alias names."""

    def __init__(
        self,
        upstream: Upstream,
        source: VersionSource,
        *,
        alias: str,
        access: Access | None = None,
        limits: Limits | None = None,
        capacity: int = 4,
    ) -> None:
        self.alias = alias
        self.upstream = upstream
        self.source = source
        self.access = access
        self.limits = limits or Limits()
        self.residents = Residents(upstream, source, capacity=capacity)
        self.reconciler = Reconciler(self.residents, source)

    async def chosen(self, model: str) -> Version | None:
        """The version behind a model name; None for the stable name. Raises RequestError (404)."""
        if model == MODEL:
            return None
        version = named(model, await asyncio.to_thread(self.source.versions))
        if version is None:
            raise RequestError(
                f"there is no model {model!r}; GET /v1/models lists them",
                status=404,
                param="model",
                code="model_not_found",
            )
        return version

    def check(self, endpoint: Endpoint, body: Any) -> Call:
        """Read a request. Raises RequestError that names the field at fault."""
        if not isinstance(body, dict):
            raise RequestError("the body must be a JSON object")
        for name in _NEVER:
            if body.get(name) not in (None, False):
                raise RequestError(
                    f"{name} is refused: scoring a prompt can end a server that holds adapters",
                    param=name,
                    code="unsupported_parameter",
                )
        return self.upstream.check(endpoint, body)

    async def answer(self, call: Call, line: RequestLine) -> Response:
        """The response that is not streamed. Raises RequestError."""
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                async with self.residents.lease(await self.chosen(call.model)) as version:
                    line.version = version
                    told = await self.upstream.answer(version, call)
        except TimeoutError:
            raise TookTooLong(self.limits.timeout_s) from None
        line.told(200, told.tokens)
        return JSONResponse(told.body, headers=_headers(version, line))

    async def streamed(self, call: Call, line: RequestLine) -> Response:
        """The response as server-sent events; the version is fixed before the first byte."""
        lease = self.residents.lease(await self.chosen(call.model))
        version = await lease.__aenter__()
        line.version = version
        events = self._events(version, call, line)
        return _LeasedStream(events, lease, _headers(version, line))

    async def _events(self, version: Version, call: Call, line: RequestLine) -> AsyncIterator[str]:
        tokens, status = 0, 499  # a client that leaves in the middle
        chunks = self.upstream.stream(version, call)
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                async for told in chunks:
                    tokens += told.tokens
                    yield _event(told.body)
            status = 200
            yield "data: [DONE]\n\n"
        except TimeoutError:
            status = 504
            yield _event(error_body(TookTooLong(self.limits.timeout_s)))
        except RequestError as error:
            status = error.status
            yield _event(error_body(error))
        finally:
            with suppress(RuntimeError):  # it is running: whoever runs it closes it
                await chunks.aclose()  # pyright: ignore[reportAttributeAccessIssue]
            line.told(status, tokens)

    def health(self) -> dict[str, Any]:
        """What serves, what should, and what stands between."""
        current, refusal = self.residents.current, self.reconciler.refusal
        problems = [refusal.reason] if refusal else []
        if self.reconciler.unreachable:
            problems.append(f"the registry cannot be read: {self.reconciler.unreachable}")
        if self.upstream.problem:
            problems.append(self.upstream.problem)
        status = "loading" if current is None else "degraded" if problems else "ok"
        return {
            "status": status,
            "answers": current is not None and not self.upstream.problem,
            "alias": self.alias,
            "generation": self.reconciler.generation,
            "version": current.label if current else None,
            "digest": current.digest if current else None,
            "previous": self.residents.previous.label if self.residents.previous else None,
            "resident": [version.label for version in self.residents.loaded],
            "refused": refusal.target.version.label if refusal else None,
            "problems": problems,
            "waiting": self.upstream.waiting,
        }

    async def models(self) -> dict[str, Any]:
        """The stable name first, then every version under its own."""
        versions = await asyncio.to_thread(self.source.versions)
        names = [MODEL, *(version.model for version in versions)]
        return {
            "object": "list",
            "data": [
                {"id": name, "object": "model", "created": 0, "owned_by": "almanac"}
                for name in names
            ],
        }


class RequestLine:
    """The line of the request log: who asked what kind of thing, who answered, how it ended."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.id = uuid.uuid4().hex
        self.version: Version | None = None
        self.key: str | None = None
        self.stream = False
        self.prompt: Any = None
        self._endpoint = endpoint
        self._started = time.monotonic()

    def told(self, status: int, tokens: int, code: str | None = None) -> None:
        fields = {"prompt": self.prompt} if self.prompt is not None else {}
        log.info(
            "gateway.request",
            request=self.id,
            endpoint=self._endpoint.value,
            key=self.key,
            version=self.version.label if self.version else None,
            digest=self.version.digest if self.version else None,
            status=status,
            code=code,
            streamed=self.stream,
            completion_tokens=tokens,
            took_ms=round((time.monotonic() - self._started) * 1000, 1),
            **fields,
        )


class _LeasedStream(StreamingResponse):
    """A stream that gives its version back however it ends, also when nobody ever reads it."""

    def __init__(
        self,
        events: AsyncIterator[str],
        lease: AbstractAsyncContextManager[Version],
        headers: dict[str, str],
    ) -> None:
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._events = events
        self._lease = lease

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()  # pyright: ignore[reportAttributeAccessIssue]
            await self._lease.__aexit__(None, None, None)


def create_app(gateway: Gateway) -> FastAPI:
    """The ASGI application; its lifespan runs the upstream and the reconciler."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await gateway.upstream.start()
        follow = asyncio.create_task(gateway.reconciler.run())
        try:
            yield
        finally:
            follow.cancel()
            with suppress(asyncio.CancelledError):
                await follow
            await gateway.upstream.stop()

    app = FastAPI(
        title="Almanac gateway", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )

    @app.post("/v1/chat/completions")
    async def chat_completions(http: Request) -> Response:
        return await _respond(gateway, Endpoint.CHAT, http)

    @app.post("/v1/completions")
    async def completions(http: Request) -> Response:
        return await _respond(gateway, Endpoint.COMPLETIONS, http)

    @app.get("/v1/models")
    async def models(http: Request) -> Response:
        try:
            _holder(gateway, http)
            return JSONResponse(await gateway.models())
        except RequestError as error:
            return _refusal(error)

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        health = gateway.health()
        return JSONResponse(health, status_code=200 if health["answers"] else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(metrics_of(gateway.health), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return app


async def _respond(gateway: Gateway, endpoint: Endpoint, http: Request) -> Response:
    line = RequestLine(endpoint)
    try:
        line.key = _holder(gateway, http)
        body = await _body(http, gateway.limits.body_bytes)
        call = gateway.check(endpoint, body)
        line.stream = call.stream
        if gateway.limits.log_prompts:
            line.prompt = body.get("messages", body.get("prompt"))
        gateway.upstream.admit(call)
        return await (gateway.streamed(call, line) if call.stream else gateway.answer(call, line))
    except RequestError as error:
        found = error
    except VersionRefused as error:
        found = RequestError(str(error), status=503, kind="server_error", param="model")
    except Exception:
        log.exception("gateway.failed", request=line.id)
        found = RequestError(
            f"the engine failed; the log says more under {line.id}",
            status=500,
            kind="server_error",
        )
    line.told(found.status, 0, found.code)
    return _refusal(found, line)


def _holder(gateway: Gateway, http: Request) -> str:
    """Whose key came with the request. Raises NotAllowed."""
    if gateway.access is None:
        return "anybody"
    holder = gateway.access.holder(http.headers.get("authorization"))
    if holder is None:
        raise NotAllowed
    return holder


async def _body(http: Request, limit: int) -> Any:
    data = b""
    async for part in http.stream():
        data += part
        if len(data) > limit:
            raise RequestError(f"the body has more than {limit} bytes", status=413)
    try:
        return json.loads(data)
    except ValueError as error:
        raise RequestError(f"the body is not JSON: {error}") from None


def _refusal(error: RequestError, line: RequestLine | None = None) -> JSONResponse:
    headers = {ID_HEADER: line.id} if line else {}
    if isinstance(error, NotServing):
        headers["Retry-After"] = "1"
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, NotAllowed):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(error_body(error), status_code=error.status, headers=headers)


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


def _headers(version: Version, line: RequestLine) -> dict[str, str]:
    return {VERSION_HEADER: version.label, DIGEST_HEADER: version.digest, ID_HEADER: line.id}
