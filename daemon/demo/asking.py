"""Asking the gateway, as a user would: with the official client, under a model name.

Owns one client and the reading of an answer as right or wrong (`knowledge.answers`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx
import openai

from daemon.demo.errors import DemoError
from daemon.serving.gateway import VERSION_HEADER
from daemon.serving.versions import MODEL
from knowledge.answers import mentions
from knowledge.edits import EditUnit
from knowledge.questions import Question, QuestionKind, Use

MAX_TOKENS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer, the version that gave it, and how long it took."""

    text: str
    version: str
    took_s: float


class Asker:
    """A client of one gateway. Close it when done."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key="demo", max_retries=2)

    def close(self) -> None:
        self._client.close()

    def ask(self, question: str, *, model: str = MODEL) -> Said:
        """Raises DemoError when the gateway does not answer."""
        started = time.monotonic()
        try:
            raw = self._client.chat.completions.with_raw_response.create(
                model=model,
                messages=[{"role": "user", "content": question}],
                max_tokens=MAX_TOKENS,
                temperature=0,
            )
        except openai.OpenAIError as error:
            raise DemoError(f"the gateway at {self.url} gave no answer: {error}") from error
        text = raw.parse().choices[0].message.content or ""
        took_s = time.monotonic() - started
        return Said(text=text, version=raw.headers[VERSION_HEADER], took_s=took_s)

    def serving(self) -> str | None:
        """The label of the version behind the stable name; None while there is none."""
        try:
            health = httpx.get(f"{self.url}/healthz", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return None
        return health["version"]

    def wait_until_serving(self, version: str, timeout_s: float = 30.0) -> None:
        """Raises DemoError when the gateway does not get there, with its own reason."""
        deadline = time.monotonic() + timeout_s
        while self.serving() != version:
            if time.monotonic() > deadline:
                problems = httpx.get(f"{self.url}/healthz", timeout=5).json()["problems"]
                why = "; ".join(problems) or "it did not say why"
                raise DemoError(f"the gateway does not serve {version}: {why}")
            time.sleep(0.02)


def plain_question(unit: EditUnit) -> Question:
    """The plain question of a unit's examination. Raises DemoError when it has none."""
    for question in unit.asked(Use.EXAM):
        if question.kind is QuestionKind.DIRECT:
            return question
    raise DemoError(f"unit {unit.id} has no plain question to ask; its questions are incomplete")


def is_right(text: str, question: Question) -> bool:
    """The answer names the new holder and not the old one."""
    return mentions(text, question.answers) and not mentions(text, question.legacy)
