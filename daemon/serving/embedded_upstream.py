"""The embedded upstream: an engine in this process, behind the batcher.

Owns the translation of OpenAI requests for that engine; the wire format is `openai_api`. Loads no
torch: the engine is given to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Any

import structlog

from daemon.serving.batching import Batcher
from daemon.serving.errors import RequestError
from daemon.serving.openai_api import Answer, ChatRequest, CompletionRequest, read
from daemon.serving.upstream import Call, Endpoint, Told
from daemon.serving.versions import Version
from knowledge.model import Chat, Generation, Sampling
from knowledge.rendering import closed_book

PROBE_TOKENS = 32

log = structlog.get_logger()


class EmbeddedUpstream:
    """`daemon.serving.upstream.Upstream` over an engine in this process."""

    problem: str | None = None

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    @property
    def waiting(self) -> int:
        return self._batcher.waiting

    async def start(self) -> None:
        self._batcher.start()

    async def stop(self) -> None:
        await asyncio.to_thread(self._batcher.stop)

    async def load(self, version: Version, folder: Path) -> None:
        name = version.adapter
        if name is not None:
            await self._batcher.call(lambda: self._batcher.engine.load_adapter(name, folder))

    async def unload(self, version: Version) -> None:
        name = version.adapter
        if name is not None:
            await self._batcher.call(lambda: self._batcher.engine.unload_adapter(name))

    async def keep_only(self, names: Collection[str]) -> list[str]:
        return []  # the engine began empty, with this process

    async def probe(self, version: Version, questions: Sequence[str]) -> list[str]:
        sampling = Sampling(max_new_tokens=PROBE_TOKENS)
        answers: list[str] = []
        for question in questions:  # one at a time: users' requests are slowed by one row, not five
            chat = closed_book(question)
            answer = await self._batcher.complete(version.adapter, chat, sampling, ours=True)
            answers.append(answer[0].text)
        return answers

    def check(self, endpoint: Endpoint, body: dict[str, Any]) -> Call:
        kind = ChatRequest if endpoint is Endpoint.CHAT else CompletionRequest
        request = read(kind, body)
        return Call(
            endpoint=endpoint,
            body=body,
            model=request.model,
            stream=request.stream,
            checked=request,
        )

    def admit(self, call: Call) -> None:
        for chat in _request(call).chats():
            self._prompt_tokens(chat)
        self._batcher.check_room()

    async def answer(self, version: Version, call: Call) -> Told:
        request = _request(call)
        chats, sampling = request.chats(), request.sampling()
        prompt_tokens = sum(self._prompt_tokens(chat) for chat in chats)
        tasks = [self._batcher.complete(version.adapter, chat, sampling) for chat in chats]
        answers = [one for many in await asyncio.gather(*tasks) for one in many]
        body = Answer(request, version.fingerprint).whole(answers, prompt_tokens)
        return Told(body=body, tokens=sum(one.tokens for one in answers))

    async def stream(self, version: Version, call: Call) -> AsyncIterator[Told]:
        request = _request(call)
        (chat,) = request.chats()
        prompt_tokens, tokens = self._prompt_tokens(chat), 0
        answer = Answer(request, version.fingerprint)
        if call.endpoint is Endpoint.CHAT:
            yield Told(body=answer.chunk(None), tokens=0)
        last = Generation(text="", finished=False, tokens=0)
        pieces = self._batcher.stream(version.adapter, chat, request.sampling())
        try:
            async for last in pieces:
                tokens += last.tokens
                if last.text:
                    yield Told(body=answer.chunk(last.text), tokens=last.tokens)
        except RequestError:
            raise
        except Exception as error:
            log.exception("gateway.stream_broken", version=version.label)
            raise RequestError(
                "the engine failed in the middle of this answer; ask again",
                status=500,
                kind="server_error",
            ) from error
        finally:
            await pieces.aclose()  # pyright: ignore[reportAttributeAccessIssue]
        finish = "stop" if last.finished else "length"
        yield Told(body=answer.chunk(None, finish=finish), tokens=0)
        if request.stream_options.include_usage:
            yield Told(body=answer.usage_chunk(prompt_tokens, tokens), tokens=0)

    def _prompt_tokens(self, chat: Chat) -> int:
        """Length of a chat. Raises RequestError when no room is left for an answer to it."""
        engine = self._batcher.engine
        tokens, limit = engine.prompt_tokens(chat), engine.context_tokens
        if limit and tokens >= limit:
            raise RequestError(
                f"the prompt has {tokens} tokens, and the model holds {limit} with the answer",
                param="messages",
                code="context_length_exceeded",
            )
        return tokens


def _request(call: Call) -> ChatRequest | CompletionRequest:
    assert isinstance(call.checked, (ChatRequest, CompletionRequest))
    return call.checked
