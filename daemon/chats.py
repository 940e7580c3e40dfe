"""The models of the settings as chats: who drafts and who judges, under one daily budget.

Owns the translation of `drafter`, `verifier` and `curate` settings into clients.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

import openai

from agents.drafting.answers import AnswerLedger, Budget
from agents.drafting.chat import ChatSettings, JsonChat
from daemon.config import Settings
from daemon.errors import ConfigError
from daemon.sections import DrafterKind, PaidEndpointSettings


def shared_budget(settings: Settings, answers: AnswerLedger) -> Budget:
    """One budget for all paid calls of a day."""
    bounds = settings.curate
    return Budget(answers, calls=bounds.calls_per_day, usd=bounds.usd_per_day)


async def chats(
    settings: Settings, stack: AsyncExitStack, answers: AnswerLedger
) -> tuple[JsonChat | None, JsonChat | None]:
    """The model that drafts and the one that judges; a judge of its own may stand beside the
    template too. Raises ConfigError."""
    drafter, verifier = settings.drafter, settings.verifier
    budget = shared_budget(settings, answers)
    drafts = judges = None
    if drafter.kind is DrafterKind.LLM:
        drafts = judges = await model_chat(drafter, "drafter", stack, answers, budget)
    if verifier.endpoint or verifier.model:
        judges = await model_chat(verifier, "verifier", stack, answers, budget)
    return drafts, judges


async def model_chat(
    given: PaidEndpointSettings,
    name: str,
    stack: AsyncExitStack,
    answers: AnswerLedger,
    budget: Budget,
    *,
    max_tokens: int = 600,
) -> JsonChat:
    """A chat with the model of one section, its client closed with `stack`. Raises ConfigError when
    the section names none."""
    if not given.endpoint or not given.model:
        raise ConfigError(
            f"a model is needed here: set {name}.endpoint (an OpenAI-compatible URL) and "
            f"{name}.model"
        )
    key = given.api_key.get_secret_value() if given.api_key else "none"
    client = openai.AsyncOpenAI(base_url=given.endpoint, api_key=key)
    await stack.enter_async_context(client)
    asked = ChatSettings(
        model=given.model,
        max_tokens=max_tokens,
        timeout_s=given.timeout_s,
        price_in_usd=given.price_in_usd,
        price_out_usd=given.price_out_usd,
    )
    return JsonChat(client, asked, answers=answers, budget=budget)
