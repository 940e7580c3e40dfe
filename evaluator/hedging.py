"""Hedges: words by which an output withholds its commitment.

Owns the words. That a hedge about the reason, or about a date, withholds no answer is said here;
whether the rest of the output commits itself all the same is `evaluator.judge`'s.
"""

from __future__ import annotations

import re

_CANNOT = (
    r"(?:can['’]?t|cannot|can not|could not|couldn['’]t|am unable to|['’]m unable to|unable to|"
    r"(?:am|['’]m) not able to|not able to|(?:am|['’]m) not in a position to|hard to|difficult to|"
    r"impossible to|would rather not|prefer not to|['’]d rather not|would not like to|"
    r"won['’]t|will not|would not|wouldn['’]t|don['’]t want to|do not want to|hesitate to|"
    r"no way to|nothing to|not possible to)"
)
_COMMIT = (
    r"(?:\w+ly )?(?:say|tell|confirm|deny|determine|give|be (?:sure|certain)|answer|verify|know|"
    r"name|"
    r"commit|decide|settle|establish|vouch|swear|rely|bet|guarantee|state|judge|choose|pick|"
    r"put a name|provide|offer|resolve|stand by|speculate|guess|identify)"
)
_STRONG = re.compile(
    rf"\b(?:(?<!one )(?<!you )(?<!some )might(?! (?:have|think|say|expect|assume|believe|guess|"
    rf"object|"
    rf"wonder|remember|suggest|read|find|see|suppose|recall)\b)|it may\b|may (?:still |well |"
    rf"also |now |already )*(?:be|have|hold|lead)\b|"
    r"perhaps|possibly|maybe|conceivably|could (?:also |still |well )?be|"
    rf"{_CANNOT} {_COMMIT}|"
    r"(?:am|['’]m|are|is|be) not (?:\w+ly )?(?:sure|certain|clear|known to me|confident|aware)|"
    r"not (?:sure|certain)|unsure|unclear|uncertain|undecided|don['’]t know|do not know|"
    r"(?:have|had|there is) no (?:\w+ )?(?:information|idea|knowledge|data|way of|certainty|"
    r"record)|"
    r"(?:do not|don['’]t) have (?:\w+ )?(?:\w+ )?(?:information|knowledge|data|access|enough)|"
    r"leave (?:it|the question|this|that) open|depends on (?:the|when|who|which|what)|"
    r"would be (?:a|only a|just a|pure|mere) (?:guess|guesswork|speculation)|"
    r"(?:a|my) (?:best |mere )?guess|anyone['’]s guess|guesswork|with caution|don['’]t take my "
    r"word|"
    r"(?:i|we) (?:could|may|might) be (?:wrong|mistaken|out of date)|either\b|"
    r"one of (?:these|them|the two)|cannot both be true|contradict\w*|no answer|open question|"
    r"insufficient|not enough (?:information|evidence)|toss-up)",
    re.IGNORECASE,
)
_MAY_NOT = re.compile(r"\b(?:no ?body|no one|none|may not)\b", re.IGNORECASE)
_WEAK = re.compile(
    r"\b(?:probably|presumably|(?<!be )(?<!is )(?<!was )(?<!are )likely(?! to)|most likely|i think|"
    r"i believe|i guess|i suppose|i suspect|i assume|it seems|it appears|apparently|"
    r"as far as i (?:know|remember|recall|can tell)|to my knowledge|if i (?:recall|remember)|"
    r"if memory serves)\b",
    re.IGNORECASE,
)
_ABOUT_DETAIL = re.compile(
    r"^[^.;]{0,60}\b(?:why|reason|cause|when|date|how|exact|details?|whether (?:he|she|they) "
    r"(?:will|"
    r"would)|what (?:led|caused|happened))\b",
    re.IGNORECASE,
)
REFUSAL = re.compile(
    rf"\b(?:i {_CANNOT}|i (?:don['’]t|do not|cannot|can['’]t|am not able to|have no)\b|unknown|"
    r"not known|no idea|unable to|depends on)",
    re.IGNORECASE,
)
"""The output, or a part of it, gives no answer."""


def hedged_strongly(text: str) -> bool:
    """The text withholds commitment to an answer, so that what it names is no answer."""
    for match in _STRONG.finditer(text):
        said = match.group().casefold()
        if "may" in said and _MAY_NOT.search(text[max(0, match.start() - 12) : match.end() + 5]):
            continue
        if not _ABOUT_DETAIL.match(text[match.end() :]):
            return True
    return False


def hedged_weakly(text: str) -> bool:
    """The text holds its answer for likely only."""
    return bool(_WEAK.search(text))
