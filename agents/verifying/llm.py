"""A model's judgement, claim by claim: do the quotes entail what the claim says?

Owns the second half of verification. It can only object: no model makes a finding of the rules go
away, and where the two differ a person reads both.
"""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict, Field

from agents.drafting.chat import Answer, JsonChat, Usage
from agents.evidence.hygiene import objections
from agents.prompts import prompt
from agents.verifying.verdict import Finding, Verdict
from knowledge.narrative import CausalNarrative, Claim


class Entailment(BaseModel):
    """The verdict on one claim as a model gives it."""

    model_config = ConfigDict(extra="ignore", strict=True)

    supported: bool
    reason: str = Field(default="", max_length=2_000)


class EntailmentJudge:
    """`Judge` by a model, one call a claim."""

    def __init__(self, chat: JsonChat) -> None:
        self._chat = chat

    @property
    def name(self) -> str:
        return self._chat.name

    async def judge(self, narrative: CausalNarrative, *, version: int) -> Verdict:
        """Raises EndpointDown, EndpointRefused, AnswerUnusable or BudgetSpent."""
        claims = [c for c in narrative.claims if c.spans]
        answers = await asyncio.gather(*(self._judge(claim, version) for claim in claims))
        usage = Usage()
        for answer in answers:
            usage.add(answer.usage)
        return Verdict(
            source=self.name,
            findings=tuple(
                Finding(
                    rule="entailment",
                    claim=claim.kind.value,
                    message=_told(answer.value.reason),
                    source=self.name,
                )
                for claim, answer in zip(claims, answers, strict=True)
                if not answer.value.supported
            ),
            usage={
                "prompt": prompt("entail").digest,
                **self._chat.parameters(),
                **usage.texts(),
            },
        )

    async def _judge(self, claim: Claim, version: int) -> Answer[Entailment]:
        data = {"claim": claim.text, "quotes": [span.text for span in claim.spans]}
        return await self._chat.ask(prompt("entail"), data, Entailment, version=version)


def _told(reason: str) -> str:
    """A model's reason as a finding; not repeated where it reads like anything but a reason."""
    text = " ".join(reason.split())[:200]
    if not text or objections(text):
        return "the quotes do not state all that the claim says"
    return f"the quotes do not state all that the claim says: {text}"
