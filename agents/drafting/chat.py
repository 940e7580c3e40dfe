"""One question to an OpenAI-compatible endpoint, answered in JSON of a given shape.

Owns structured output with its fallback for servers that have none, the bounded retries, and what
an endpoint's failure means. An answer that was kept is never asked for again (`answers`). Does not
own prompts, or what is done with an answer.
"""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import openai
from pydantic import BaseModel, ValidationError

from agents.drafting.answers import AnswerLedger, AnswersInMemory, Budget, Reply
from agents.errors import Permanent, Retryable
from agents.prompts import Prompt
from knowledge.narrative import digest_of

AnswerT = TypeVar("AnswerT", bound=BaseModel)

_MAX_PAUSE_S = 60.0


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
    """First pause between attempts; doubles each time. A server's `Retry-After` is kept to."""
    max_concurrent: int = 4
    structured: bool = True
    price_in_usd: float = 0.0
    price_out_usd: float = 0.0


@dataclass(slots=True)
class Usage:
    """What one answer took, in calls, tokens, dollars and seconds; `recalled` counts the answers
    that had been kept, which cost nothing again."""

    calls: int = 0
    recalled: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    wall_s: float = 0.0

    def add(self, other: Usage) -> None:
        """Sum up, for answers asked side by side: the longest one counts as the time."""
        self.calls += other.calls
        self.recalled += other.recalled
        self.tokens_in += other.tokens_in
        self.tokens_out += other.tokens_out
        self.cost_usd += other.cost_usd
        self.wall_s = max(self.wall_s, other.wall_s)

    def texts(self) -> dict[str, str]:
        return {
            "calls": str(self.calls),
            "recalled": str(self.recalled),
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
        answers: AnswerLedger | None = None,
        budget: Budget | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client.with_options(max_retries=0, timeout=settings.timeout_s)
        self.settings = settings
        self._answers = answers or AnswersInMemory()
        self._budget = budget or Budget(self._answers)
        self._slots = asyncio.Semaphore(settings.max_concurrent)
        self._sleep = sleep
        self._structured = settings.structured

    @property
    def endpoint(self) -> str:
        """Host of the endpoint, without credentials or path."""
        return self._client.base_url.host

    @property
    def name(self) -> str:
        """The model as lineage and findings name it."""
        return f"llm/{self.settings.model}"

    def parameters(self) -> dict[str, str]:
        """How this model is asked, for the lineage."""
        asked = self.settings
        return {
            "model": asked.model,
            "endpoint": self.endpoint,
            "temperature": f"{asked.temperature:g}",
            "max_tokens": str(asked.max_tokens),
            "seed": str(asked.seed),
        }

    async def ask(
        self, prompt: Prompt, data: Mapping[str, Any], shape: type[AnswerT], *, version: int = 0
    ) -> Answer[AnswerT]:
        """Ask, with bounded retries. Another `version` is another question of the same words: its
        answer is asked for anew. Raises EndpointDown, EndpointRefused, AnswerUnusable, BudgetSpent.
        """
        usage, started = Usage(), time.monotonic()
        last: Exception = AnswerUnusable("the model was never asked")
        pause_s = self.settings.pause_s
        for attempt in range(self.settings.attempts):
            if attempt:
                least = getattr(last, "retry_after_s", None) or 0.0
                await self._sleep(min(max(pause_s * 2 ** (attempt - 1), least), _MAX_PAUSE_S))
            request = self._digest(prompt, data, shape, version, attempt)
            try:
                reply = await self._answers.recall(self._ledger_name, request)
                if reply is not None:
                    usage.recalled += 1
                else:
                    reply = await self._once(prompt, data, shape, version + attempt)
                    await self._answers.keep(self._ledger_name, request, reply)
                    usage.calls += 1
                    usage.tokens_in += reply.tokens_in
                    usage.tokens_out += reply.tokens_out
                    usage.cost_usd += reply.cost_usd
                value = _read(reply, shape)
            except (EndpointDown, AnswerUnusable) as error:
                last = error
                continue
            usage.wall_s = time.monotonic() - started
            return Answer(value, usage)
        raise last

    @property
    def _ledger_name(self) -> str:
        return f"{self._client.base_url.netloc.decode()}/{self.settings.model}"

    def _digest(
        self,
        prompt: Prompt,
        data: Mapping[str, Any],
        shape: type[BaseModel],
        version: int,
        attempt: int,
    ) -> str:
        """Identity of one question: all that the answer may depend on."""
        return digest_of(
            {
                **self.parameters(),
                "prompt": prompt.digest,
                "data": data,
                "shape": _schema(shape),
                "version": version,
                "attempt": attempt,
            }
        )

    async def _once(
        self, prompt: Prompt, data: Mapping[str, Any], shape: type[BaseModel], draw: int
    ) -> Reply:
        try:
            async with self._slots, self._budget.call(), asyncio.timeout(self.settings.timeout_s):
                # a trickle of bytes never times out by itself
                answer = await self._create(prompt, data, shape, draw)
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
            raise EndpointDown(
                f"{self.endpoint} is not answering: {_short(error)}",
                retry_after_s=_retry_after(error),
            ) from error
        except openai.APIStatusError as error:
            raise EndpointRefused(
                f"{self.endpoint} refuses ({error.status_code}); check key and model name"
            ) from error
        except (openai.APIError, ValueError) as error:
            raise AnswerUnusable(f"{self.endpoint} answered with a broken body") from error
        return self._reply(answer)

    async def _create(
        self, prompt: Prompt, data: Mapping[str, Any], shape: type[BaseModel], draw: int
    ) -> Any:
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
            seed=settings.seed + draw,
            extra_body=more,  # as it is: the client would walk through the schema at each call
        )

    def _reply(self, answer: Any) -> Reply:
        """What is kept of an answer. Raises AnswerUnusable when it has no choice at all."""
        choices = getattr(answer, "choices", None)
        if not choices:
            raise AnswerUnusable("the model gave no choice")
        message, counts = choices[0].message, getattr(answer, "usage", None)
        tokens_in = (counts.prompt_tokens or 0) if counts else 0
        tokens_out = (counts.completion_tokens or 0) if counts else 0
        settings = self.settings
        return Reply(
            content=None if getattr(message, "refusal", None) else message.content,
            finish=choices[0].finish_reason or "",
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost_usd=(tokens_in * settings.price_in_usd + tokens_out * settings.price_out_usd)
            / 1e6,
        )


