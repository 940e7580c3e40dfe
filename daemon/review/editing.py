"""An edit of a draft: a new version of its four sentences and its cause, verified by the rules.

Owns applying the edit to the unit (narrative and the answers that name the cause) and verifying it
against the stored evidence. Pure; storing the version is the service's. The quotes stay as they
are: a person may say a thing better, but not rest it on something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agents.evidence.extract import CandidateFact, Extraction
from agents.evidence.sources import Dossier
from agents.questions import with_cause
from agents.verifying.rules import check
from agents.verifying.verdict import Finding
from daemon.errors import Conflict
from knowledge.edits import EditUnit
from knowledge.narrative import CausalNarrative, Claim, ClaimKind, Evidence

MAX_CHARS = 2_000
"""Of one sentence. The rules allow less; beyond this nobody has written by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What a person wants the draft to say. Kinds left out stay as they are, and so does the
    cause when it is None; an empty cause means that the evidence states none."""

    claims: Mapping[ClaimKind, str]
    cause: str | None = None


def apply(unit: EditUnit, edit: Edit, *, actor: str, digest: str) -> EditUnit:
    """The unit as edited; `digest` is of the draft that was edited. Raises Conflict for texts that
    are empty or too long, and for a unit without a narrative."""
    narrative = unit.narrative
    if narrative is None:
        raise Conflict("this proposal has no narrative to edit; its findings say why")
    told = narrative.cause if edit.cause is None else edit.cause
    cause = " ".join((told or "").split()) or None
    claims: list[Claim] = []
    prose = narrative.prose
    for claim in narrative.claims:
        text = " ".join(edit.claims.get(claim.kind, claim.text).split())
        if not text:
            raise Conflict(f"the sentence about the {claim.kind.value} is empty; write one")
        if len(text) > MAX_CHARS:
            raise Conflict(
                f"the sentence about the {claim.kind.value} has {len(text)} characters; "
                f"{MAX_CHARS} is the most"
            )
        prose = prose.replace(claim.text, text, 1)
        spans = () if claim.kind is ClaimKind.CAUSE and cause is None else claim.spans
        claims.append(Claim(kind=claim.kind, text=text, spans=spans))
    if any(claim.text not in prose for claim in claims):
        prose = " ".join(claim.text for claim in claims)
    edited = CausalNarrative(
        claims=tuple(claims),
        prose=prose,
        cause=cause,
        drafter=narrative.drafter,
        lineage={**narrative.lineage, "edited_by": actor, "edited_from": digest},
    )
    return replace(unit, narrative=edited, questions=with_cause(unit, cause))


def verify(
    unit: EditUnit, evidence: Sequence[Evidence], facts: Sequence[Mapping[str, Any]]
) -> tuple[Finding, ...]:
    """What the rules object to, by the snapshots and what was read out of them."""
    assert unit.narrative is not None
    dossier = Dossier(change=unit.change, evidence=tuple(evidence))
    extraction = Extraction(facts=tuple(CandidateFact.model_validate(fact) for fact in facts))
    return check(unit.narrative, dossier, extraction)
