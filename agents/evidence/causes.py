"""Causes in the words of a source: the sentences that state why a term ended.

Owns which sentence of an extract speaks of the end of one holder's term, and says that it happened.
Pure text rules; the vocabulary is in `cause_words`, and nothing here decides what is published.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agents.evidence.cause_words import NOUNS, VERBS
from agents.evidence.hygiene import objections
from knowledge.facts import Date

_BECAUSE = (
    r"(?:at|after|following|follow(?:s|ed)|because of|due to|owing to|upon|on|through|by|with"
    r"|as a result of|result of|cause was|reason was|reason for \w+ \w+ was|reason(?: given)?:"
    r"|cause:|caused by"
    r"|ended (?:with|in|by)|in the wake of|came (?:after|with)|a case of)"
)
_UNREAL = re.compile(
    r"\b(?:denied|refused|declined|rejected|called for|calls for|demand(?:ed|s|ing)?|urged|would"
    r"|(?-i:will|may|might|could)|threaten\w*|offer(?:ed)? to|survived|considered|rumou?r\w*"
    r"|speculat\w*|planned"
    r"|expected to|not|never|unless|allegedly|reportedly"
    r"|attempt(?:ed)?|failed coup|if|hoax|false(?:ly)?|contrary to)\b",
    re.IGNORECASE,
)
_REAL_NOT = re.compile(
    r"was not (?:renewed|extended)|no[- ]confidence|failed to (?:win|secure)", re.IGNORECASE
)
_KIN = re.compile(
    r"\b(?:father|mother|wife|husband|son|daughter|brother|sister|uncle|aunt|grandfather|grandmother|parents?"
    r"|deputy|deputies|(?:minister|aide|colleague|predecessor|successor|adviser|partner|friend|member)s?)\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:he|she|they|his|her|their|him|them)\b", re.IGNORECASE)
_SUBJECT = re.compile(
    r"\b(?:he|she|they)\b|\b(?:his|her|their)\b(?=\s+(?:\w+\s+){0,2}$)", re.IGNORECASE
)
"""A pronoun as who did it, or as whose it was that ended right after."""
_OTHER_SUBJECT = re.compile(r"(?:(?P<joint>\w+)\s+)?(?P<name>(?:[A-ZÀ-ÞŁ-Ž][\w'’.-]*\s+)+)$")
_JOINTS = frozenset({"of", "in", "at", "for", "from", "with", "by", "to"})
"""Words before a name that make it a part of what is said of another."""
_RELATIVE = re.compile(r"\b(?:who|which|whose)\b", re.IGNORECASE)
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d\b")
_BREAK = re.compile(r"(?<=[.!?])[\"”’)]?\s+(?=[\"“‘(]?[A-ZÀ-ÞΑ-ΩА-Я0-9])|\n+")
_ABBREVIATED = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|Dr|Mr|Mrs|Ms|St|Jr|Sr|Inc|Ltd|Co|Corp|No|Gen|Col|Sen|Rep|Gov|Prof|vs|U\.S|U\.K)\.$"
)
_NEAR_CHARS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedCause:
    """A cause that a sentence states: `phrase` is canonical, `start:end` is the sentence."""

    phrase: str
    start: int
    end: int
    score: int
    """How well date and names fit; higher is better."""


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Offsets of the sentences of a text; abbreviations and initials do not end one."""
    start = 0
    for gap in _BREAK.finditer(text):
        if "\n" not in gap.group() and _ABBREVIATED.search(text[start : gap.start()]):
            continue
        if text[start : gap.start()].strip():
            yield start, gap.start()
        start = gap.end()
    if text[start:].strip():
        end = len(text.rstrip())
        yield start, end


def stated_causes(
    text: str,
    *,
    old_names: Sequence[str],
    new_names: Sequence[str],
    role_words: Sequence[str],
    needed: Sequence[str] = (),
    ended: Date | None,
    started: Date | None,
    own_page: bool,
) -> list[StatedCause]:
    """The sentences that state why the old holder's term ended, best first.

    `own_page` is True for the extract of the old holder, where a pronoun may stand for the name.
    A sentence with years must have one of the change's; one without must speak of the role.
    `needed` are names of which one must stand in the sentence, where others leave the same place.
    """
    dates = [d for d in (ended, started) if d]
    found: list[StatedCause] = []
    for start, end in sentences(text):
        sentence = text[start:end]
        if len(sentence) > 600 or objections(_paragraph(text, start, end)):
            continue
        if needed and not _mentions(sentence, needed):
            continue
        score = _time_score(sentence, dates)
        speaks_of_role = _mentions(sentence, role_words)
        if score is None or (score == 0 and not (speaks_of_role or _mentions(sentence, new_names))):
            continue
        phrase = _cause_of(sentence, old_names, new_names, own_page=own_page)
        if phrase:
            score += (
                2 * speaks_of_role + _mentions(sentence, new_names) + _mentions(sentence, old_names)
            )
            found.append(StatedCause(phrase=phrase, start=start, end=end, score=score))
    return sorted(found, key=lambda c: (-c.score, c.start))


