"""Causal narratives and the evidence that they rest on.

A narrative has four claims (legacy state, cause, transition, new state) and the prose that the
teacher reads. Each claim is bound to spans: verbatim quotes of stored evidence. Owns the types and
their digests; drafting and verifying live in `agents`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum


def digest_of(value: object) -> str:
    """sha256 (hex) of a JSON-able value in canonical form: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A stored snapshot of a source, addressed by the sha256 of its text."""

    source: str
    """What it is: `wikidata:<item>`, `wikipedia:<title>`, `reference:<url>`."""
    url: str
    retrieved_at: str
    """ISO 8601, UTC."""
    text: str

    @property
    def id(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A verbatim quote: `evidence.text[start:end] == text`, offsets in characters."""

    evidence_id: str
    start: int
    end: int
    text: str


class ClaimKind(StrEnum):
    LEGACY = "legacy"
    CAUSE = "cause"
    TRANSITION = "transition"
    NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One sentence of the narrative and what it rests on. A cause "not known" has no spans."""

    kind: ClaimKind
    text: str
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CausalNarrative:
    """Why a fact changed, as far as the evidence says."""

    claims: tuple[Claim, ...]
    prose: str
    """What the open-book teacher reads: the claims as connected text."""
    cause: str | None
    """The cause in a few words, or None where the evidence states none."""
    drafter: str
    """Name and version of what wrote it, e.g. `template/1`."""
    lineage: dict[str, str] = field(default_factory=dict)
    """Prompt hash, model, evidence hashes, times."""

    def claim(self, kind: ClaimKind) -> Claim:
        """The claim of that kind. Raises KeyError when the narrative lacks it."""
        for claim in self.claims:
            if claim.kind is kind:
                return claim
        raise KeyError(f"the narrative has no {kind.value} claim")

    @property
    def digest(self) -> str:
        """Identity of what a reviewer approves: claims, spans and prose, not the lineage."""
        return digest_of({"claims": [asdict(c) for c in self.claims], "prose": self.prose})
