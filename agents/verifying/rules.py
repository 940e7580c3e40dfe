"""Rules that a narrative must keep, each a function with findings in its own words.

Owns what code can check: quotes, names, dates, numbers, tense, direction, the cause, hygiene and
length. Whether a quote entails a claim is the model's to judge (`llm`). Strict on purpose: every
word of a claim is either in the plain vocabulary, a name of the change, or in the claim's quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from agents.drafting.template import NO_LEGACY
from agents.evidence.causes import families, family, name_forms
from agents.evidence.extract import Extraction, FactKind
from agents.evidence.hygiene import label_objections, objections
from agents.evidence.sources import Dossier
from agents.verifying.dates import Mention, mentions, supports
from agents.verifying.verdict import Finding
from knowledge import rendering
from knowledge.facts import Date
from knowledge.narrative import CausalNarrative, Claim, ClaimKind
from knowledge.properties import CATALOGUE

MAX_PROSE_CHARS = 1_600
MAX_CLAIM_CHARS = 420
_OLD, _NEW, _SUBJECT, _DATE = "\ue000", "\ue001", "\ue002", "\ue003"

_WORD = re.compile(r"[^\W\d_](?:[\w'’.-]*\w)?")
_NUMBER = re.compile(r"\d[\d.,]*")
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
_FROM = re.compile(r"(?:since|from|starting)\s*$", re.IGNORECASE)

_PLAIN = frozenset(
    [
        "a",
        "an",
        "and",
        "as",
        "at",
        "became",
        "because",
        "been",
        "before",
        "behind",
        "but",
        "by",
        "came",
        "cause",
        "change",
        "changed",
        "current",
        "currently",
        "date",
        "did",
        "earlier",
        "end",
        "ended",
        "following",
        "followed",
        "for",
        "former",
        "formerly",
        "from",
        "gave",
        "had",
        "handed",
        "has",
        "have",
        "held",
        "her",
        "him",
        "his",
        "holder",
        "holds",
        "in",
        "instead",
        "into",
        "is",
        "it",
        "its",
        "known",
        "later",
        "made",
        "new",
        "no",
        "not",
        "now",
        "of",
        "office",
        "old",
        "on",
        "one",
        "over",
        "place",
        "position",
        "post",
        "present",
        "previous",
        "previously",
        "reason",
        "recorded",
        "remained",
        "replaced",
        "role",
        "served",
        "serves",
        "since",
        "stated",
        "succeeded",
        "successor",
        "taken",
        "takes",
        "that",
        "the",
        "their",
        "then",
        "there",
        "they",
        "this",
        "time",
        "to",
        "today",
        "took",
        "until",
        "used",
        "was",
        "way",
        "were",
        "when",
        "which",
        "who",
        "whose",
        "why",
        "with",
        "sources",
        "source",
        "given",
        "evidence",
        "no",
        "longer",
        "happened",
        "came",
        "about",
        "through",
        "led",
    ]
)


@dataclass(frozen=True)
class Case:
    """A narrative with what it is judged by."""

    narrative: CausalNarrative
    dossier: Dossier
    extraction: Extraction

    @cached_property
    def claims(self) -> dict[ClaimKind, Claim]:
        return {claim.kind: claim for claim in self.narrative.claims}

    @cached_property
    def marks(self) -> list[tuple[str, str]]:
        """Names of the change and the mark that stands for each in masked text, longest first."""
        change = self.dossier.change
        named = [(change.subject, _SUBJECT), (change.old, _OLD), (change.new, _NEW)]
        full = {e.label: mark for e, mark in named if e}
        short: dict[str, set[str]] = {}
        for entity, mark in named:
            for form in name_forms([entity.label]) if entity else ():
                short.setdefault(form, set()).add(mark)
        forms = {f: next(iter(m)) for f, m in short.items() if len(m) == 1} | full
        return sorted(forms.items(), key=lambda kv: (-len(kv[0]), kv[0]))

    def quoted(self, claim: Claim) -> str:
        return "\n".join(span.text for span in claim.spans)

    def masked(self, text: str) -> str:
        """The text with names and dates replaced by marks of one character."""
        for name, mark in self.marks:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", mark, text)
        for mention in reversed(mentions(text)):
            text = text[: mention.start] + _DATE + text[mention.end :]
        return text


Rule = Callable[[Case], Iterator[Finding]]


def check(
    narrative: CausalNarrative, dossier: Dossier, extraction: Extraction
) -> tuple[Finding, ...]:
    """All findings of all rules, in the order of `RULES`; pure."""
    case = Case(narrative=narrative, dossier=dossier, extraction=extraction)
    if found := tuple(claims_complete(case)):
        return found  # the other rules need the four claims
    return tuple(dict.fromkeys(f for rule in RULES for f in rule(case)))


class RuleVerifier:
    """`Verifier` by the rules alone."""

    async def verify(
        self, narrative: CausalNarrative, dossier: Dossier, extraction: Extraction
    ) -> tuple[Finding, ...]:
        return check(narrative, dossier, extraction)


def claims_complete(case: Case) -> Iterator[Finding]:
    kinds = [claim.kind for claim in case.narrative.claims]
    for kind in ClaimKind:
        if kinds.count(kind) != 1:
            yield _finding(
                "claims", "", f"there must be one {kind.value} claim, not {kinds.count(kind)}"
            )
    for claim in case.narrative.claims:
        if not claim.text.strip():
            yield _finding("claims", claim.kind, "the claim is empty; write one sentence")


def quotes_verbatim(case: Case) -> Iterator[Finding]:
    for claim in case.narrative.claims:
        for span in claim.spans:
            source = case.dossier.source(span.evidence_id)
            if source is None:
                yield _finding("quotes", claim.kind, "a quote names a snapshot that is not stored")
            elif not span.text or source.text[span.start : span.end] != span.text:
                yield _finding("quotes", claim.kind, "a quote is not what the snapshot says there")


def claims_supported(case: Case) -> Iterator[Finding]:
    change = case.dossier.change
    for kind in (ClaimKind.LEGACY, ClaimKind.TRANSITION, ClaimKind.NEW):
        claim = case.claims[kind]
        if kind is ClaimKind.LEGACY and change.old is None:
            if claim.text != NO_LEGACY:
                yield _finding("support", kind, f"nothing is known from before; say: {NO_LEGACY}")
        elif not claim.spans:
            yield _finding(
                "support", kind, "no evidence states this; find a source or drop the change"
            )
    for kind, entity in ((ClaimKind.LEGACY, change.old), (ClaimKind.NEW, change.new)):
        claim = case.claims[kind]
        if entity and claim.spans and entity.label not in case.quoted(claim):
            yield _finding(
                "support", kind, "the quotes do not name the holder that the claim is about"
            )


def prose_is_claims(case: Case) -> Iterator[Finding]:
    rest = case.narrative.prose
    for claim in sorted(case.narrative.claims, key=lambda c: -len(c.text)):
        if claim.text not in rest:
            yield _finding(
                "prose", claim.kind, "the prose does not contain this claim word for word"
            )
        rest = rest.replace(claim.text, "", 1)
    if rest.strip():
        yield _finding(
            "prose", "prose", "the prose says more than its four claims; remove the rest"
        )


def words_known(case: Case) -> Iterator[Finding]:
    """Names and words: in the vocabulary, of the change, or quoted."""
    texts = [(c.kind, c.text, case.quoted(c)) for c in case.narrative.claims]
    everything = "\n".join(t[2] for t in texts)
    for place, text, quoted in [*texts, ("prose", case.narrative.prose, everything)]:
        allowed = _vocabulary(case.dossier.change.property)
        stems = (
            {_stem(w) for w in _WORD.findall(quoted)}
            if place in (ClaimKind.CAUSE, "prose")
            else set()
        )
        if case.narrative.cause:
            stems |= {_stem(w) for w in _WORD.findall(case.narrative.cause)}
        for match in _WORD.finditer(case.masked(text)):
            word = match.group()
            if word.lower() in allowed or _stem(word) in stems:
                continue
            if word[0].isupper() or not word.isascii():
                yield _finding(
                    "names", place, f"{word!r} is no name that the quotes of this claim support"
                )
            else:
                yield _finding(
                    "words", place, f"{word!r} is not in the quotes; say only what they say"
                )


def names_quoted(case: Case) -> Iterator[Finding]:
    """Each name of the change that a claim uses stands in the claim's quotes."""
    for claim in case.narrative.claims:
        quoted, text = case.quoted(claim), case.masked(claim.text)
        for entity, mark in _holders(case):
            if mark in text and claim.spans and entity not in quoted:
                yield _finding("names", claim.kind, f"the quotes do not name {entity}")
        if claim.kind is ClaimKind.CAUSE and not claim.spans and (_OLD in text or _NEW in text):
            yield _finding("names", claim.kind, "a cause that is not known needs no names")


