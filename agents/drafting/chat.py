"""One question to an OpenAI-compatible endpoint, answered in JSON of a given shape.

Owns structured output with its fallback for servers that have none, the bounded retries, and what
an endpoint's failure means. Does not own prompts, or what is done with an answer.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import openai
from pydantic import BaseModel, ValidationError

from agents.errors import Permanent, Retryable
from agents.prompts import Prompt

AnswerT = TypeVar("AnswerT", bound=BaseModel)


class EndpointDown(Retryable):
    """The model endpoint did not answer, or is busy; the retries are used up."""


class EndpointRefused(Permanent):
    """The endpoint will not serve us: bad key, unknown model, not allowed."""


class AnswerUnusable(Permanent):
    """The model answered, but never with what was asked for: no JSON, cut off, refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings:
    """How to ask. Prices are in US dollars for a million tokens, for the ledger."""

    model: str
    temperature: float = 0.0
    max_tokens: int = 600
    seed: int = 0
    attempts: int = 3
    timeout_s: float = 60.0
    pause_s: float = 0.5
    """First pause between attempts; doubles each time."""
    structured: bool = True
    price_in_usd: float = 0.0
    price_out_usd: float = 0.0


@dataclass(slots=True)
class Usage:
    """What the calls of one answer took, in tokens, dollars and seconds."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    wall_s: float = 0.0

    def texts(self) -> dict[str, str]:
        return {
            "calls": str(self.calls),
            "tokens_in": str(self.tokens_in),
            "tokens_out": str(self.tokens_out),
            "cost_usd": f"{self.cost_usd:.6f}",
            "wall_s": f"{self.wall_s:.3f}",
        }


@dataclass(slots=True)
class Answer(Generic[AnswerT]):
    value: AnswerT
    usage: Usage = field(default_factory=Usage)


class JsonChat:
    """Asks one model for JSON. The client is injected, with retries of its own switched off."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        settings: ChatSettings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client.with_options(max_retries=0, timeout=settings.timeout_s)
        self.settings = settings
        self._sleep = sleep
        self._structured = settings.structured

    @property
    def endpoint(self) -> str:
        """Host of the endpoint, without credentials or path."""
        return self._client.base_url.host

    async def ask(
        self, prompt: Prompt, data: Mapping[str, Any], shape: type[AnswerT]
    ) -> Answer[AnswerT]:
        """Ask, with bounded retries. Raises EndpointDown, EndpointRefused or AnswerUnusable."""
        usage, started = Usage(), time.monotonic()
        last: Exception = AnswerUnusable("the model was never asked")
        for attempt in range(self.settings.attempts):
            if attempt:
                await self._sleep(self.settings.pause_s * 2 ** (attempt - 1))
            try:
                value = await self._once(prompt, data, shape, usage)
            except (EndpointDown, AnswerUnusable) as error:
                last = error
                continue
            usage.wall_s = time.monotonic() - started
            return Answer(value, usage)
        raise last

    async def _once(
        self, prompt: Prompt, data: Mapping[str, Any], shape: type[AnswerT], usage: Usage
    ) -> AnswerT:
        try:
            async with asyncio.timeout(
                self.settings.timeout_s
            ):  # a trickle of bytes never times out
                reply = await self._create(prompt, data, shape)
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            if not self._structured:
                raise EndpointRefused(
                    f"{self.endpoint} rejects the request: {_short(error)}"
                ) from error
            self._structured = (
                False  # this server has no structured output: ask in words from now on
            )
            raise AnswerUnusable(f"{self.endpoint} has no structured output") from error
        except (TimeoutError, openai.APITimeoutError) as error:
            raise EndpointDown(
                f"{self.endpoint} did not answer within {self.settings.timeout_s:g} s"
            ) from error
        except (
            openai.APIConnectionError,
            openai.RateLimitError,
            openai.InternalServerError,
        ) as error:
            raise EndpointDown(f"{self.endpoint} is not answering: {_short(error)}") from error
        except openai.APIStatusError as error:
            raise EndpointRefused(
                f"{self.endpoint} refuses ({error.status_code}); check key and model name"
            ) from error
        except (openai.APIError, ValueError) as error:
            raise AnswerUnusable(f"{self.endpoint} answered with a broken body") from error
        return self._read(reply, shape, usage)

    async def _create(self, prompt: Prompt, data: Mapping[str, Any], shape: type[BaseModel]) -> Any:
        more: dict[str, Any] = {}
        if self._structured:
            schema = {"name": shape.__name__, "schema": _schema(shape), "strict": True}
            more["response_format"] = {"type": "json_schema", "json_schema": schema}
        settings = self.settings
        return await self._client.chat.completions.create(
            model=settings.model,
            messages=[
                {"role": "system", "content": prompt.text},
                {"role": "user", "content": json.dumps(data, ensure_ascii=False, sort_keys=True)},
            ],
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            seed=settings.seed,
            **more,
        )

    def _read(self, reply: Any, shape: type[AnswerT], usage: Usage) -> AnswerT:
        usage.calls += 1
        if counts := getattr(reply, "usage", None):
            settings = self.settings
            usage.tokens_in += counts.prompt_tokens or 0
            usage.tokens_out += counts.completion_tokens or 0
            usage.cost_usd = (
                usage.tokens_in * settings.price_in_usd + usage.tokens_out * settings.price_out_usd
            ) / 1e6
        choices = getattr(reply, "choices", None)
        if not choices:
            raise AnswerUnusable("the model gave no choice")
        choice = choices[0]
        if choice.finish_reason == "length":
            raise AnswerUnusable("the model's answer was cut off")
        if getattr(choice.message, "refusal", None) or not choice.message.content:
            raise AnswerUnusable("the model refused or answered nothing")
        try:
            return shape.model_validate(_object_in(choice.message.content))
        except (ValueError, ValidationError) as error:
            raise AnswerUnusable("the model's answer is not the JSON that was asked for") from error


def _object_in(text: str) -> Any:
    """The first JSON object of a text, fenced or not. Raises ValueError."""
    start = text.find("{")
    if start < 0:
        raise ValueError("no JSON object")
    value, _ = json.JSONDecoder().raw_decode(text[start:])
    return value


def _schema(shape: type[BaseModel]) -> dict[str, Any]:
    schema = shape.model_json_schema()
    schema["additionalProperties"] = False
    schema["required"] = list(schema.get("properties", {}))
    return schema


def _short(error: openai.APIError) -> str:
    status = getattr(error, "status_code", None)
    return str(status) if status else type(error).__name__
