"""An OpenAI-compatible endpoint as the judge's client.

Owns the mapping of the protocol to `evaluator.llm.ChatClient`: temperature 0, a JSON schema for the
reply, and the endpoint's failures as `JudgeUnavailable`.
"""

from __future__ import annotations

from typing import Any

import openai

from evaluator.errors import JudgeUnavailable

MAX_TOKENS = 400


class EndpointClient:
    """A judge behind `/v1/chat/completions`. The `openai` client is the caller's: address, key,
    timeout and retries are set there."""

    def __init__(self, client: openai.AsyncOpenAI, model: str) -> None:
        self._client = client
        self._model = model

    @property
    def model(self) -> str:
        return self._model

    async def complete(self, system: str, user: str, schema: dict[str, Any]) -> str:
        """The reply's text. Raises JudgeUnavailable."""
        try:
            reply = await self._client.chat.completions.create(
                model=self._model,
                messages=[
                    {"role": "system", "content": system},
                    {"role": "user", "content": user},
                ],
                temperature=0,
                max_tokens=MAX_TOKENS,
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "flags", "schema": schema, "strict": True},
                },
            )
        except openai.OpenAIError as error:
            raise JudgeUnavailable(
                f"judge {self._model} did not answer: {error}; its outputs stay without a verdict, "
                "run the judge again when it is back"
            ) from error
        if not reply.choices:
            raise JudgeUnavailable(f"judge {self._model} answered without a choice; run it again")
        return reply.choices[0].message.content or ""
