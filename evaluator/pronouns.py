"""Pronouns that stand for a holder, where their clause says that the holder has the office or not.

Owns whom a pronoun means: the first holder that its sentence names before it, else the one that the
text was about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evaluator import grammar as g
from evaluator.hedging import hedged_strongly
from evaluator.offices import about_another_office, elsewhere, same_office
from evaluator.stances import Mention, Stance, Who


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What a stance depends on beside the sentence: the subject, the question, and whether the
    holders are persons."""

    subject: str
    asked: str
    persons: bool


_PRONOUN = re.compile(
    r"(?<![\w-])(?P<he>he|she|the latter)\b(?P<rest>[^.;:]*)",
    re.IGNORECASE,
)
_NEW_TOPIC = re.compile(r"^(?:[A-ZÀ-Ý][\w'’-]+\s+){1,3}(?:is|was|has|had|leads|led|became)\b")


def topic_after(sentence: str, mentions: Sequence[Mention], before: Who | None) -> Who | None:
    """Whom a pronoun in the next sentence means: the first holder named here; nobody, once somebody
    else has been spoken of."""
    named = [m for m in mentions if not m.pronoun]
    if named:
        return named[0].who
    first = re.match(r"\W*(\w+)", sentence)
    pronoun = first is not None and first.group(1).casefold() in ("he", "she", "his", "her")
    return None if _NEW_TOPIC.match(sentence) and not pronoun else before


def pronouns(
    text: str,
    start: int,
    end: int,
    named: Sequence[Mention],
    before: tuple[Who | None, Who | None],
    fact: Fact,
) -> list[Mention]:
    """Pronouns whose clause says that a holder has the office, or has it not. `before`: whom the
    text was about, and whom it named last."""
    out: list[Mention] = []
    for match in _PRONOUN.finditer(text, start, end):
        a, b = match.span("he")
        rest = match.group("rest")
        earlier = [m for m in named if m.end <= a]
        if match.group("he").casefold() == "the latter":
            who = earlier[-1].who if earlier else before[1]
        else:
            who = earlier[0].who if earlier else before[0]
        part = rest if _HOLDS.match(rest) else rest.split(",")[0]
        office = same_office(part, fact.asked) or _NOT_IT.match(rest)
        if who is None or not office or elsewhere(rest, fact.subject):
            continue
        if hedged_strongly(text[start:a]) or about_another_office(rest, fact.asked):
            continue
        if _NO_MORE.match(rest) or (g.R_NEGATED.match(rest) and re.match(r"\s*is", rest)):
            stance = Stance.NEGATED
        elif _HOLDS.match(rest):
            stance = Stance.CURRENT
        else:
            continue
        out.append(Mention(who=who, stance=stance, start=a, end=b, pronoun=True))
    return out


_NOT_IT = re.compile(
    r"^\s*(?:no longer (?:is|does|holds)|is no longer|is not|isn['’]t)\s*(?:,|$)|"
    r"^\s*has since (?:left|resigned|stepped|been)\b",
    re.IGNORECASE,
)
_NO_MORE = re.compile(
    r"^\s*(?:(?:is |was )?no longer\b|never (?:was|held|became|took|has)|has never\b|has "
    r"(?:since )?(?:left|"
    r"resigned|stepped down|been (?:replaced|removed|dismissed|succeeded))|"
    r"is (?:now )?(?:out of (?:office|the job|power)|gone|(?:a|the|an) (?:former|ex)\b)|"
    r"[^.;:]*\b(?:and|but) (?:is |now )?no longer\b)",
    re.IGNORECASE,
)
_HOLDS = re.compile(
    rf"^\s*(?:\w+ly )?(?:still |now |also |currently |again )?(?:(?:is|remains|serves as|"
    rf"continues as|"
    rf"acts as)\s+(?:still |now |currently |once again |again |therefore |in fact )*(?:the |its |"
    rf"their )?"
    rf"(?:[\w-]+ (?:and \w+ )?)?(?:{g.OFFICE}|in office|in charge|at the helm|in the job|in "
    rf"post)\b|"
    r"[^.;:]*\band (?:is|has been|remains) (?:now |again |once more )?(?:the )?(?:president|prime "
    r"minister|chancellor|premier|head|governor|mayor|king|queen|coach|director|chief executive)\b|"
    r"(?:still |now )?(?:holds|has|occupies|keeps|retains) (?:the|that|this) (?:office|post|job|"
    r"role|position|title|presidency|premiership|chancellorship))",
    re.IGNORECASE,
)
