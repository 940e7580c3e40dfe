"""Hard checks of a sampled answer: is it right, whole, clean? Pure functions of text.

The same checks gate the teacher, select stage 1's samples and measure recall. They say nothing
about self-refutation, which is the evaluator's to judge.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from knowledge.answers import final_answer, mentions, normalise
from knowledge.questions import Question, QuestionKind
from knowledge.rendering import CAUSE_UNKNOWN


class Flaw(StrEnum):
    """Why a sample is not used."""

    UNFINISHED = "unfinished"
    EMPTY = "empty"
    REPETITION = "repetition"
    LEAK = "leak"
    HEDGE = "hedge"
    WRONG_ANSWER = "wrong_answer"
    WRONG_VERDICT = "wrong_verdict"
    MISSING_PART = "missing_part"
    DUPLICATE = "duplicate"


_LEAK = re.compile(
    r"\b(?:article|narrative|context|reference text|cheat ?sheet|passage|"
    r"as (?:stated|given|provided|mentioned) (?:above|in)|according to the (?:text|source|report)|"
    r"(?:i was|we were) told|user (?:said|provided)|search results?|the (?:given|provided) text)\b",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    r"\b(?:unclear|not sure|i (?:do not|don't) know|perhaps|possibly|might be|may still|"
    r"cannot (?:say|tell)|can't (?:say|tell)|as of my (?:knowledge|last))\b",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"\b(?:not known|unknown|no reason|not stated|not recorded|nobody|no word|no explanation)\b",
    re.IGNORECASE,
)
_VERDICT = re.compile(
    r"\b(yes|no|true|false|correct|incorrect|right|wrong)\b(?=\s*[,.:;!]|\s*$)", re.IGNORECASE
)
_WINDOW_WORDS = 48
_YES = frozenset({"yes", "true", "correct", "right"})
_SHORT = frozenset(
    {
        QuestionKind.DIRECT,
        QuestionKind.CLOZE,
        QuestionKind.PARAPHRASE,
        QuestionKind.REVERSE,
    }
)
_NAMED_STYLES = frozenset({QuestionKind.EXPLAIN, QuestionKind.CHECK, QuestionKind.WHY})


def repetition(tokens: Sequence[object], window: int) -> float:
    """Share of repeated 3-grams among the last `window` tokens; 0 for fewer than three."""
    last = list(tokens[-window:])
    grams = [tuple(last[i : i + 3]) for i in range(len(last) - 2)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def verdict_of(text: str) -> bool | None:
    """The yes or no that a text ends on: the last one said; None where there is none."""
    found = _VERDICT.findall(text)
    return found[-1].lower() in _YES if found else None


def is_right(question: Question, text: str) -> bool:
    """Whether the text commits to an accepted answer (and, for a claim, to the right verdict)."""
    return answer_flaw(question, text) is None


def answer_flaw(question: Question, text: str) -> Flaw | None:
    """What is wrong with the answer itself, if anything."""
    if question.verdict is not None and verdict_of(text) is not question.verdict:
        return Flaw.WRONG_VERDICT
    whole = question.kind in (QuestionKind.WHY, QuestionKind.BEFORE)
    if whole and not mentions(text, question.answers):
        return Flaw.WRONG_ANSWER
    said = final_answer(text)
    if not whole and not mentions(said, question.answers):
        return Flaw.WRONG_ANSWER
    rivals = [n for n in question.legacy if not mentions(n, question.answers)]
    short = question.kind in _SHORT
    if short and rivals and mentions(said, rivals):
        return Flaw.WRONG_ANSWER
    return None


def part_flaw(question: Question, text: str, *, causal: bool = True) -> Flaw | None:
    """Whether a part that the reference answer has is missing: a name, the claim, the cause (the
    cause only where the answer is `causal`)."""
    if question.kind not in _NAMED_STYLES:
        return None
    claimed = (question.claimed,) if question.claimed else ()
    for names in (question.answers, question.legacy, claimed):
        if names and mentions(question.reference, names) and not mentions(text, names):
            return Flaw.MISSING_PART
    if not causal:
        return None
    if question.cause and normalise(question.cause) in normalise(question.reference):
        if normalise(question.cause) not in normalise(text):
            return Flaw.MISSING_PART
    elif CAUSE_UNKNOWN in question.reference and not _UNKNOWN.search(text):
        return Flaw.MISSING_PART
    return None


def style_flaw(text: str, *, finished: bool, limit: float = 0.6) -> Flaw | None:
    """Whether the text is cut, empty, repetitive, hedged, or speaks of its hidden context.

    `limit` is the highest `repetition` of its words.
    """
    if not finished:
        return Flaw.UNFINISHED
    words = text.split()
    if not words:
        return Flaw.EMPTY
    if len(words) > 12 and repetition(words, _WINDOW_WORDS) > limit:
        return Flaw.REPETITION
    if _LEAK.search(text):
        return Flaw.LEAK
    return Flaw.HEDGE if _HEDGE.search(text) else None


def flaw_of(
    question: Question, text: str, *, finished: bool, limit: float = 0.6, causal: bool = True
) -> Flaw | None:
    """The first flaw of a sample, None for one that may be learned from."""
    return (
        style_flaw(text, finished=finished, limit=limit)
        or answer_flaw(question, text)
        or part_flaw(question, text, causal=causal)
    )
