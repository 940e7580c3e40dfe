"""Rules on what a narrative rests on: quotes, names, words, dates and numbers.

Every word of a claim is in the plain vocabulary, a name of the change, or in the claim's quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agents.drafting.template import NO_LEGACY
from agents.evidence.extract import FactKind
from agents.verifying.case import NEW, OLD, WORD, Case, finding, vocabulary
from agents.verifying.dates import Mention, mentions, supports
from agents.verifying.verdict import Finding
from knowledge.facts import Date
from knowledge.narrative import Claim, ClaimKind

_NUMBER = re.compile(r"\d[\d.,]*")
_FROM = re.compile(r"(?:since|from|starting)\s*$", re.IGNORECASE)


def quotes_verbatim(case: Case) -> Iterator[Finding]:
    for claim in case.narrative.claims:
        for span in claim.spans:
            source = case.dossier.source(span.evidence_id)
            if source is None:
                yield finding("quotes", claim.kind, "a quote names a snapshot that is not stored")
            elif not span.text or source.text[span.start : span.end] != span.text:
                yield finding("quotes", claim.kind, "a quote is not what the snapshot says there")


def claims_supported(case: Case) -> Iterator[Finding]:
    change = case.dossier.change
    for kind in (ClaimKind.LEGACY, ClaimKind.TRANSITION, ClaimKind.NEW):
        claim = case.claims[kind]
        if kind is ClaimKind.LEGACY and change.old is None:
            if claim.text != NO_LEGACY:
                yield finding("support", kind, f"nothing is known from before; say: {NO_LEGACY}")
        elif not claim.spans:
            yield finding(
                "support", kind, "no evidence states this; find a source or drop the change"
            )
    for kind, entity in ((ClaimKind.LEGACY, change.old), (ClaimKind.NEW, change.new)):
        claim = case.claims[kind]
        if entity and claim.spans and entity.label not in case.quoted(claim):
            yield finding(
                "support", kind, "the quotes do not name the holder that the claim is about"
            )


def words_known(case: Case) -> Iterator[Finding]:
    """Names and words: in the vocabulary, of the change, or quoted."""
    texts = [(c.kind, c.text, case.quoted(c)) for c in case.narrative.claims]
    everything = "\n".join(t[2] for t in texts)
    for place, text, quoted in [*texts, ("prose", case.narrative.prose, everything)]:
        allowed = vocabulary(case.dossier.change.property)
        stems = (
            {_stem(w) for w in WORD.findall(quoted)}
            if place in (ClaimKind.CAUSE, "prose")
            else set()
        )
        if case.narrative.cause:
            stems |= {_stem(w) for w in WORD.findall(case.narrative.cause)}
        for match in WORD.finditer(case.masked(text)):
            word = match.group()
            if word.lower() in allowed or _stem(word) in stems:
                continue
            if word[0].isupper() or not word.isascii():
                yield finding(
                    "names", place, f"{word!r} is no name that the quotes of this claim support"
                )
            else:
                yield finding(
                    "words", place, f"{word!r} is not in the quotes; say only what they say"
                )


def names_quoted(case: Case) -> Iterator[Finding]:
    """Each name of the change that a claim uses stands in the claim's quotes."""
    for claim in case.narrative.claims:
        quoted, text = case.quoted(claim), case.masked(claim.text)
        for entity, mark in case.holders:
            if mark in text and claim.spans and entity not in quoted:
                yield finding("names", claim.kind, f"the quotes do not name {entity}")
        if claim.kind is ClaimKind.CAUSE and not claim.spans and (OLD in text or NEW in text):
            yield finding("names", claim.kind, "a cause that is not known needs no names")


def dates_known(case: Case) -> Iterator[Finding]:
    """Dates follow from the evidence, at its precision, and of the right event."""
    for claim in case.narrative.claims:
        for mention in mentions(case.unnamed(claim.text)):
            if mention.date is None:
                yield finding("dates", claim.kind, "no calendar has one of the dates")
            elif not any(supports(known, mention.date) for known in _known(case, claim, mention)):
                yield finding(
                    "dates",
                    claim.kind,
                    f"{mention.date.text()} is not the date of the evidence here, or finer than it",
                )


def numbers_known(case: Case) -> Iterator[Finding]:
    for claim in case.narrative.claims:
        quoted = set(_NUMBER.findall(case.masked(case.quoted(claim))))
        for number in _NUMBER.findall(case.masked(claim.text)):
            if number.strip(".,") not in {q.strip(".,") for q in quoted}:
                yield finding("numbers", claim.kind, f"{number} is in none of the claim's quotes")
    said = {n.strip(".,") for c in case.narrative.claims for n in _NUMBER.findall(c.text)}
    for number in _NUMBER.findall(case.narrative.prose):
        if number.strip(".,") not in said:
            yield finding("numbers", "prose", f"{number} is in none of the claims")


def _known(case: Case, claim: Claim, mention: Mention) -> list[Date]:
    """The dates that a claim may give at this place."""
    if claim.kind is ClaimKind.CAUSE:
        return [m.date for m in mentions(case.quoted(claim)) if m.date]
    if claim.kind is ClaimKind.LEGACY:
        before = case.unnamed(claim.text)[: mention.start]
        if _FROM.search(before):
            return _start_of_old(case, claim)
        fact = case.extraction.first(FactKind.LEGACY)
    else:
        fact = case.extraction.first(FactKind.NEW)
    date = fact.when() if fact else None
    return [date] if date else []


def _start_of_old(case: Case, claim: Claim) -> list[Date]:
    found = re.search(r"; start time: ([^;]+)", case.quoted(claim))
    return [m.date for m in mentions(found.group(1)) if m.date] if found else []


def _stem(word: str) -> str:
    return word.lower().rstrip("’'").removesuffix("'s").removesuffix("’s")
