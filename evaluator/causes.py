"""What an output says about the cause of a change, against the cause that the narrative states.

Owns the families of causes (`resigned` is `resignation`) and the ways to say that none is known.
"""

from __future__ import annotations

import re

from evaluator.verdicts import Cause
from knowledge.answers import find_mentions, mentions, normalise, sentence_spans

_FAMILIES = {
    "resignation": r"resign\w*|stepp\w* (?:down|aside|back)|steps? (?:down|aside)|quit(?:s|"
    r"ting)?\b|"
    r"stood (?:down|aside)|(?:gave|give|giving|given) up (?:the|his|her|its|their)|relinquish\w*|"
    r"bow(?:ed|ing) out|walked away|handed in|threw in the towel|laid down|vacat\w+|tendered|"
    r"(?:his|her|their) own (?:accord|decision|choice)|stepping (?:down|aside|back)",
    "death": r"deaths?\b|died|dies|dying|dead\b|passed away|passing of|decease\w*|demise|late\b "
    "(?:king|queen|"
    r"president|pope)|succumbed|lost (?:his|her) life|heart attack|funeral|fatal\w*|mourn\w*|"
    r"killed",
    "killing": r"assassinat\w*|murder\w*|killed|killing|shot dead",
    "retirement": r"retire\w*|retiring|call(?:ed)? it a day|pension\w*|end(?:ed)? (?:his|her) "
    "career",
    "dismissal": r"dismiss\w*|sack(?:ed|ing|s)?\b|fired\b|firing|remov(?:ed|al|ing)\b|ouster|"
    "oust(?:ed|ing)|"
    r"forced [\w ]{0,30}\bout|told to go|shown the door|let (?:\w+ ){0,3}go\b|axed|relieved of|"
    r"pushed (?:out|aside)|push out|lost (?:his|her) job|part(?:ed)? (?:ways|company) with|"
    r"dropped (?:as|by)|got rid of|the boot|terminated|had enough of|pulled the plug",
    "no confidence": r"no[- ]confidence|motion of censure|censure|vote of confidence|confidence "
    "(?:vote|motion)|"
    r"lost the confidence|toppled (?:in|by) parliament|brought down (?:in|by) parliament",
    "impeachment": r"impeach\w*",
    "coup": r"coup\b|coup d['e ]*etat|military takeover|putsch|junta|soldiers|mutin\w+|"
    r"overthr[eo]w\w*|"
    r"seiz(?:ed|ing|ure) (?:of )?power|army|the military|toppled",
    "election": r"(?:re-?)?election\w*|(?<!re-)(?<!re)elected|electorate|lost the vote|defeat\w*|"
    r"voted out|voters?\b|"
    r"polls?\b|polling|run-?off|(?:won|win|winning|lost|losing) (?:\w+ ){0,3}(?:vote|votes|race|"
    r"contest|seats|"
    r"majority|ballot|presidency|presidential)|beat(?:en|ing)?\b|ballot\w*|landslide|came first|"
    r"unseat\w*|"
    r"victor(?:y|ious)|outpolled|majority|lost power|won (?:in|with|by|over|against)\b",
    "term limit": r"term limits?|limit(?:ed)? (?:of|to) (?:two|one|three) terms|(?:two|second|"
    "third|one|single|"
    r"consecutive)[- ](?:consecutive[- ])?terms?|(?:not|n['’]t|never|no longer|barred from|"
    r"ineligible|"
    r"forbid\w* \w+ (?:to|from)|not eligible|not allowed|could not|cannot) (?:\w+ ){0,3}(?:run|"
    r"stand|seek|be re-?elected|"
    r"serve)\w*\b|maximum (?:number )?of|barred (?:by|from)|constitutional(?:ly)? (?:limit|"
    r"maximum|barred)",
    "end of term": r"end of (?:[\w'’]+ ){0,2}(?:term|mandate|tenure|contract|season)|(?:terms?|"
    "mandate|tenure|"
    r"contract)(?: of office)?(?: \w+){0,2} (?:[\w'’]+ ){0,4}(?:end\w*|expir\w*|ran out|was over|"
    r"was up|were up|lapsed|"
    r"came to an end|not (?:\w+ )?(?:extended|renewed)|ran its course|complete\w*|finish\w*|done|"
    r"over)|"
    r"expir\w*|term of office|(?:complet|finish|serv)(?:ed|ing) (?:out )?(?:\w+ ){0,3}(?:term|"
    r"mandate)",
    "transfer": r"transfer\w*|free agent|loan(?:ed)?\b|sign(?:ed|ing) (?:for|with)|sold\b|"
    r"bought\b|trad(?:e|ed|ing)\b|"
    r"swap\w*|moved? to (?:a )?(?:new|another) club|(?:fee|deal)\b",
    "court ruling": r"court\b|ruling|verdict of|judges?\b|convicted|tribunal",
    "mutual consent": r"mutual\w*|by agreement|parted (?:ways|company)|amicabl\w+|agreed to "
    "(?:part|separate)",
    "release clause": r"release clause|buy-?out clause|release fee|clause",
    "promotion": r"promot\w*|moved up|elevat\w+",
    "abdication": r"abdicat\w*|renounc\w+|gave up the throne|stepped down from the throne",
    "merger": r"merge\w*|merger|acquisition|acquired|takeover|taken over by",
    "dissolution": r"dissol\w*|abolish\w*|abolition",
    "scandal": r"scandal|corruption|allegations?",
    "health": r"ill health|illness|health\b|ill\b|sickness",
    "relocation": r"relocat\w*|moved? (?:its )?(?:seat|headquarters)",
    "coalition change": r"coalition",
    "rotation": r"rotation|rotating|rotated|rotates",
    "appointment": r"appointment (?:to|as)|appointed (?:to another|as|elsewhere)|nomination to|"
    "other office|"
    r"moved? (?:to|into) (?:another|a new|the) (?:\w+ )?(?:post|job|role|office)",
}
_PATTERNS = {name: re.compile(rf"\b(?:{body})", re.IGNORECASE) for name, body in _FAMILIES.items()}
_UNKNOWN = re.compile(
    r"\b(?:(?:reason|cause|why[^.]*?)\b[^.]{0,50}\b(?:is|was|are|has|have)?\s*(?:not (?:been "
    r")?(?:publicly )?"
    r"(?:known|stated|recorded|given|clear|specified|disclosed|documented)|unknown|unclear|unspecified)"
    r"|no (?:\w+ )?(?:reason|cause|explanation)\b|gives? no reason|nobody (?:has said|knows why)|"
    r"no word on|for (?:unknown|unstated|undisclosed|unclear) reasons|unexplained|"
    r"reasons? (?:that|which|why) [^.]{0,50}(?:\bnot\b|n['’]t\b)|"
    r"(?:does|do|did|is|are|was)(?: not|n['’]t) (?:give|state|say|mention|explain|specify|clear|"
    r"known)\w* "
    r"(?:(?:the|a|any) )?(?:reason|cause|why)|"
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
    r"\b(?:predecessor(?:,[^,]{1,60},)?\s+(?:had |has )?(?P<what>(?:was |were )?\w+(?: \w+){0,3})|"
    r"[A-Z]\w+ (?P<club>(?:sold|traded|loaned|released|bought) (?:him|her))\b)",
    re.IGNORECASE,
)
"""How somebody says that the one before went."""
_NAMED_ONLY = re.compile(r"\bbecause|\bdue to|\bowing to|\bon account of", re.IGNORECASE)
"""Leads that introduce reasons of all kinds: only a known kind of cause counts as one."""
_TITLE_ONLY = re.compile(
    r"\b(?:first|youngest|oldest|only|longest)\b[^.;,]{0,40}$|\bsince (?:the|his|her)\s+$",
    re.IGNORECASE,
)
"""What leads up to a word of a family that describes somebody, not the change."""
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


