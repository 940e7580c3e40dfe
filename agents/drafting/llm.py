"""The drafter that asks a model behind an OpenAI-compatible endpoint.

Owns what the model is told and how its sentences become claims. The model sees typed values only,
never a source's text; which quotes a claim rests on is decided by code.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from agents.drafting.chat import JsonChat
from agents.drafting.draft import Draft, DraftRequest, narrative_of, story_of
from agents.drafting.template import NO_LEGACY
from agents.prompts import prompt
from knowledge.edits import Known
from knowledge.facts import Date
from knowledge.narrative import digest_of
from knowledge.rendering import CAUSE_UNKNOWN

ORDER = "LCTN"
NEW_FACT_ORDER = "NLCT"


class DraftAnswer(BaseModel):
    """The four sentences as a model gives them."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    legacy: str = Field(min_length=1, max_length=600)
    cause: str = Field(min_length=1, max_length=600)
    transition: str = Field(min_length=1, max_length=600)
    new: str = Field(min_length=1, max_length=600)


class LlmDrafter:
    """`Drafter` over a `JsonChat`."""

    def __init__(self, chat: JsonChat) -> None:
        self._chat = chat

    @property
    def identity(self) -> str:
        return digest_of([prompt("draft").digest, self._chat.parameters()])

    async def draft(self, request: DraftRequest) -> Draft:
        """Raises EndpointDown (Retryable), EndpointRefused or AnswerUnusable (Permanent)."""
        text = prompt("draft")
        answer = await self._chat.ask(
            text,
            typed_values(request),
            DraftAnswer,
            version=100 * request.version + request.attempt,
        )
        said = answer.value
        sentences = {
            "L": said.legacy if request.change.old else NO_LEGACY,
            "C": said.cause,
            "T": said.transition,
            "N": said.new,
        }
        narrative = narrative_of(
            request,
            {k: " ".join(v.split()) for k, v in sentences.items()},
            NEW_FACT_ORDER if request.known is Known.NEITHER else ORDER,
            drafter=self._chat.name,
            lineage={"prompt": text.digest, **self._chat.parameters()},
        )
        usage = {"drafter": self._chat.name, "prompt": text.digest, **answer.usage.texts()}
        usage |= self._chat.parameters()
        return Draft(narrative=narrative, usage=usage)


def typed_values(request: DraftRequest) -> dict[str, object]:
    """What a model is told of a change: names, role, dates and the cause; no text of any source."""
    story = story_of(request)
    return {
        "subject": story.subject.label,
        "role": story.role,
        "old": story.previous.label if story.previous else None,
        "new": story.holder.label,
        "old_ended": _text(story.until),
        "new_started": _text(story.since),
        "cause": story.cause,
        "if_cause_is_null": CAUSE_UNKNOWN,
        "reader_knew_old": request.known is not Known.NEITHER,
        "findings": list(request.findings),
    }


def _text(date: Date | None) -> str | None:
    return date.text() if date else None