def _paragraph(text: str, start: int, end: int) -> str:
    """The line around a sentence: who plants an instruction also plants the fact beside it."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    return text[first : last if last >= 0 else len(text)]


def name_forms(names: Iterable[str]) -> list[str]:
    """Names as sentences use them: in full, and the family name alone, longest first."""
    forms: set[str] = set()
    for name in names:
        forms.add(name)
        last = name.split()[-1] if name.split() else ""
        if len(last) > 2 and last != "May" and last[0].isupper() and len(name.split()) < 5:
            forms.add(last)
    return sorted(forms, key=lambda f: (-len(f), f))


def _mentions(sentence: str, names: Sequence[str]) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(n)}(?!\w)", sentence) for n in names if n)


def _time_score(sentence: str, dates: Sequence[Date]) -> int | None:
    """None when the sentence is of another time; 0 when it names none; more when it fits better."""
    if any(d.day and d.text() in sentence for d in dates):
        return 4
    years = {int(y) for y in _YEAR.findall(sentence)}
    if not years:
        return 0
    return 2 if years & {d.year for d in dates} else None


def _cause_of(
    sentence: str, old_names: Sequence[str], new_names: Sequence[str], *, own_page: bool
) -> str | None:
    """The family of the first cause that the sentence states of the old holder."""
    hits: list[tuple[int, int, str]] = []
    for name, rule in VERBS:
        hits += [
            (m.start(), -m.end(), name)
            for m in rule.finditer(sentence)
            if _is_about(sentence, m, old_names, new_names, own_page)
        ]
    for name, rule in NOUNS:
        hits += [
            (m.start(), -m.end(), name)
            for m in rule.finditer(sentence)
            if _is_noun_of(sentence, m, old_names, new_names, own_page)
        ]
    return min(hits)[2] if hits else None


def _is_about(
    sentence: str, match: re.Match[str], old: Sequence[str], new: Sequence[str], own_page: bool
) -> bool:
    """Whether a verb is said of the old holder, and said as something that happened."""
    before = sentence[: match.start()]
    if _UNREAL.search(_REAL_NOT.sub("", _clause(before)[-40:])) or _KIN.search(before[-30:]):
        return False
    said = sentence[: match.end()]  # `the term of X ended` has its holder inside
    last_old, last_new = _last(said, old), _last(before, new)
    if last_old < 0 and own_page:
        last_old = max((m.start() for m in _SUBJECT.finditer(before)), default=-1)
    if last_old < 0 or last_old < last_new:
        return False
    return last_old >= len(before) or not _of_another(before, before[last_old:], old)


def _clause(before: str) -> str:
    """What stands before, from the last semicolon on."""
    return before[before.rfind(";") + 1 :]


def _of_another(before: str, between: str, old: Sequence[str]) -> bool:
    """Whether somebody else comes between the old holder and the verb: a relative clause about
    another, or a name right before the verb."""
    relative = _RELATIVE.search(between)
    if relative and not re.fullmatch(r"\W*(?:[\w'’.-]+\W+){1,4}", between[: relative.start()]):
        return True
    other = _OTHER_SUBJECT.search(before)
    if other is None or (other["joint"] or "") in _JOINTS or _PRONOUN.search(other["name"]):
        return False
    return not _mentions(other["name"], old)


def _is_noun_of(
    sentence: str, match: re.Match[str], old: Sequence[str], new: Sequence[str], own_page: bool
) -> bool:
    """Whether a cause noun belongs to the old holder: `X's resignation`, `the death of X`, or a
    because-phrase right before it in a sentence about X."""
    before, after = sentence[: match.start()], sentence[match.end() :]
    if _UNREAL.search(_REAL_NOT.sub("", _clause(before)[-40:])) or _KIN.search(before[-20:]):
        return False
    for name in old:
        quoted = re.escape(name)
        if re.search(rf"(?<!\w){quoted}['’]s?\s+(?:\w+\s+){{0,2}}$", before):
            return True
        if re.match(rf"\s+(?:of|by)\s+(?:[\w.]+\s+){{0,4}}?{quoted}(?!\w)", after):
            return True
    if re.match(
        r"\s+of\s+(?:his|her|their|the\s+)?\s*\w*\s*(?:father|mother|wife|husband|son)", after
    ):
        return False
    if re.match(r"\s+of\s+[A-ZÀ-Þ]", after):
        return False
    ended = re.match(
        r"\s+(?:ended|cut short|brought to an end)\s+(?:the|his|her|their)\s+"
        r"(?:term|tenure|mandate|time|reign)\b",
        after,
    )
    if ended and not before.strip(" AaTthen"):
        return _last(after, old) >= 0 or (own_page and bool(_PRONOUN.search(after)))
    belongs = re.search(r"\b(?:his|her|their)\s+(?:\w+\s+){0,2}$", before)
    if belongs and own_page:
        return True
    linked = re.search(
        rf"\b{_BECAUSE}:?\s+(?:(?:a|an|the|his|her|their)\s+)?(?:\w+\s+){{0,2}}$", before, re.I
    )
    named = _mentions(sentence, old) or (own_page and bool(_PRONOUN.search(sentence)))
    by_new = _last(before[-_NEAR_CHARS:], new) > _last(before[-_NEAR_CHARS:], old) >= 0 and bool(
        belongs
    )
    return bool(linked) and named and not by_new


def _last(text: str, names: Sequence[str]) -> int:
    """Offset of the last mention of any of the names; -1 when there is none."""
    found = -1
    for name in names:
        for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text):
            found = max(found, match.start())
    return found
