"""The closed vocabulary of causes: families, and how each is said.

Owns which family a short text speaks of. Which sentence speaks of whom is `causes`'s to tell.
"""

from __future__ import annotations

import re

from agents.evidence.hygiene import objections

_FAMILIES: tuple[tuple[str, str, str], ...] = (
    # phrase, verbs and predicates of the old holder, nouns
    (
        "vote of no confidence",
        r"(?:lost|was (?:ousted|removed|toppled|brought down) (?:by|in|through|after)) (?:a|the) "
        r"(?:vote of no[- ]confidence|no[- ]confidence (?:vote|motion)|motion of no[- ]confidence)",
        r"(?:successful )?(?:vote of no[- ]confidence|no[- ]confidence (?:vote|motion)"
        r"|motion of (?:no[- ]confidence|censure))",
    ),
    ("impeachment", r"was impeached|was removed (?:from office )?by impeachment", r"impeachment"),
    (
        "coup",
        r"was (?:overthrown|deposed|toppled|ousted) (?:in|by) (?:a|the) (?:military )?coup",
        r"(?:military )?coup(?: d['’]état)?",
    ),
    ("assassination", r"was (?:assassinated|murdered)", r"assassination"),
    ("death", r"died|passed away|was killed", r"death"),
    ("abdication", r"abdicated", r"abdication"),
    (
        "term limit",
        r"reached (?:(?:the|his|her|their|a) )?(?:[\w-]+ )?term limit"
        r"|(?:was|being) (?:term[- ]limited|barred from (?:running|another term))",
        r"(?:constitutional )?term limits?",
    ),
    (
        "election defeat",
        r"(?:lost|was defeated (?:in|at)|conceded|was voted out (?:in|at)) "
        r"(?:(?:the|a|an|his|her|their) )?(?:[\w-]+ ){0,4}?"
        r"(?:elections?|re-?election|vote|primary|runoff)"
        r"|failed to (?:win|secure) re-?election|was voted out|was unseated",
        r"(?:election|electoral) (?:defeat|loss)|defeat (?:in|at) the (?:[\w-]+ ){0,3}?elections?"
        r"|lost election",
    ),
    (
        "end of term",
        r"(?:term|mandate)(?: (?:of|in) office)?(?: of [^,;:.]{2,80}?)?"
        r" (?:ended|expired|came to (?:an|its) end|ran out)"
        r"(?! (?:early|prematurely|with|by|after|through|due|because|following|when))"
        r"|reached the end of (?:(?:the|his|her|their|a) )?(?:[\w-]+ ){0,2}?(?:term|mandate)"
        r"|completed (?:his|her|their|the) (?:[\w-]+ ){0,2}?(?:term|mandate)",
        r"(?:end|expiry|expiration|completion) of (?:the |his |her |their |a )?(?:[\w-]+ ){0,2}?"
        r"(?:term|mandate|tenure)(?: of office)?|term (?:expiry|expiration)",
    ),
    (
        "end of contract",
        r"contract (?:ended|expired|ran out|was not (?:renewed|extended))",
        r"(?:end|expiry|expiration|termination) of (?:the |his |her |their )?contract"
        r"|contract (?:expiry|expiration)",
    ),
    (
        "dismissal",
        r"was (?:dismissed|sacked|fired|ousted|relieved of (?:his|her|their) duties"
        r"|removed (?:from (?:office|(?:the|his|her|their) (?:post|position|role)))?)"
        r"|were dismissed",
        r"dismissal|sacking|firing|ouster|removal(?: from (?:office|(?:the|his|her|their) post))?",
    ),
    ("retirement", r"retired", r"retirement"),
    ("promotion", r"was promoted", r"promotion"),
    (
        "transfer",
        r"transferred|was transferred|was loaned|moved on a (?:free )?transfer",
        r"(?:free )?transfer",
    ),
    (
        "coalition change",
        r"(?:coalition|government) (?:collapsed|broke (?:up|apart)|fell)",
        r"(?:coalition (?:change|collapse)|change of coalition"
        r"|collapse of (?:the|his|her) (?:coalition|government)"
        r"|breakup of the coalition)",
    ),
    ("merger", r"merged", r"merger"),
    (
        "sale",
        r"was sold|sold (?:its|the|his|her) (?:[\w-]+ ){0,2}?(?:stake|shares|company|club)",
        r"sale",
    ),
    (
        "appointment to another post",
        r"was (?:appointed|nominated|named|elected) (?:to|as) (?:another|a different|a new) "
        r"(?:post|office|position|role)",
        r"appointment to (?:another|a different|a new) (?:post|office|position|role)",
    ),
    (
        "resignation",
        r"resigned|stepped down|quit|tendered (?:his|her|their) resignation|stood down"
        r"|left (?:the club|the post) by mutual (?:consent|agreement)",
        r"resignation|stepping down",
    ),
)
VERBS = [(f, re.compile(rf"\b(?:{v})\b", re.IGNORECASE)) for f, v, _ in _FAMILIES]
NOUNS = [(f, re.compile(rf"\b(?:{n})\b", re.IGNORECASE)) for f, _, n in _FAMILIES]


def family(text: str) -> str | None:
    """The family that a short phrase or sentence speaks of, by noun first; None if of none."""
    hits = families(text)
    return hits[0] if hits else None


def families(text: str) -> list[str]:
    """All families that a text speaks of, in the order in which they stand."""
    found: dict[str, tuple[int, int]] = {}
    for rules in (NOUNS, VERBS):
        for name, rule in rules:
            for match in rule.finditer(text):
                place = (match.start(), -match.end())
                found[name] = min(found.get(name, place), place)
    # `end of term` inside `end of term of office`, or `defeat` inside a longer hit, is one place
    ordered = sorted(found.items(), key=lambda kv: kv[1])
    return [name for name, _ in ordered]


def safe_phrase(text: str) -> str | None:
    """A cause label as a noun phrase fit for prose, or None when it is none: no article, a few
    plain words, nothing that `hygiene` objects to."""
    phrase = " ".join(text.split()).rstrip(".")
    phrase = re.sub(r"^(?:the|a|an)\s+", "", phrase, flags=re.IGNORECASE)
    if not phrase or len(phrase) > 60 or len(phrase.split()) > 8 or objections(phrase):
        return None
    return phrase if re.fullmatch(r"[^\W_][\w ,'’()/-]*", phrase) else None
