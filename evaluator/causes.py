"""What an output says about the cause of a change, against the cause that the narrative states.

Owns the families of causes (`resigned` is `resignation`) and the ways to say that none is known.
"""

from __future__ import annotations

import re

from evaluator.verdicts import Cause
from knowledge.answers import find_mentions, mentions, normalise, sentence_spans

_FAMILIES = {
    "resignation": r"resign\w*|stepp\w* down|steps down|quit\b",
    "death": r"death|died|dies|passed away|deceased",
    "killing": r"assassinat\w*|murder\w*|killed|killing",
    "retirement": r"retire\w*",
    "dismissal": r"dismiss\w*|sack\w*|fired\b|firing|removed from office|removal|ouster|ousted|"
    r"forced [\w ]{0,30}\bout|told to go|shown the door|let go\b",
    "no confidence": r"no[- ]confidence|motion of censure|vote of confidence|confidence vote",
    "impeachment": r"impeach\w*",
    "coup": r"coup\b|coup d['e ]*etat|military takeover|putsch",
    "election": r"election\w*|(?<!re-)elected|lost the vote|defeat\w*|voted out|at the polls|"
    r"run-?off|won the (?:\w+ )?vote|beat(?:en|ing)?\b|ballot",
    "term limit": r"term limits?|third (?:consecutive )?term|(?:not|n['’]t|never|barred from) "
    r"(?:\w+ ){0,3}(?:run|stand|seek)\w*\b(?: \w+){0,2} (?:again|re-?election|another term)|"
    r"maximum (?:number )?of",
    "end of term": r"end of (?:\w+ )?(?:term|mandate|tenure|contract|season)|(?:term|mandate|"
    r"tenure)"
    r" (?:[\w'’]+ ){0,4}(?:end\w*|expir\w*|ran out|was over|was up|came to an end|not extended)|"
    r"expir\w*|term of office",
    "transfer": r"transfer\w*|free agent|loan\b|signed for|moved? to (?:a )?(?:new|another) club",
    "court ruling": r"court\b|ruling|verdict of",
    "mutual consent": r"mutual (?:\w+ )?(?:consent|agreement)|by agreement|parted (?:ways|company)",
    "release clause": r"release clause|buy-?out clause",
    "promotion": r"promot\w*",
    "abdication": r"abdicat\w*",
    "merger": r"merge\w*|merger|acquisition|acquired|takeover|taken over by",
    "dissolution": r"dissol\w*|abolish\w*|abolition",
    "scandal": r"scandal|corruption|allegations?",
    "health": r"ill health|illness|health reasons|poor health",
    "relocation": r"relocat\w*|moved? (?:its )?(?:seat|headquarters)",
    "coalition change": r"coalition",
    "rotation": r"rotation|rotating|rotated",
    "appointment": r"appointment to|appointed to another|nomination to|other office",
}
_PATTERNS = {name: re.compile(rf"\b(?:{body})", re.IGNORECASE) for name, body in _FAMILIES.items()}
_UNKNOWN = re.compile(
    r"\b(?:(?:reason|cause|why[^.]*?)\b[^.]{0,50}\b(?:is|was|are|has|have)?\s*(?:not (?:been "
    r")?(?:publicly )?"
    r"(?:known|stated|recorded|given|clear|specified|disclosed|documented)|unknown|unclear|unspecified)"
    r"|no (?:\w+ )?(?:reason|cause|explanation)\b|gives? no reason|nobody has said|no word on|"
    r"(?:don['’]t|do not) know (?:why|the (?:reason|cause)))",
    re.IGNORECASE,
)
_STATED = re.compile(
    r"\b(?:(?:reason|cause)\b[^.]{0,60}?\b(?:was|is|were)\b|because(?: of)?\b|due to\b|owing to\b|"
    r"as a result of\b|came about through\b|led to it was\b|behind the change was\b|"
    r"it was a case of\b|change followed\b|on account of\b)\s*(?P<what>[^.;,]*)",
    re.IGNORECASE,
)
_LEAVING = re.compile(
    r"\bpredecessor(?:,[^,]{1,60},)?\s+(?:had |has )?(?P<what>(?:was |were )?\w+(?: \w+){0,3})",
    re.IGNORECASE,
)
"""How somebody says that the one before went."""
_NAMED_ONLY = re.compile(r"\bbecause|\bdue to|\bowing to|\bon account of", re.IGNORECASE)
"""Leads that introduce reasons of all kinds: only a known kind of cause counts as one."""
_NOT = re.compile(
    r"\b(?:not|never|rather than|instead of|nothing to do with)\s+(?:\w+\s+){0,2}$", re.IGNORECASE
)

Span = tuple[int, int]


def read_cause(text: str, expected: str | None) -> tuple[Cause, list[Span]]:
    """The judgement on the stated cause, and where the output speaks of it.

    RIGHT: the expected cause is stated and no other one is named as the reason. WRONG: another
    cause is stated, or any where none is known, or the right one beside "not known". A cause that
    is merely denied does not count as stated.
    """
    unknown = [m.span() for m in _UNKNOWN.finditer(text)]
    right: list[Span] = []
    wrong: list[Span] = []
    wanted = _families(expected) if expected else set()
    for start, end in sentence_spans(text):
        sentence = text[start:end]
        if _UNKNOWN.search(sentence) or sentence.endswith("?"):
            continue
        hits = _stated(sentence, expected, wanted)
        right += [(start + a, start + b) for a, b, good in hits if good]
        wrong += [(start + a, start + b) for a, b, good in hits if not good]
    if right and not wrong and not unknown:
        return Cause.RIGHT, right
    if right or wrong:
        return Cause.WRONG, right + wrong
    return (Cause.UNKNOWN, unknown) if unknown else (Cause.ABSENT, [])


def _families(cause: str) -> set[str]:
    return {name for name, pattern in _PATTERNS.items() if pattern.search(normalise(cause))}


def _stated(sentence: str, expected: str | None, wanted: set[str]) -> list[tuple[int, int, bool]]:
    """(start, end, right) of causes in a sentence. Any family counts when it is the wanted one;
    another one only where the sentence gives it as the reason."""
    hits: list[tuple[int, int, bool]] = []
    for start, end in find_mentions(sentence, [expected] if expected else []):
        if not _NOT.search(sentence[:start]):
            hits.append((start, end, True))
    for name in wanted:
        hits += [
            (*m.span(), True)
            for m in _PATTERNS[name].finditer(sentence)
            if not _NOT.search(sentence[: m.start()])
        ]
    for match in (*_STATED.finditer(sentence), *_LEAVING.finditer(sentence)):
        what = match.group("what")
        loose = match.re is _LEAVING or _NAMED_ONLY.match(match.group())
        if loose and not _families(what) and not (expected and mentions(what, [expected])):
            continue
        named = _families(what)
        good = bool(named & wanted) or (expected is not None and mentions(what, [expected]))
        if not good and what.strip() and not _NOT.search(what + " "):
            span = match.span("what")
            if not any(good_hit for *_, good_hit in hits) or named:
                hits.append((*span, False))
    return hits
