"""The LLM judge over an OpenAI-compatible endpoint, with its replies kept in a file.

Owns the client's timeouts and retries. Imports no torch.
"""

from __future__ import annotations

from pathlib import Path

from evaluator.endpoint import EndpointClient
from evaluator.llm import LlmJudge
from evaluator.stores import FileJudgements

TIMEOUT_S = 60.0
RETRIES = 2


def llm_judge(endpoint: str, model: str, api_key: str | None, kept: Path) -> LlmJudge:
    """A judge whose good replies are in `kept`: judging again asks only for what is missing."""
    import openai

    client = openai.AsyncOpenAI(
        base_url=endpoint, api_key=api_key or "none", timeout=TIMEOUT_S, max_retries=RETRIES
    )
    return LlmJudge(EndpointClient(client, model), store=FileJudgements(kept))