def dates_known(case: Case) -> Iterator[Finding]:
    """Dates follow from the evidence, at its precision, and of the right event."""
    for claim in case.narrative.claims:
        for mention in _dates(case, claim.text):
            if mention.date is None:
                yield _finding("dates", claim.kind, "no calendar has one of the dates")
            elif not any(supports(known, mention.date) for known in _known(case, claim, mention)):
                yield _finding(
                    "dates",
                    claim.kind,
                    f"{mention.date.text()} is not the date of the evidence here, or finer than it",
                )


def numbers_known(case: Case) -> Iterator[Finding]:
    for claim in case.narrative.claims:
        quoted = set(_NUMBER.findall(case.masked(case.quoted(claim))))
        for number in _NUMBER.findall(case.masked(claim.text)):
            if number.strip(".,") not in {q.strip(".,") for q in quoted}:
                yield _finding("numbers", claim.kind, f"{number} is in none of the claim's quotes")
    said = {n.strip(".,") for c in case.narrative.claims for n in _NUMBER.findall(c.text)}
    for number in _NUMBER.findall(case.narrative.prose):
        if number.strip(".,") not in said:
            yield _finding("numbers", "prose", f"{number} is in none of the claims")


def old_is_past(case: Case) -> Iterator[Finding]:
    claim = case.claims[ClaimKind.LEGACY]
    if case.dossier.change.old is None:
        return
    text = case.masked(claim.text)
    if _OLD not in text:
        yield _finding("tense", claim.kind, "the legacy claim must name who or what it was")
    if _NEW in text:
        yield _finding("tense", claim.kind, "the legacy claim must not name the new holder")
    if not _PAST.search(text) or _PRESENT_OF_OLD.search(text):
        yield _finding("tense", claim.kind, "the old state must be told as past, not as present")
    if _NEGATED.search(text):
        yield _finding("tense", claim.kind, "say what was true, not what was not")


