"""What a drafter is asked and what it answers: one interface for all drafters.

Owns the request, the port, and the parts that no drafter may choose: which spans a claim rests on,
and how far the evidence knows a date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agents.evidence.extract import CandidateFact, Extraction, FactKind
from knowledge.edits import Known
from knowledge.facts import FactChange
from knowledge.narrative import CausalNarrative, Claim, ClaimKind
from knowledge.rendering import Story

CLAIM_LETTERS = {
    "L": ClaimKind.LEGACY,
    "C": ClaimKind.CAUSE,
    "T": ClaimKind.TRANSITION,
    "N": ClaimKind.NEW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRequest:
    """One draft to make: typed values only, and the findings on the draft before."""

    change: FactChange
    extraction: Extraction
    findings: tuple[str, ...] = ()
    attempt: int = 0
    version: int = 0
    """Grows when a person asks for another draft of the same change."""
    known: Known = Known.UNASKED
    """A fact whose old state the model never knew is told beginning with the new one."""

    @property
    def facts(self) -> tuple[CandidateFact, ...]:
        return self.extraction.facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A narrative and what it took: model, endpoint, tokens, time. Outside any digest."""

    narrative: CausalNarrative
    usage: Mapping[str, str] = field(default_factory=dict)


class Drafter(Protocol):
    """Writes a narrative. Same request, same answer, unless a model stands behind it."""

    @property
    def identity(self) -> str:
        """What an answer depends on beside the request: name, model, prompt, parameters."""
        ...

    async def draft(self, request: DraftRequest) -> Draft:
        """Raises Retryable when its endpoint does not answer, Permanent for unusable answers."""
        ...


def story_of(request: DraftRequest) -> Story:
    """The change as a story whose dates and cause are those of the evidence. Needs a new object."""
    change, facts = request.change, request.extraction
    assert change.new is not None
    legacy, new = facts.first(FactKind.LEGACY), facts.first(FactKind.NEW)
    cause = facts.first(FactKind.CAUSE)
    return Story(
        subject=change.subject,
        property=change.property,
        holder=change.new,
        since=new.when() if new else None,
        previous=change.old,
        until=legacy.when() if legacy else None,
        cause=cause.value if cause else None,
    )


def narrative_of(
    request: DraftRequest,
    sentences: Mapping[str, str],
    order: str,
    *,
    drafter: str,
    lineage: Mapping[str, str],
) -> CausalNarrative:
    """Bind each claim (keyed L, C, T, N) to its quotes; the prose is the claims in `order`."""
    facts = request.extraction
    claims = tuple(
        Claim(kind=kind, text=sentences[letter], spans=facts.quotes(FactKind(kind.value)))
        for letter, kind in CLAIM_LETTERS.items()
    )
    cause = facts.first(FactKind.CAUSE)
    evidence = sorted({fact.evidence_id for fact in facts.facts})
    return CausalNarrative(
        claims=claims,
        prose=" ".join(sentences[letter] for letter in order),
        cause=cause.value if cause else None,
        drafter=drafter,
        lineage={**lineage, "evidence": " ".join(evidence)},
    )
