"""What the curator hands to review: the unit, what is open about it, and how it came about.

Owns the proposal and the last touches on its change: dates by the evidence, unfit names withheld.
Does not draft, verify or store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agents.evidence.extract import CandidateFact, Extraction, FactKind
from agents.evidence.sources import Dossier
from agents.verifying.verdict import Finding, Verdict
from knowledge.edits import EditUnit, Known
from knowledge.facts import Entity, FactChange
from knowledge.narrative import Evidence

VACANT = "vacant: nothing to teach"
"""Finding of a change that ended without a successor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What review shows: the unit, the open findings, the snapshots, and how it came about.

    Without a narrative (`unit.narrative` is None) nothing can be approved: the findings say why.
    """

    unit: EditUnit
    findings: tuple[Finding, ...]
    evidence: tuple[Evidence, ...]
    verdicts: tuple[Verdict, ...] = ()
    """What the rules and the model say of the last draft; both are kept."""
    lineage: dict[str, str] = field(default_factory=dict)
    facts: tuple[CandidateFact, ...] = ()
    """What was read out of the evidence: a draft that a person edits is verified against it."""
    steps: tuple[dict[str, Any], ...] = ()
    """What went into each step of the graph and came out, in order."""

    @property
    def known(self) -> bool:
        """True when production gives the new state already: nothing to review, nothing to teach."""
        return self.unit.known is Known.NEW

    @property
    def clean(self) -> bool:
        """True when nothing is open; only then may a policy approve it."""
        return not self.findings and self.unit.narrative is not None


def dated(change: FactChange, extraction: Extraction) -> FactChange:
    """The change with the dates that the evidence states, and no others."""
    if change.new is None:
        return change
    legacy, new = extraction.first(FactKind.LEGACY), extraction.first(FactKind.NEW)
    return replace(
        change,
        ended=legacy.when() if legacy else None,
        started=new.when() if new else None,
    )


def withheld(change: FactChange, findings: Sequence[Finding]) -> FactChange:
    """The change with item ids for names where a label is no name: it must not travel on."""
    if not any(f.rule == "labels" for f in findings):
        return change

    def bare(entity: Entity | None) -> Entity | None:
        return Entity(id=entity.id, label=entity.id, kind=entity.kind) if entity else None

    subject = bare(change.subject)
    assert subject is not None
    return replace(change, subject=subject, old=bare(change.old), new=bare(change.new), reason="")


def lineage_of(
    drafts: Sequence[Mapping[str, str]],
    dossier: Dossier,
    extraction: Extraction,
    verdicts: Sequence[Verdict] = (),
    paraphrasing: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """How the proposal came about; times are those of the snapshots."""
    cause = extraction.first(FactKind.CAUSE)
    source = dossier.source(cause.evidence_id) if cause else None
    lineage = {
        "drafts": str(len(drafts)),
        "evidence": " ".join(sorted(e.id for e in dossier.evidence)),
        "grounded_at": max((e.retrieved_at for e in dossier.evidence), default=""),
        "cause_source": source.source if source else "",
    }
    for number, usage in enumerate(drafts):
        lineage |= {f"draft_{number}_{key}": value for key, value in usage.items()}
    lineage |= {f"paraphrases_{key}": value for key, value in (paraphrasing or {}).items()}
    for verdict in verdicts:
        lineage[f"verdict_{verdict.source}"] = verdict.told()
        lineage |= {f"verdict_{verdict.source}_{k}": v for k, v in verdict.usage.items()}
    if "fallback" in (drafts[-1] if drafts else {}):
        lineage["fallback"] = drafts[-1]["fallback"]
    return lineage
