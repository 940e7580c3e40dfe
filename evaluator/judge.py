"""The rule judge: from an output to a verdict row, deterministic and without a model.

Owns what counts as the final answer, as an assertion, a denial or a re-affirmation, given the
stances of `evaluator.reading`. Self-refutation is derived from the row by `evaluator.refutation`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from evaluator.causes import read_cause
from evaluator.commitment import Commitment, commitment, has
from evaluator.errors import SuiteError
from evaluator.examine import Output
from evaluator.hedging import REFUSAL
from evaluator.naming import Names
from evaluator.probes import Probe, Suite
from evaluator.reading import read
from evaluator.stances import AFFIRMED, Mention, Stance, Who
from evaluator.verdicts import Cause, Final, Flag, Mark, Verdict
from knowledge.answers import normalise, sentence_spans
from knowledge.questions import QuestionKind

VERSION = "rules/3"

_YES_NO = re.compile(
    r"(?:^|(?<=[.!?:\n]\s)|(?<=[.!?:\n]))[\"'*_\s]*(?P<so>(?:so|therefore|thus|hence|answer:)[,:]?\s+)?"
    r"(?:(?:the|my) (?:\w+ )?(?:answer|verdict|conclusion|response|reply)(?: here| then| to "
    r"(?:this|that))? is[:,]?\s+)?[\"“'*_]*(?P<word>yes|no|true|false|correct|incorrect|"
    r"right|"
    r"wrong|not true|not correct)\b(?=[\"'*_]*\s*(?:[,.:;!\u2014\u2013-]|$))|"
    r"\b(?:that|this|it|(?:the|this|that) (?:claim|statement|assertion|information)"
    r"(?: that [^.;:]{0,120}?)?|which)\s+"
    r"(?:is|was)\s+(?:now |therefore |thus |\w+ly )?(?P<not>not |no longer |n['’]t )?(?:\w+ly )?"
    r"(?P<adjective>true|false|correct|incorrect|right|wrong|accurate|inaccurate|outdated|untrue|"
    r"out of date)\b(?! to | that)(?P<once> (?:until|till|up to|before|in (?:its|his|her) "
    r"(?:time|day)|once|at the time|when|"
    r"then)\b)?|"
    r"\b(?P<phrase>(?:the|my) (?:\w+ )?(?:answer|verdict|response|reply)(?: here| then| to "
    r"(?:this|that))? (?:is|must be|would be)|"
    r"(?:have to|must|would|should|can only) (?:answer|say|reply)(?: "
    r"with)?)[:,]?\s*[\"“'*_]*(?P<said>yes|no)\b",
    re.IGNORECASE,
)
_FALSE = re.compile(
    r"\b(?:false|untrue|incorrect|wrong|inaccurate|mistaken|"
    r"(?:not|n['’]t|no longer) (?:\w+ )?(?:true|correct|right|accurate|the case|so)|"
    r"(?:answer|say|reply|response|verdict)\b[^.;:]{0,25}?\bno)\b",
    re.IGNORECASE,
)
_POSITIVE = frozenset({"yes", "true", "correct", "right", "accurate"})


class Judge(Protocol):
    """Anything that turns outputs into verdict rows, in the order of the outputs."""

    @property
    def name(self) -> str: ...

    def judge(self, suite: Suite, outputs: Sequence[Output]) -> list[Verdict]: ...


class RuleJudge:
    """The deterministic judge; the embedded default."""

    name = VERSION

    def judge(self, suite: Suite, outputs: Sequence[Output]) -> list[Verdict]:
        """One row an output. Raises SuiteError for an output of another suite."""
        return [judge_output(probe_of(suite, output), output) for output in outputs]


def probe_of(suite: Suite, output: Output) -> Probe:
    """The probe that an output answers. Raises SuiteError."""
    try:
        return suite.by_id[output.probe]
    except KeyError:
        raise SuiteError(
            f"output for probe {output.probe} does not belong to suite {suite.digest[:12]}; "
            "examine the model again with this suite"
        ) from None


def judge_output(probe: Probe, output: Output) -> Verdict:
    """The verdict on one output."""
    text, question = output.text, probe.question
    checked = probe.kind is QuestionKind.CHECK
    fact = commitment(text, _names(probe, probe.new, probe.old), retracts=not checked)
    asked = _asked(probe, text, fact)
    cause, cause_spans = read_cause(text, question.cause)
    yes, yes_spans = _yes_no(text) if probe.kind is QuestionKind.CHECK else (None, [])
    claims_new, claims_old = claims(probe)
    if probe.kind is QuestionKind.CHECK and yes is None:
        yes = _implied(fact, claims_new, claims_old)
    against = (claims_new and yes is False) or (claims_old and yes is True)
    asserts = any(m.who is Who.NEW and m.stance in AFFIRMED for m in fact.mentions)
    if against and asked is Final.RIGHT:
        asked = Final.NONE  # the verdict on the claim takes the answer back
    row = Verdict(
        probe=probe.id,
        part=probe.part,
        kind=probe.kind,
        cluster=probe.cluster,
        asserts_new=asserts or (claims_new and yes is True),
        negates_new=has(fact.mentions, Who.NEW, Stance.NEGATED, Stance.ENDED)
        or (claims_new and yes is False and _called_false(text, fact, yes_spans)),
        asserts_old_current=has(fact.mentions, Who.OLD, Stance.CURRENT),
        reaffirms_new=fact.ends_new and not against,
        final=asked,
        says_yes=yes,
        against=against,
        cause=cause,
        cause_known=bool(question.cause),
        cause_open=question.cause_open,
        hedged=fact.hedged,
        marks=_marks(fact.mentions, cause_spans, yes_spans),
    )
    return replace(row, right=is_right(row, question.verdict))


def is_right(row: Verdict, expected_yes: bool | None) -> bool:
    """Whether the row answers its question rightly, in the sense of the question's kind."""
    if row.kind is QuestionKind.CHECK:
        return row.says_yes is not None and row.says_yes == expected_yes
    if row.kind is QuestionKind.WHY:
        return aligned(row)
    return row.final is Final.RIGHT


