"""The gateway's HTTP side: an OpenAI-compatible API over whatever version the alias points to.

Owns the routes, the request log and the life of the parts behind them. The wire format is
`openai_api`, versions are `residents` and `reconcile`, the engine is behind `batching`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from daemon.serving.batching import Batcher
from daemon.serving.errors import NotServing, Overloaded, RequestError, VersionRefused
from daemon.serving.openai_api import (
    Answer,
    ChatRequest,
    CompletionRequest,
    error_body,
    read,
)
from daemon.serving.reconcile import Reconciler
from daemon.serving.residents import Residents
from daemon.serving.versions import MODEL, Version, VersionSource, named
from knowledge.model import Chat, Generation

VERSION_HEADER = "X-Almanac-Version"
DIGEST_HEADER = "X-Almanac-Digest"

log = structlog.get_logger()


class Gateway:
    """Answers requests with the version they ask for, or the one that the alias names."""

    def __init__(self, batcher: Batcher, source: VersionSource, *, alias: str) -> None:
        self.alias = alias
        self.batcher = batcher
        self.source = source
        self.residents = Residents(batcher, source)
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

    def prompt_tokens(self, chat: Chat) -> int:
        """Length of a chat. Raises RequestError when no room is left for an answer to it."""
        tokens, limit = self.batcher.engine.prompt_tokens(chat), self.batcher.engine.context_tokens
        if tokens >= limit:
            raise RequestError(
                f"the prompt has {tokens} tokens, and the model holds {limit} with the answer",
                param="messages",
                code="context_length_exceeded",
            )
        return tokens

    async def answer(self, request: ChatRequest | CompletionRequest) -> Response:
        """The response that is not streamed."""
        started = time.monotonic()
        async with self.residents.lease(await self.chosen(request.model)) as version:
            chats, sampling = request.chats(), request.sampling()
            prompt_tokens = sum(self.prompt_tokens(chat) for chat in chats)
            tasks = [self.batcher.complete(version.adapter, chat, sampling) for chat in chats]
            answers = [one for many in await asyncio.gather(*tasks) for one in many]
        body = Answer(request, version.fingerprint).whole(answers, prompt_tokens)
        _log_request(version, started, sum(a.tokens for a in answers), streamed=False)
        return JSONResponse(body, headers=_headers(version))

    async def streamed(self, request: ChatRequest | CompletionRequest) -> Response:
        """The response as server-sent events; the version is fixed before the first byte."""
        (chat,) = request.chats()
        prompt_tokens = self.prompt_tokens(chat)
        self.batcher.check_room()
        lease = self.residents.lease(await self.chosen(request.model))
        version = await lease.__aenter__()

        async def events() -> AsyncIterator[str]:
            async for chunk in self._chunks(request, version, prompt_tokens):
                yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
            yield "data: [DONE]\n\n"

        return _LeasedStream(events(), lease, version)

    async def _chunks(
        self, request: ChatRequest | CompletionRequest, version: Version, prompt_tokens: int
    ) -> AsyncIterator[dict[str, Any]]:
        started, tokens, last = time.monotonic(), 0, Generation(text="", finished=False, tokens=0)
        answer = Answer(request, version.fingerprint)
        if isinstance(request, ChatRequest):
            yield answer.chunk(None)
        pieces = self.batcher.stream(version.adapter, request.chats()[0], request.sampling())
        try:
            async for last in pieces:
                tokens += last.tokens
                if last.text:
                    yield answer.chunk(last.text)
        except RequestError as error:
            yield error_body(error)
            return
        except Exception:
            log.exception("gateway.stream_broken", version=version.label)
            broken = "the engine failed in the middle of this answer; ask again"
            yield error_body(RequestError(broken, status=500, kind="server_error"))
            return
        yield answer.chunk(None, finish="stop" if last.finished else "length")
        if request.stream_options.include_usage:
            yield answer.usage_chunk(prompt_tokens, tokens)
        _log_request(version, started, tokens, streamed=True)

    def health(self) -> dict[str, Any]:
        """What serves, what should, and what stands between."""
        current, refusal = self.residents.current, self.reconciler.refusal
        problems = [refusal.reason] if refusal else []
        if self.reconciler.unreachable:
            problems.append(f"the registry cannot be read: {self.reconciler.unreachable}")
        status = "loading" if current is None else "degraded" if problems else "ok"
        return {
            "status": status,
            "alias": self.alias,
            "generation": self.reconciler.generation,
            "version": current.label if current else None,
            "digest": current.digest if current else None,
            "previous": self.residents.previous.label if self.residents.previous else None,
            "resident": [version.label for version in self.residents.loaded],
            "refused": refusal.target.version.label if refusal else None,
            "problems": problems,
            "waiting": self.batcher.waiting,
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


class _LeasedStream(StreamingResponse):
    """A stream that gives its version back however it ends, also when nobody ever reads it."""

    def __init__(
        self,
        events: AsyncIterator[str],
        lease: AbstractAsyncContextManager[Version],
        version: Version,
    ) -> None:
        super().__init__(events, media_type="text/event-stream", headers=_headers(version))
        self._lease = lease

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._lease.__aexit__(None, None, None)


def create_app(gateway: Gateway) -> FastAPI:
    """The ASGI application; its lifespan runs the engine thread and the reconciler."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        gateway.batcher.start()
        follow = asyncio.create_task(gateway.reconciler.run())
        try:
            yield
        finally:
            follow.cancel()
            with suppress(asyncio.CancelledError):
                await follow
            await asyncio.to_thread(gateway.batcher.stop)

    app = FastAPI(
        title="Almanac gateway", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )

    @app.post("/v1/chat/completions")
    async def chat_completions(http: Request) -> Response:
        return await _respond(gateway, ChatRequest, http)

    @app.post("/v1/completions")
    async def completions(http: Request) -> Response:
        return await _respond(gateway, CompletionRequest, http)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return await gateway.models()

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        health = gateway.health()
        return JSONResponse(health, status_code=503 if health["status"] == "loading" else 200)

    @app.exception_handler(RequestError)
    async def refused(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestError)
        headers = {"Retry-After": "1"} if isinstance(error, NotServing) else None
        if isinstance(error, Overloaded):
            headers = {"Retry-After": str(error.retry_after_s)}
        return JSONResponse(error_body(error), status_code=error.status, headers=headers)

    @app.exception_handler(VersionRefused)
    async def unusable(_request: Request, error: Exception) -> JSONResponse:
        body = error_body(RequestError(str(error), kind="server_error", param="model"))
        return JSONResponse(body, status_code=503)

    @app.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: Exception) -> JSONResponse:
        return JSONResponse(error_body(RequestError(str(error))), status_code=400)

    return app


async def _respond(
    gateway: Gateway, kind: type[ChatRequest] | type[CompletionRequest], http: Request
) -> Response:
    try:
        body = await http.json()
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"the body is not JSON: {error}") from None
    request = read(kind, body)
    if request.stream:
        return await gateway.streamed(request)
    return await gateway.answer(request)


def _headers(version: Version) -> dict[str, str]:
    return {VERSION_HEADER: version.label, DIGEST_HEADER: version.digest}


def _log_request(version: Version, started: float, tokens: int, *, streamed: bool) -> None:
    took_ms = round((time.monotonic() - started) * 1000, 1)
    log.info(
        "gateway.answered",
        version=version.label,
        took_ms=took_ms,
        completion_tokens=tokens,
        streamed=streamed,
    )