def new_is_present(case: Case) -> Iterator[Finding]:
    claim = case.claims[ClaimKind.NEW]
    text = case.masked(claim.text)
    if _NEW not in text or _SUBJECT not in text:
        yield _finding(
            "tense", claim.kind, "the new-state claim must name the subject and its holder"
        )
    if _OLD in text:
        yield _finding("tense", claim.kind, "the new-state claim must not name the old holder")
    if not _PRESENT.search(text) or _PAST_OF_NEW.search(text):
        yield _finding("tense", claim.kind, "the new state must be told as present, not as past")
    if _NEGATED.search(text):
        yield _finding("tense", claim.kind, "say what is true, not what is not")


def direction_right(case: Case) -> Iterator[Finding]:
    claim = case.claims[ClaimKind.TRANSITION]
    text = case.masked(claim.text)
    if _NEW not in text:
        yield _finding("direction", claim.kind, "the transition must name the new holder")
    elif _OLD in text:
        if _matches(text, old=_NEW, new=_OLD) or not _matches(text, old=_OLD, new=_NEW):
            yield _finding(
                "direction",
                claim.kind,
                "it must be plain that the new came after the old, as in `B succeeded A`",
            )
    else:
        wording = CATALOGUE[case.dossier.change.property].wording.became
        event = wording.replace("{role}", "").format(s=_SUBJECT, o=_NEW).strip()
        if event not in text and not re.search(rf"{_NEW} (?:became|took office)", text):
            yield _finding(
                "direction", claim.kind, "the transition must say what began with the new holder"
            )
    if _NEGATED.search(text) or re.search(r"\b(?:left|ended|until)\b", text):
        yield _finding(
            "direction",
            claim.kind,
            "the transition tells what came, not what did not or what ended",
        )


def cause_as_stated(case: Case) -> Iterator[Finding]:
    """A cause stands in the narrative if and only if the evidence states it, and it is that one."""
    claim, cause = case.claims[ClaimKind.CAUSE], case.narrative.cause
    stated = case.extraction.first(FactKind.CAUSE)
    text = case.masked(claim.text)
    if stated is None:
        if cause is not None or claim.spans or not _UNKNOWN.search(text):
            yield _finding(
                "cause", claim.kind, "no evidence states a cause; say that it is not known"
            )
        return
    if cause is None or _UNKNOWN.search(text):
        yield _finding("cause", claim.kind, f"the evidence states a cause ({stated.value}); say it")
        return
    if stated.quote() not in claim.spans:
        yield _finding(
            "cause", claim.kind, "the claim must rest on the quote that states the cause"
        )
    if cause != stated.value:
        yield _finding("cause", claim.kind, f"the cause in the evidence is {stated.value}")
    if stated.value not in text and family(stated.value) not in families(text):
        yield _finding("cause", claim.kind, f"the claim must name the cause: {stated.value}")
    if (
        strange := set(families(text))
        - set(families(case.quoted(claim)))
        - set(families(stated.value))
    ):
        yield _finding("cause", claim.kind, f"{sorted(strange)[0]} is not what the quote states")
    if _NEGATED.search(text.replace(stated.value, "")):
        yield _finding("cause", claim.kind, "state the cause plainly, without a negation")


