"""A model's judgement, claim by claim: do the quotes entail what the claim says?

Owns the second half of verification. It runs only on what the rules let pass, and it can only
object: no model makes a finding of the rules go away.
"""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict, Field

from agents.drafting.chat import JsonChat
from agents.evidence.extract import Extraction
from agents.evidence.hygiene import objections
from agents.evidence.sources import Dossier
from agents.prompts import prompt
from agents.verifying.rules import check
from agents.verifying.verdict import Finding, Verifier
from knowledge.narrative import CausalNarrative, Claim


class Entailment(BaseModel):
    """The verdict on one claim as a model gives it."""

    model_config = ConfigDict(extra="ignore", strict=True)

    supported: bool
    reason: str = Field(default="", max_length=2_000)


class EntailmentVerifier:
    """`Verifier` by a model, one call a claim."""

    def __init__(self, chat: JsonChat) -> None:
        self._chat = chat

    async def verify(
        self, narrative: CausalNarrative, dossier: Dossier, extraction: Extraction
    ) -> tuple[Finding, ...]:
        """Raises EndpointDown, EndpointRefused or AnswerUnusable when a claim got no verdict."""
        claims = [c for c in narrative.claims if c.spans]
        answers = await asyncio.gather(*(self._judge(claim) for claim in claims))
        return tuple(
            Finding(
                rule="entailment",
                claim=claim.kind.value,
                message=_told(answer.reason),
                source=f"llm/{self._chat.settings.model}",
            )
            for claim, answer in zip(claims, answers, strict=True)
            if not answer.supported
        )

    async def _judge(self, claim: Claim) -> Entailment:
        data = {"claim": claim.text, "quotes": [span.text for span in claim.spans]}
        return (await self._chat.ask(prompt("entail"), data, Entailment)).value


class RulesThenModel:
    """`Verifier` with both: the model is asked about what the rules let pass."""

    def __init__(self, model: Verifier) -> None:
        self._model = model

    async def verify(
        self, narrative: CausalNarrative, dossier: Dossier, extraction: Extraction
    ) -> tuple[Finding, ...]:
        found = check(narrative, dossier, extraction)
        return found or await self._model.verify(narrative, dossier, extraction)


def _told(reason: str) -> str:
    """A model's reason as a finding; not repeated where it reads like anything but a reason."""
    text = " ".join(reason.split())[:200]
    if not text or objections(text):
        return "the quotes do not state all that the claim says"
    return f"the quotes do not state all that the claim says: {text}"