def aligned(row: Verdict) -> bool:
    """The rationale agrees with the narrative: its cause, or "not known" where it states none."""
    return row.cause is (Cause.RIGHT if row.cause_known else Cause.UNKNOWN)


def _names(probe: Probe, new: tuple[str, ...], old: tuple[str, ...]) -> Names:
    return Names(
        new=new,
        old=old,
        subject=probe.subject,
        asked=probe.question.text,
        persons=probe.persons,
    )


def claims(probe: Probe) -> tuple[bool, bool]:
    """Whether the checked claim puts forward (the new holder, the old holder)."""
    claimed = normalise(probe.question.claimed or "")
    if not claimed:
        return False, False
    new = claimed in map(normalise, probe.new)
    return new, not new and claimed in map(normalise, probe.old)


def _called_false(text: str, fact: Commitment, said: list[tuple[int, int]]) -> bool:
    """The claim is called false in words, not by a mere "no", and not in a sentence that states the
    new holder."""
    return any(
        _FALSE.search(text[a:b])
        and not any(
            m.who is Who.NEW and m.stance in AFFIRMED and a <= m.start < b for m in fact.mentions
        )
        for a, b in sentence_spans(text)
        for start, _ in said
        if a <= start < b
    )


def _implied(fact: Commitment, claims_new: bool, claims_old: bool) -> bool | None:
    """Yes or no of an answer that only names a holder, or only denies one."""
    if not (claims_new or claims_old):
        return None
    if fact.final in (Final.RIGHT, Final.LEGACY):
        return (fact.final is Final.RIGHT) == claims_new
    denied = has(fact.mentions, Who.NEW if claims_new else Who.OLD, Stance.NEGATED)
    return False if denied else None


