"""Findings on a narrative, verdicts made of them, and the port of a model that judges.

Owns the types, and what it means when two verdicts differ. The rules are in `rules`, the model's
judgement in `llm`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from knowledge.narrative import CausalNarrative

RULES = "rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One objection. `rule` names the check; `claim` is a claim kind, `prose` or empty;
    `source` is who objected (`rules`, or the name of a model)."""

    rule: str
    message: str
    claim: str = ""
    source: str = RULES

    @property
    def text(self) -> str:
        """What goes back to the drafter and to the reviewer."""
        place = f"{self.claim}: " if self.claim else ""
        return f"{place}{self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one verifier says of a draft. Kept whether it passes or not; `missing` is why there is
    none, where a model did not answer."""

    source: str
    findings: tuple[Finding, ...] = ()
    missing: str = ""
    usage: Mapping[str, str] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        return not self.findings and not self.missing

    def objections(self) -> tuple[Finding, ...]:
        """The findings; a missing verdict is one too."""
        if not self.missing:
            return self.findings
        message = f"no second verdict: {self.missing}"
        return (Finding(rule="entailment", message=message, source=self.source),)

    def told(self) -> str:
        """`passes`, `objects (2)` or `missing: ...`, for people and the lineage."""
        if self.missing:
            return f"missing: {self.missing}"
        return f"objects ({len(self.findings)})" if self.findings else "passes"


def disagreement(verdicts: Sequence[Verdict]) -> Finding | None:
    """The finding that stands on top when one verifier passes what another one does not."""
    given = [v for v in verdicts if not v.missing]
    passing = [v.source for v in given if v.passes]
    objecting = [v for v in given if not v.passes]
    if not passing or not objecting:
        return None
    first = objecting[0]
    why = first.findings[0].text
    return Finding(
        rule="disagreement",
        message=f"{', '.join(passing)} would pass it, {first.source} would not: {why}",
        source=first.source,
    )


class Judge(Protocol):
    """A model that judges whether the quotes state what the claims say."""

    @property
    def name(self) -> str: ...

    async def judge(self, narrative: CausalNarrative, *, version: int) -> Verdict:
        """Raises Retryable or Permanent when a claim got no verdict. Another `version` is judged
        anew."""
        ...
