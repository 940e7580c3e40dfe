"""The OpenAI wire format: requests read and checked, answers and chunks written.

Owns the shapes and which fields the embedded upstream honours; any other field that is set is
refused by name. Knows nothing of versions or engines.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from daemon.serving.errors import RequestError
from knowledge.model import Chat, Generation, Message, Sampling
from knowledge.rendering import closed_book

DEFAULT_MAX_TOKENS = 128


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: Literal["text"]
    text: str


class _Turn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part]
    name: str | None = None

    def message(self) -> Message:
        role = "system" if self.role == "developer" else self.role
        if isinstance(self.content, str):
            return Message(role, self.content)
        return Message(role, "".join(part.text for part in self.content))


class _StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")
    include_usage: bool = False


class _Request(BaseModel):
    """What both endpoints share. `temperature` is 0 unless asked for: facts are not sampled."""

    model_config = ConfigDict(extra="forbid")
    model: str
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    n: int = Field(default=1, ge=1, le=8)
    seed: int = 0
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()
    user: str | None = None

    def chats(self) -> list[Chat]:
        raise RequestError("the request has no prompt")

    def token_limit(self) -> int:
        return self.max_tokens or DEFAULT_MAX_TOKENS

    def sampling(self) -> Sampling:
        greedy = self.temperature == 0
        return Sampling(
            max_new_tokens=self.token_limit(),
            temperature=self.temperature,
            top_p=1.0 if greedy else self.top_p,
            n=self.n,
            seed=0 if greedy else self.seed,
        )


class ChatRequest(_Request):
    messages: list[_Turn] = Field(min_length=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)

    def chats(self) -> list[Chat]:
        return [tuple(turn.message() for turn in self.messages)]

    def token_limit(self) -> int:
        return self.max_completion_tokens or super().token_limit()


class CompletionRequest(_Request):
    """The older endpoint. Each prompt is put to the model as a user's turn."""

    prompt: str | list[str]

    def chats(self) -> list[Chat]:
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        if not prompts:
            raise RequestError("prompt is an empty list", param="prompt")
        return [closed_book(prompt) for prompt in prompts]


RequestT = TypeVar("RequestT", bound=_Request)


def read(kind: type[RequestT], body: Any) -> RequestT:
    """Check a request body. Raises RequestError that names the first field at fault."""
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object")
    present = {key: value for key, value in body.items() if value is not None}
    try:
        request = kind.model_validate(present)
    except ValidationError as error:
        raise _explain(error) from None
    if request.stream and (request.n > 1 or len(request.chats()) > 1):
        raise RequestError("a stream carries one answer: n and the prompts must be 1", param="n")
    return request


def _explain(error: ValidationError) -> RequestError:
    problems = error.errors()
    unknown = next((p for p in problems if p["type"] == "extra_forbidden"), None)
    problem = unknown or problems[0]
    field = ".".join(str(part) for part in problem["loc"])
    if unknown is not None:
        return RequestError(
            f"{field} is not supported by the embedded model; leave it out, or serve through vLLM",
            param=field,
            code="unsupported_parameter",
        )
    return RequestError(f"{field}: {problem['msg']}", param=field)


def error_body(error: RequestError) -> dict[str, Any]:
    return {
        "error": {
            "message": str(error),
            "type": error.kind,
            "param": error.param,
            "code": error.code,
        }
    }


class Answer:
    """One response in the making: its id, its time and its version are the same in every chunk."""

    def __init__(self, request: _Request, fingerprint: str) -> None:
        self._chat = isinstance(request, ChatRequest)
        prefix = "chatcmpl" if self._chat else "cmpl"
        self._head = {
            "id": f"{prefix}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": request.model,
            "system_fingerprint": fingerprint,
        }

    def whole(self, answers: Sequence[Generation], prompt_tokens: int) -> dict[str, Any]:
        """The response that is not streamed, with usage."""
        choices = [self._choice(i, answer) for i, answer in enumerate(answers)]
        kind = "chat.completion" if self._chat else "text_completion"
        spent = usage(prompt_tokens, sum(answer.tokens for answer in answers))
        return {**self._head, "object": kind, "choices": choices, "usage": spent}

    def chunk(self, text: str | None, *, finish: str | None = None) -> dict[str, Any]:
        """One piece of a stream; the first and last carry no text."""
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "logprobs": None}
        if self._chat:
            opening = text is None and finish is None
            content = {"role": "assistant", "content": ""} if opening else {"content": text}
            choice["delta"] = {} if finish else content
        else:
            choice["text"] = text or ""
        return {**self._head, "object": self._chunk_kind, "choices": [choice]}

    def usage_chunk(self, prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
        spent = usage(prompt_tokens, completion_tokens)
        return {**self._head, "object": self._chunk_kind, "choices": [], "usage": spent}

    @property
    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self._chat else "text_completion"

    def _choice(self, index: int, answer: Generation) -> dict[str, Any]:
        choice: dict[str, Any] = {
            "index": index,
            "finish_reason": "stop" if answer.finished else "length",
            "logprobs": None,
        }
        if self._chat:
            choice["message"] = {"role": "assistant", "content": answer.text, "refusal": None}
        else:
            choice["text"] = answer.text
        return choice


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
