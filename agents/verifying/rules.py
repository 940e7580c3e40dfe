"""The rules that a narrative must keep, run together; each is a function with its own findings.

Owns the list, and the rules on the whole: completeness, prose, hygiene, length. Whether a quote
entails a claim is the model's to judge (`llm`). Strict on purpose: a draft that a rule cannot read
is sent back, never let through.
"""

from __future__ import annotations

from collections.abc import Iterator

from agents.evidence.extract import Extraction
from agents.evidence.hygiene import label_objections, objections
from agents.evidence.sources import Dossier
from agents.verifying.case import Case, Rule, finding
from agents.verifying.grounds import (
    claims_supported,
    dates_known,
    names_quoted,
    numbers_known,
    quotes_verbatim,
    words_known,
)
from agents.verifying.telling import (
    cause_as_stated,
    causes_elsewhere,
    direction_right,
    new_is_present,
    old_is_past,
    role_right,
)
from agents.verifying.verdict import Finding
from knowledge.narrative import CausalNarrative, ClaimKind

MAX_PROSE_CHARS = 1_600
MAX_CLAIM_CHARS = 420
OLD, NEW, SUBJECT, DATE = "\ue000", "\ue001", "\ue002", "\ue003"


def check(
    narrative: CausalNarrative, dossier: Dossier, extraction: Extraction
) -> tuple[Finding, ...]:
    """All findings of all rules, in the order of `RULES`; pure."""
    case = Case(narrative=narrative, dossier=dossier, extraction=extraction)
    if found := tuple(claims_complete(case)):
        return found  # the other rules need the four claims
    return tuple(dict.fromkeys(f for rule in RULES for f in rule(case)))


def claims_complete(case: Case) -> Iterator[Finding]:
    kinds = [claim.kind for claim in case.narrative.claims]
    for kind in ClaimKind:
        if kinds.count(kind) != 1:
            yield finding(
                "claims", "", f"there must be one {kind.value} claim, not {kinds.count(kind)}"
            )
    for claim in case.narrative.claims:
        if not claim.text.strip():
            yield finding("claims", claim.kind, "the claim is empty; write one sentence")


def prose_is_claims(case: Case) -> Iterator[Finding]:
    rest = case.narrative.prose
    for claim in sorted(case.narrative.claims, key=lambda c: -len(c.text)):
        if claim.text not in rest:
            yield finding(
                "prose", claim.kind, "the prose does not contain this claim word for word"
            )
        rest = rest.replace(claim.text, "", 1)
    if rest.strip():
        yield finding("prose", "prose", "the prose says more than its four claims; remove the rest")


def clean_text(case: Case) -> Iterator[Finding]:
    """No instructions, links, tokens or invisible characters: in the prose, and in the names."""
    texts = [(c.kind, c.text) for c in case.narrative.claims]
    for place, text in [
        *texts,
        ("prose", case.narrative.prose),
        ("cause", case.narrative.cause or ""),
    ]:
        for name, _ in case.marks:  # names may look like anything; they are judged below
            text = text.replace(name, "X")
        for what in objections(text):
            yield finding("hygiene", place, f"the text contains {what}")
    yield from label_findings(case.dossier)


def label_findings(dossier: Dossier) -> Iterator[Finding]:
    """Findings on the names of subject and objects. The names themselves are not repeated."""
    change = dossier.change
    for role, entity in (("subject", change.subject), ("old", change.old), ("new", change.new)):
        for what in label_objections(entity.label) if entity else ():
            yield finding(
                "labels",
                "",
                f"the label of the {role} item {entity.id if entity else ''} contains {what}",
            )


def lengths(case: Case) -> Iterator[Finding]:
    if len(case.narrative.prose) > MAX_PROSE_CHARS:
        yield finding("length", "prose", f"the prose has more than {MAX_PROSE_CHARS} characters")
    for claim in case.narrative.claims:
        if len(claim.text) > MAX_CLAIM_CHARS:
            yield finding(
                "length", claim.kind, f"the claim has more than {MAX_CLAIM_CHARS} characters"
            )


RULES: tuple[Rule, ...] = (
    quotes_verbatim,
    claims_supported,
    prose_is_claims,
    clean_text,
    words_known,
    names_quoted,
    dates_known,
    numbers_known,
    old_is_past,
    new_is_present,
    direction_right,
    role_right,
    cause_as_stated,
    causes_elsewhere,
    lengths,
)
