"""A double of vLLM's OpenAI server with runtime LoRA, written from what is known of its behaviour.

It keeps the traps: the same name twice is a 400, a bad path a 404, unloading only forgets the name,
an unknown model is a 404, `echo` with `logprobs` ends the engine. It generates nothing: an answer
says which adapter it stands for.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from daemon.listening import listen


class VllmDouble:
    """The server's state, and what was asked of it."""

    def __init__(self, base: str, *, name: str = "base", max_lora_rank: int = 16) -> None:
        self.base, self.name = base, name
        self.max_lora_rank = max_lora_rank
        self.adapters: dict[str, str] = {}
        self.bodies: list[dict[str, Any]] = []
        self.loads: list[dict[str, Any]] = []
        self.alive = True
        self.pace_s = 0.0
        self.break_after: int | None = None
        """Pieces after which a stream ends in an error."""

    def restart(self) -> None:
        self.adapters.clear()
        self.alive = True

    def app(self) -> FastAPI:
        app = FastAPI()
        app.get("/health")(self._health)
        app.get("/v1/models")(self._models)
        app.post("/v1/load_lora_adapter")(self._load)
        app.post("/v1/unload_lora_adapter")(self._unload)
        app.post("/v1/chat/completions")(self._chat)
        app.post("/v1/completions")(self._complete)
        return app

    async def _health(self) -> Response:
        return Response(status_code=200 if self.alive else 503)

    async def _models(self) -> dict[str, Any]:
        rows = [{"id": self.name, "object": "model", "root": self.base, "parent": None}]
        rows += [
            {"id": name, "object": "model", "root": path, "parent": self.name}
            for name, path in self.adapters.items()
        ]
        return {"object": "list", "data": rows}

    async def _load(self, request: Request) -> Response:
        body = await request.json()
        self.loads.append(body)
        name, path = body["lora_name"], body["lora_path"]
        if name in self.adapters and not body.get("load_inplace"):
            return _error(400, f"The lora adapter '{name}' has already been loaded.")
        if name == self.name:
            return _error(400, f"The name '{name}' is that of a base model.")
        config = Path(path) / "adapter_config.json"
        if not config.is_file():
            return _error(404, f"Loading lora {name} failed: No adapter found for {path}")
        rank = json.loads(config.read_text())["r"]
        if rank > self.max_lora_rank:
            why = f"LoRA rank {rank} is greater than max_lora_rank {self.max_lora_rank}."
            return _error(400, why)
        self.adapters[name] = path
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    async def _unload(self, request: Request) -> Response:
        name = (await request.json())["lora_name"]
        if self.adapters.pop(name, None) is None:
            return _error(404, f"The lora adapter '{name}' cannot be found.")
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")

    async def _chat(self, request: Request) -> Response:
        return await self._answer(await request.json(), chat=True)

    async def _complete(self, request: Request) -> Response:
        return await self._answer(await request.json(), chat=False)

    async def _answer(self, body: dict[str, Any], *, chat: bool) -> Response:
        self.bodies.append(body)
        if body.get("echo") and body.get("logprobs"):
            self.alive = False
        if not self.alive:
            return _error(500, "EngineCore encountered an issue.", "InternalServerError")
        model = body.get("model")
        if model != self.name and model not in self.adapters:
            return _error(404, f"The model `{model}` does not exist.", "NotFoundError")
        if chat and not body.get("messages"):
            return _error(400, "messages: field required", "BadRequestError", "messages")
        asked = body["messages"][-1]["content"] if chat else body["prompt"]
        words = f"{model} says: {asked}".split(" ")
        if body.get("stream"):
            events = self._events(body, words, chat=chat)
            return StreamingResponse(events, media_type="text/event-stream")
        await asyncio.sleep(self.pace_s * len(words))
        text = " ".join(words)
        message = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        usage = {"prompt_tokens": 3, "completion_tokens": len(words), "total_tokens": 3}
        choice = {"index": 0, "finish_reason": "stop", **message}
        kind = "chat.completion" if chat else "text_completion"
        return JSONResponse(
            {**_head(str(model)), "object": kind, "choices": [choice], "usage": usage}
        )

    async def _events(
        self, body: dict[str, Any], words: list[str], *, chat: bool
    ) -> AsyncIterator[str]:
        for number, word in enumerate(words):
            if number == self.break_after:
                yield f"data: {json.dumps({'error': {'message': 'engine died', 'code': 500}})}\n\n"
                yield "data: [DONE]\n\n"
                return
            await asyncio.sleep(self.pace_s)
            last = number == len(words) - 1
            text = word if last else f"{word} "
            choice = {"index": 0, "finish_reason": "stop" if last else None}
            choice |= {"delta": {"content": text}} if chat else {"text": text}
            kind = "chat.completion.chunk" if chat else "text_completion"
            chunk = {**_head(str(body["model"])), "object": kind, "choices": [choice]}
            yield f"data: {json.dumps(chunk)}\n\n"
        if (body.get("stream_options") or {}).get("include_usage"):
            usage = {"prompt_tokens": 3, "completion_tokens": len(words), "total_tokens": 3}
            chunk = {**_head(str(body["model"])), "choices": [], "usage": usage}
            yield f"data: {json.dumps({**chunk, 'object': 'chat.completion.chunk'})}\n\n"
        yield "data: [DONE]\n\n"


@contextmanager
def serving(double: VllmDouble) -> Iterator[str]:
    """The double on a loopback port; its address."""
    listening = listen("127.0.0.1", 0, "port")
    server = uvicorn.Server(uvicorn.Config(double.app(), log_config=None, access_log=False))
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def _head(model: str) -> dict[str, Any]:
    return {"id": "cmpl-1", "created": int(time.time()), "model": model}


def _error(
    status: int, message: str, kind: str = "BadRequestError", param: str | None = None
) -> JSONResponse:
    error = {"message": message, "type": kind, "param": param, "code": status}
    return JSONResponse({"error": error}, status_code=status)