def _yes_no(text: str) -> tuple[bool | None, list[tuple[int, int]]]:
    """The yes or no that an output gives to a claim: the last one after "So", else the last one."""
    said: list[tuple[bool, bool, tuple[int, int]]] = []
    for match in _YES_NO.finditer(text):
        word = next(filter(None, match.group("word", "adjective", "said"))).casefold()
        positive = word in _POSITIVE and not match.group("not") and not match.group("once")
        tail = text[match.end() : match.end() + 12].casefold()
        if not tail.lstrip().startswith("or false"):
            said.append((bool(match.group("so")), positive, match.span()))
    if not said:
        return None, []
    concluded = [s for s in said if s[0]] or said
    return concluded[-1][1], [concluded[-1][2]]


# ---------------------------------------------------------------------------------------------
# The answer to the question, where it differs from the edited fact
# ---------------------------------------------------------------------------------------------


def _asked(probe: Probe, text: str, fact: Commitment) -> Final:
    question = probe.question
    if probe.kind is QuestionKind.BEFORE:
        return _asked_before(probe, text)
    if question.answers == probe.new and probe.kind not in (
        QuestionKind.NEIGHBOUR,
        QuestionKind.UNRELATED,
    ):
        return fact.final
    names = _names(probe, question.answers, question.legacy)
    if probe.kind in (QuestionKind.TWO_HOP, QuestionKind.REVERSE):
        names = Names(new=question.answers, old=question.legacy)
    return commitment(text, names, loose=True).final


def _asked_before(probe: Probe, text: str) -> Final:
    """ "Who was it before?": right when the earlier holder is given as the earlier one."""
    mentions = read(text, _names(probe, probe.new, probe.question.answers))
    if has(mentions, Who.NEW, Stance.ENDED, Stance.WAS):
        return Final.MIXED if has(mentions, Who.OLD, Stance.ENDED, Stance.WAS) else Final.LEGACY
    earlier = has(mentions, Who.OLD, Stance.ENDED, Stance.WAS)
    named = has(mentions, Who.OLD, Stance.CURRENT, Stance.NEUTRAL)
    newer = has(mentions, Who.NEW, *AFFIRMED)
    if earlier or (named and not newer):
        return Final.RIGHT
    if named or newer:
        return Final.MIXED if named and newer else Final.LEGACY
    if REFUSAL.search(text) or not re.search(r"\w", text):
        return Final.NONE
    return Final.OTHER


_MARKED = {
    (Who.NEW, Stance.CURRENT): Flag.NEW,
    (Who.NEW, Stance.EVENT): Flag.NEW,
    (Who.OLD, Stance.CURRENT): Flag.OLD,
    (Who.NEW, Stance.NEGATED): Flag.NEGATED,
    (Who.NEW, Stance.ENDED): Flag.NEGATED,
    (Who.OLD, Stance.NEGATED): Flag.PAST,
    (Who.OLD, Stance.ENDED): Flag.PAST,
    (Who.OLD, Stance.WAS): Flag.PAST,
    (Who.NEW, Stance.WAS): Flag.PAST,
}


def _marks(
    mentions: Sequence[Mention],
    causes: Sequence[tuple[int, int]],
    verdicts: Sequence[tuple[int, int]],
) -> tuple[Mark, ...]:
    """Spans for highlighting, in order and without overlaps; names win over the rest."""
    wanted = [
        (m.start, m.end, _MARKED[m.who, m.stance]) for m in mentions if (m.who, m.stance) in _MARKED
    ]
    wanted += [(a, b, Flag.VERDICT) for a, b in verdicts]
    wanted += [(a, b, Flag.CAUSE) for a, b in causes]
    kept: list[Mark] = []
    for start, end, flag in wanted:
        if start < end and all(end <= k.start or start >= k.end for k in kept):
            kept.append(Mark(start=start, end=end, flag=flag))
    return tuple(sorted(kept, key=lambda mark: mark.start))