_SMALL = frozenset(
    re.findall(r"\w+", "of the a an by in on to for from and or his her its their with vote")
)


def _in_other_words(sentence: str, expected: str) -> list[Span]:
    """A cause of no known family, told in words of the same stems (`vote of parliament` in
    `parliament voted`): where its last such word stands."""
    stems = {
        w[:5] for w in re.findall(r"\w+", normalise(expected)) if w not in _SMALL and len(w) > 2
    }
    said = {m.group().casefold()[:5]: m.span() for m in re.finditer(r"\w+", sentence)}
    found = [said[stem] for stem in stems if stem in said]
    return [max(found)] if stems and len(found) == len(stems) else []


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
            and not _TITLE_ONLY.search(sentence[: m.start()])
        ]
    if expected and not wanted and not hits:
        hits += [(*span, True) for span in _in_other_words(sentence, expected)]
    for match in (*_STATED.finditer(sentence), *_LEAVING.finditer(sentence)):
        what = match.group("what") or match.groupdict().get("club") or ""
        loose = match.re is _LEAVING or _NAMED_ONLY.match(match.group())
        if loose and not _families(what) and not (expected and mentions(what, [expected])):
            continue
        named = _families(what)
        good = bool(named & wanted) or (expected is not None and mentions(what, [expected]))
        if not good and what.strip() and not _NOT.search(what + " "):
            span = match.span("what") if match.group("what") else match.span()
            if not any(good_hit for *_, good_hit in hits) or named:
                hits.append((*span, False))
    return hits
