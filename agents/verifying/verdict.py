"""Findings on a narrative, and the port through which a verifier gives them.

Owns the types. The rules are in `rules`, the model's judgement in `llm`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agents.evidence.extract import Extraction
from agents.evidence.sources import Dossier
from knowledge.narrative import CausalNarrative


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One objection. `rule` names the check; `claim` is a claim kind, `prose` or empty;
    `source` is who objected (`rules`, or the name of a model)."""

    rule: str
    message: str
    claim: str = ""
    source: str = "rules"

    @property
    def text(self) -> str:
        """What goes back to the drafter and to the reviewer."""
        place = f"{self.claim}: " if self.claim else ""
        return f"{place}{self.message}"


class Verifier(Protocol):
    """Judges a narrative against its dossier."""

    async def verify(
        self, narrative: CausalNarrative, dossier: Dossier, extraction: Extraction
    ) -> tuple[Finding, ...]:
        """All objections, if any. Raises Retryable when a model did not answer."""
        ...
