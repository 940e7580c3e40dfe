"""Rules on how a narrative tells: old as past, new as present, the right direction, the cause.

The cause stands in the narrative if and only if the evidence states it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agents.evidence.cause_words import families, family
from agents.evidence.extract import FactKind
from agents.verifying.case import NEW, OLD, SUBJECT, Case, finding, other_roles
from agents.verifying.verdict import Finding
from knowledge.narrative import ClaimKind
from knowledge.properties import CATALOGUE

_PAST = re.compile(
    r"\b(?:was|were|used to|had been|left|ended|until|previously|earlier|formerly|former|served"
    r"|stepped|held|played|gave)\b",
    re.IGNORECASE,
)
_PRESENT = re.compile(
    r"\b(?:is|are|has|have|plays|now|today|currently|present|nowadays|serves|holds|these days)\b",
    re.IGNORECASE,
)
_PRESENT_OF_OLD = re.compile(
    r"\b(?:is|are|has been|have been|plays|now|today|currently|at present|nowadays|serves|holds"
    r"|still|remains)\b",
    re.IGNORECASE,
)
_PAST_OF_NEW = re.compile(
    r"\b(?:was|were|used to|had been|until|previously|formerly|former|left|ended|no longer)\b",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(?:not|never|no longer|nor|neither|without)\b|n['’]t\b", re.IGNORECASE)
_AFTER = r"(?:followed|succeeded|replaced|took the place of|took over from|came after|came in for)"
_CAME_AFTER = (
    rf"{{n}}(?: has| then)? {_AFTER} {{o}}",
    r"{o}(?: was| has been) (?:followed|succeeded|replaced) by {n}",
    r"from {o} to {n}",
    r"{o} (?:gave way to|made way for|handed over to) {n}",
    r"(?:successor of|succeed|succeeds) {o} (?:is|was) {n}",
    r"{n} (?:is|became) the successor (?:of|to) {o}",
    r"in place of {o} came {n}",
    r"{n} instead of {o}",
    r"{n} came instead of {o}",
)
_UNKNOWN = re.compile(
    r"not known|unknown|no reason|not recorded|not stated|no word on|nobody has said why"
    r"|(?:give|state) no reason",
    re.IGNORECASE,
)


def old_is_past(case: Case) -> Iterator[Finding]:
    claim = case.claims[ClaimKind.LEGACY]
    if case.dossier.change.old is None:
        return
    text = case.masked(claim.text)
    if OLD not in text:
        yield finding("tense", claim.kind, "the legacy claim must name who or what it was")
    if NEW in text:
        yield finding("tense", claim.kind, "the legacy claim must not name the new holder")
    if not _PAST.search(text) or _PRESENT_OF_OLD.search(text):
        yield finding("tense", claim.kind, "the old state must be told as past, not as present")
    if _NEGATED.search(text):
        yield finding("tense", claim.kind, "say what was true, not what was not")


def new_is_present(case: Case) -> Iterator[Finding]:
    claim = case.claims[ClaimKind.NEW]
    text = case.masked(claim.text)
    if NEW not in text or SUBJECT not in text:
        yield finding(
            "tense", claim.kind, "the new-state claim must name the subject and its holder"
        )
    if OLD in text:
        yield finding("tense", claim.kind, "the new-state claim must not name the old holder")
    if not _PRESENT.search(text) or _PAST_OF_NEW.search(text):
        yield finding("tense", claim.kind, "the new state must be told as present, not as past")
    if _NEGATED.search(text):
        yield finding("tense", claim.kind, "say what is true, not what is not")


def direction_right(case: Case) -> Iterator[Finding]:
    claim = case.claims[ClaimKind.TRANSITION]
    text = case.masked(claim.text)
    if NEW not in text:
        yield finding("direction", claim.kind, "the transition must name the new holder")
    elif OLD in text:
        if _matches(text, old=NEW, new=OLD) or not _matches(text, old=OLD, new=NEW):
            yield finding(
                "direction",
                claim.kind,
                "it must be plain that the new came after the old, as in `B succeeded A`",
            )
    else:
        wording = CATALOGUE[case.dossier.change.property].wording.became
        event = wording.replace("{role}", "").format(s=SUBJECT, o=NEW).strip()
        if event not in text and not re.search(rf"{NEW} (?:became|took office)", text):
            yield finding(
                "direction", claim.kind, "the transition must say what began with the new holder"
            )
    if _NEGATED.search(text) or re.search(r"\b(?:left|ended|until)\b", text):
        yield finding(
            "direction",
            claim.kind,
            "the transition tells what came, not what did not or what ended",
        )


def role_right(case: Case) -> Iterator[Finding]:
    """Only the role that changed is spoken of."""
    roles = other_roles(case.dossier.change.property)
    for kind in (ClaimKind.LEGACY, ClaimKind.TRANSITION, ClaimKind.NEW):
        if found := roles.search(case.masked(case.claims[kind].text)):
            yield finding("role", kind, f"{found.group()!r} is not what this change is about")


def cause_as_stated(case: Case) -> Iterator[Finding]:
    """A cause stands in the narrative if and only if the evidence states it, and it is that one."""
    claim, cause = case.claims[ClaimKind.CAUSE], case.narrative.cause
    stated = case.extraction.first(FactKind.CAUSE)
    text = case.masked(claim.text)
    if stated is None:
        if cause is not None or claim.spans or not _UNKNOWN.search(text):
            yield finding(
                "cause", claim.kind, "no evidence states a cause; say that it is not known"
            )
        return
    if cause is None or _UNKNOWN.search(text):
        yield finding("cause", claim.kind, f"the evidence states a cause ({stated.value}); say it")
        return
    if stated.quote() not in claim.spans:
        yield finding("cause", claim.kind, "the claim must rest on the quote that states the cause")
    if cause != stated.value:
        yield finding("cause", claim.kind, f"the cause in the evidence is {stated.value}")
    if stated.value not in text and family(stated.value) not in families(text):
        yield finding("cause", claim.kind, f"the claim must name the cause: {stated.value}")
    if (
        strange := set(families(text))
        - set(families(case.quoted(claim)))
        - set(families(stated.value))
    ):
        yield finding("cause", claim.kind, f"{sorted(strange)[0]} is not what the quote states")
    if _NEGATED.search(text.replace(stated.value, "")):
        yield finding("cause", claim.kind, "state the cause plainly, without a negation")


def causes_elsewhere(case: Case) -> Iterator[Finding]:
    """Only the cause claim speaks of causes."""
    for kind in (ClaimKind.LEGACY, ClaimKind.TRANSITION, ClaimKind.NEW):
        if found := families(case.masked(case.claims[kind].text)):
            yield finding("cause", kind, f"this claim must not speak of a cause ({found[0]})")


def _matches(text: str, *, old: str, new: str) -> bool:
    return any(
        re.search(p.replace("{o}", old).replace("{n}", new), text, re.IGNORECASE)
        for p in _CAME_AFTER
    )