def _read(reply: Reply, shape: type[AnswerT]) -> AnswerT:
    if reply.finish == "length":
        raise AnswerUnusable("the model's answer was cut off")
    if not reply.content:
        raise AnswerUnusable("the model refused or answered nothing")
    try:
        return shape.model_validate(_object_in(reply.content))
    except (ValueError, ValidationError) as error:
        raise AnswerUnusable("the model's answer is not the JSON that was asked for") from error


def _object_in(text: str) -> Any:
    """The first JSON object of a text, fenced or not. Raises ValueError."""
    start = text.find("{")
    if start < 0:
        raise ValueError("no JSON object")
    value, _ = json.JSONDecoder().raw_decode(text[start:])
    return value


@functools.cache  # it is asked for twice a question, and takes longer than all else here
def _schema(shape: type[BaseModel]) -> Mapping[str, Any]:
    schema = shape.model_json_schema()
    schema["additionalProperties"] = False
    schema["required"] = list(schema.get("properties", {}))
    return schema


def _short(error: openai.APIError) -> str:
    status = getattr(error, "status_code", None)
    return str(status) if status else type(error).__name__


def _retry_after(error: openai.APIError) -> float | None:
    response = getattr(error, "response", None)
    value = response.headers.get("retry-after", "") if response is not None else ""
    return float(value) if value.isdigit() else None