def causes_elsewhere(case: Case) -> Iterator[Finding]:
    """Only the cause claim speaks of causes."""
    for kind in (ClaimKind.LEGACY, ClaimKind.TRANSITION, ClaimKind.NEW):
        if found := families(case.masked(case.claims[kind].text)):
            yield _finding("cause", kind, f"this claim must not speak of a cause ({found[0]})")


def clean_text(case: Case) -> Iterator[Finding]:
    """No instructions, links, tokens or invisible characters: in the prose, and in the names."""
    texts = [(c.kind, c.text) for c in case.narrative.claims]
    for place, text in [
        *texts,
        ("prose", case.narrative.prose),
        ("cause", case.narrative.cause or ""),
    ]:
        for what in objections(_without_names(case, text)):
            yield _finding("hygiene", place, f"the text contains {what}")
    yield from label_findings(case.dossier)


def label_findings(dossier: Dossier) -> Iterator[Finding]:
    """Findings on the names of subject and objects. The names themselves are not repeated."""
    change = dossier.change
    for role, entity in (("subject", change.subject), ("old", change.old), ("new", change.new)):
        for what in label_objections(entity.label) if entity else ():
            yield _finding(
                "labels",
                "",
                f"the label of the {role} item {entity.id if entity else ''} contains {what}",
            )


def lengths(case: Case) -> Iterator[Finding]:
    if len(case.narrative.prose) > MAX_PROSE_CHARS:
        yield _finding("length", "prose", f"the prose has more than {MAX_PROSE_CHARS} characters")
    for claim in case.narrative.claims:
        if len(claim.text) > MAX_CLAIM_CHARS:
            yield _finding(
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
    cause_as_stated,
    causes_elsewhere,
    lengths,
)


def _finding(rule: str, place: str, message: str) -> Finding:
    return Finding(rule=rule, claim=str(place), message=message)


def _holders(case: Case) -> list[tuple[str, str]]:
    change = case.dossier.change
    named = [(change.subject, _SUBJECT), (change.old, _OLD), (change.new, _NEW)]
    return [(entity.label, mark) for entity, mark in named if entity]


def _without_names(case: Case, text: str) -> str:
    for name, _ in case.marks:
        text = text.replace(name, "X")
    return text


def _dates(case: Case, text: str) -> list[Mention]:
    for name, mark in case.marks:  # a name may contain a year; the places need not be kept
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", mark, text)
    return mentions(text)


def _known(case: Case, claim: Claim, mention: Mention) -> list[Date]:
    """The dates that a claim may give at this place."""
    if claim.kind is ClaimKind.CAUSE:
        return [m.date for m in mentions(case.quoted(claim)) if m.date]
    if claim.kind is ClaimKind.LEGACY:
        before = _dates_text(case, claim.text)[: mention.start]
        if _FROM.search(before):
            return _start_of_old(case, claim)
        fact = case.extraction.first(FactKind.LEGACY)
    else:
        fact = case.extraction.first(FactKind.NEW)
    date = fact.when() if fact else None
    return [date] if date else []


def _dates_text(case: Case, text: str) -> str:
    for name, mark in case.marks:
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", mark, text)
    return text


def _start_of_old(case: Case, claim: Claim) -> list[Date]:
    found = re.search(r"; start time: ([^;]+)", case.quoted(claim))
    return [m.date for m in mentions(found.group(1)) if m.date] if found else []


def _matches(text: str, *, old: str, new: str) -> bool:
    return any(
        re.search(p.replace("{o}", old).replace("{n}", new), text, re.IGNORECASE)
        for p in _CAME_AFTER
    )


def _stem(word: str) -> str:
    return word.lower().rstrip("’'").removesuffix("'s").removesuffix("’s")


@lru_cache(maxsize=128)
def _vocabulary(property_id: str) -> frozenset[str]:
    """The words that claims about a property may use without evidence: those of the shared surface
    forms, of the property's own wording, and a short list of plain words."""
    wording = CATALOGUE[property_id].wording
    held = [form for forms in rendering.HELD_FORMS.values() for form in forms]
    forms = [
        *rendering.LEGACY_FORMS,
        *rendering.CAUSE_FORMS,
        *rendering.UNKNOWN_CAUSE_FORMS,
        *rendering.TRANSITION_FORMS,
        *rendering.NEW_FORMS,
        *held,
        NO_LEGACY,
        wording.role,
        wording.is_,
        wording.was,
        wording.has_been,
        wording.became,
        wording.left,
        CATALOGUE[property_id].label,
    ]
    words = _WORD.findall(re.sub(r"\{\w+\}", " ", " ".join(forms)))
    return _PLAIN | {word.lower() for word in words}
