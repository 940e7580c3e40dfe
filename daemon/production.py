"""The model in production, asked as a user would ask it: through the gateway.

Owns the questions over HTTP, implementing the port of `agents.knowing`. A gateway that does not
answer makes the matter open, not known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import openai

from agents.errors import Retryable

_MAX_TOKENS = 64


class GatewayProduction:
    """Greedy answers of the served alias."""

    def __init__(self, client: openai.AsyncOpenAI, alias: str) -> None:
        self._client = client
        self._alias = alias

    async def answers(self, questions: Sequence[str]) -> Sequence[str]:
        """Each question by itself. Raises Retryable when the gateway does not answer."""
        try:
            return await asyncio.gather(*(self._answer(question) for question in questions))
        except (openai.APIError, ValueError) as error:
            raise Retryable(
                f"the gateway gave no answer ({type(error).__name__}); is it serving?"
            ) from error

    async def _answer(self, question: str) -> str:
        reply = await self._client.chat.completions.create(
            model=self._alias,
            messages=[{"role": "user", "content": question}],
            temperature=0.0,
            max_tokens=_MAX_TOKENS,
        )
        return reply.choices[0].message.content or ""
