"""Offices in text: which nouns name the same one, and whose office a clause is about.

Owns the groups of nouns. A clause about another office (`was minister of defence until 2020`), or
about the same one somewhere else (`is the coach of Brazil`), says nothing about the edited fact.
"""

from __future__ import annotations

import re

from evaluator.grammar import OFFICE, S
from knowledge.answers import normalise

_SAME = (
    r"prime minister|premier|head of (?:the )?government|chancellor|first minister|taoiseach|pm",
    r"(?:vice[- ])president|deputy|second[- ]in[- ]command|assistant",
    r"president|head of state|chief of state|king|queen|monarch|emir|emperor|sultan|grand duke|"
    r"sovereign|ruler|supreme leader|chief adviser|chair(?:man|woman|person)?",
    r"chief executive(?: officer)?|ceo|boss|managing director|president|{HEAD}|chair(?:man|woman|"
    r"person)?",
    r"head coach|coach|manager|trainer|boss|skipper",
    r"director(?:[- ]general)?|{HEAD}|boss|curator|president|manager",
    r"secretary[- ]general|general secretary|{HEAD}|chief|director(?:[- ]general)?|leader|boss",
    r"governor|chief|{HEAD}|chair(?:man|woman|person)?|boss",
    r"mayor|{HEAD}|leader",
    r"pope|pontiff|bishop of rome|{HEAD}|leader|sovereign",
    r"chancellor|{HEAD}|president|rector|chair(?:man|woman|person)?",
)
_HEAD = r"head(?! of (?:the )?(?:government|state))"
_GROUPS = tuple(
    re.compile(rf"\b(?:{body.replace('{HEAD}', _HEAD)})\b", re.IGNORECASE) for body in _SAME
)
_OFFICE = re.compile(rf"\b(?:{OFFICE})\b", re.IGNORECASE)
_VAGUE = re.compile(
    r"\b(?:in charge|at the helm|in power|post|job|office|role|position|power|country|government|"
    r"cabinet|nation|club|team|side|company|bank|organi[sz]ation|institution|throne)\b",
    re.IGNORECASE,
)
_OTHER_ROLE = re.compile(
    r"^[^.;,]{0,40}?\b(?:a|an|the|his|her|their|its|as|was|been|of)?\s*(?:former |acting |"
    r"interim )?"
    r"(?:(?<!prime )minister of (?!state\b|the\b)\w+|(?:finance|foreign|interior|defen[cs]e|"
    r"health|education|"
    r"economy|justice|labou?r|home|prime-ministerial|trade|agriculture|energy|housing) (?:minister|"
    r"secretary|director)|minister for \w+|member\b|deputy\b|vice[- ]\w+|assistant\b|senator|"
    r"ambassador|commissioner|banker|lawyer|judge|professor|(?<!chief )advis[eo]r|engineer|"
    r"candidate|"
    r"opponent|rival|mp\b|lawmaker|leader of the opposition|opposition leader|student|lecturer|"
    r"spokes\w+|treasurer|player|captain|pundit|chief of staff|finance director|economist|"
    r"speaker|general\b(?! secretary)|academic|businessm[ae]n|trustee)",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"\b(?:of|to|at|for)\s+(?:the\s+)?(?P<place>(?:[A-Z\u00c0-\u024f][\w.'’-]+\s?)+)"
)
_STATE = re.compile(
    r"\b(?:Republic|Kingdom|Federation|Union|Commonwealth|State|Government|Cabinet|Council|Board|"
    r"Company|Group|Club|Bank|University|Church|Party|Peter)\b"
)
_WORKS = re.compile(
    r"^\s*(?:is|works|coaches|manages|leads|heads|runs|plays|['’]s)\b", re.IGNORECASE
)
_LEFT = re.compile(
    r"^\s*(?:had |has |then |later )*(?:left|quit|resigned (?:from|as)|stepped down (?:from|as)|"
    r"retired (?:from|as)|gave up|moved on from) (?:his |her |its |the |an? "
    r")?(?P<what>[^.;,]{1,40})"
)
_NEXT_CLAUSE = re.compile(
    r",\s+(?:and|but|while|which|who|so|as|since)\b|\s(?:and|but) (?:his|her|its|he|she|it)\b"
)
_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"


def about_another_office(clause: str, asked: str) -> bool:
    """The clause speaks of an office that is plainly not the one asked about."""
    if S in clause[:60] and not _OTHER_ROLE.match(clause):
        return False
    found = _OTHER_ROLE.match(clause)
    if found is None:
        return False
    noun = re.findall(r"\w+", found.group())[-1].casefold()
    return noun not in normalise(asked).split()


def same_office(clause: str, asked: str) -> bool:
    """The clause names the office asked about, or one that goes by the same name; an office of any
    kind where the question names none."""
    named = [m.group() for m in _OFFICE.finditer(clause)]
    if not named:
        return bool(_VAGUE.search(clause))
    wanted = [g for g in _GROUPS if g.search(asked)]
    if not wanted:
        return True
    return any(g.search(word) for g in wanted for word in named)


def left_another_office(clause: str, asked: str, subject: str) -> bool:
    """The clause tells how somebody left another office or another house: `resigned as mayor`."""
    found = _LEFT.match(clause)
    if found is None or S in clause:
        return False
    named = found.group("what")
    if _OFFICE.search(named):
        return not same_office(named, asked)
    place = re.match(r"(?:the )?([A-ZÀ-Ý][\w'’.-]+)", named)
    if place is None:
        return False
    words = {normalise(w)[:4] for w in re.findall(r"\w+", subject)}
    return normalise(place.group(1))[:4] not in words


_LEADS = re.compile(
    r"\s*(?:now |currently |also |still )?(?:coaches|runs|leads|heads|manages|governs|chairs|"
    r"rules)\s+"
    r"(?P<what>[A-Z][\w'’-]+)"
)


def leads_another(clause: str, subject: str) -> bool:
    """The clause says that somebody leads what it names at once, and that is not the subject."""
    found = _LEADS.match(clause)
    if found is None or not subject:
        return False
    what = found.group("what")
    words = {normalise(w)[:4] for w in re.findall(r"\w+", subject)}
    initials = "".join(w[0] for w in subject.split()).casefold()
    return normalise(what)[:4] not in words and normalise(what) != initials


def elsewhere(clause: str, subject: str) -> bool:
    """The clause is about an office somewhere else: `of` a name that is not the subject."""
    if not subject or S in clause:
        return False
    words = {normalise(w)[:4] for w in re.findall(r"\w+", subject)}
    initials = "".join(w[0] for w in subject.split()).casefold()
    clause = _NEXT_CLAUSE.split(clause)[0]
    for match in _PLACE.finditer(clause):
        place = match.group("place").strip()
        first = normalise(place.split()[0]).replace(".", "")
        if first[:3] in _MONTHS or _STATE.search(place):
            continue
        if any(normalise(w)[:4] in words for w in re.findall(r"\w+", place)) or first == initials:
            continue
        before = clause[: match.start()]
        office = _OFFICE.search(before) and match.group()[:2].casefold() in ("of", "fo")
        if office or (_WORKS.match(before) and len(before.split()) < 4):
            return True
    return False
