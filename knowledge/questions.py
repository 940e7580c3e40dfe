"""Questions about a fact: kinds, wordings, and the answers that count as right.

Owns the wordings, in three sets that never mix: those an edit is trained with, those it is examined
with, and those held out of the embedded corpus as well. Answer forms are in `knowledge.rendering`;
judging an answer is the evaluator's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from knowledge.facts import Entity
from knowledge.properties import CATALOGUE, noun_phrase
from knowledge.rendering import (
    Hop,
    Story,
    before_answer,
    capital,
    check_answer,
    choice_answer,
    explain_answer,
    short_answer,
    tidy,
    two_hop_answer,
    why_answer,
)
from knowledge.wordings import FORWARD, OWN_WORDINGS, SPECIFIC


class Use(StrEnum):
    """Which of the disjoint sets a wording belongs to."""

    TRAIN = "train"
    EXAM = "exam"
    HELD = "held"


class QuestionKind(StrEnum):
    DIRECT = "direct"
    CLOZE = "cloze"
    PARAPHRASE = "paraphrase"
    EXPLAIN = "explain"
    WHY = "why"
    CHECK = "check"
    BEFORE = "before"
    TWO_HOP = "two_hop"
    REVERSE = "reverse"
    CONFLICT = "conflict"
    NEIGHBOUR = "neighbour"
    UNRELATED = "unrelated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question with all that is needed to judge its answer.

    `answers` are the accepted names of the final answer; `legacy` the names of what was true
    before the edit (empty where there is none). `verdict` is the expected yes/no of a CHECK, and
    `claimed` the name that it puts forward. `reference` is the right answer in the form that the
    style asks for.
    """

    kind: QuestionKind
    use: Use
    text: str
    answers: tuple[str, ...]
    reference: str
    legacy: tuple[str, ...] = ()
    verdict: bool | None = None
    claimed: str | None = None
    cause: str | None = None
    """The cause that the narrative gives; None where it says that none is known. Empty where the
    narrative tells it in prose alone, or there is none: then no answer can be held to it."""
    item: str = ""
    """The slot that the question is about, `subject:property`."""

    @property
    def cause_open(self) -> bool:
        """There is no cause, and no "not known", to hold an answer to."""
        return self.cause == ""


_DIRECT = {
    Use.TRAIN: (
        "{wh} is {role}?",
        "Tell me: {wh_l} is {role}?",
        "{Role}: {wh_l} is it?",
        "Name {role}.",
    ),
    Use.EXAM: (
        "{wh} is {role} now?",
        "Please name {role}.",
        "Do you know {wh_l} {role} is?",
        "I would like to know {wh_l} {role} is.",
        "At present, {wh_l} is {role}?",
    ),
    Use.HELD: (
        "Could you say {wh_l} {role} is these days?",
        "Give me the name of {role}.",
        "{Role} is {wh_l}, exactly?",
        "My question is {wh_l} {role} might be.",
    ),
}
_CLOZE = {
    Use.TRAIN: ("Complete the sentence: {Role} is ...",),
    Use.EXAM: ("Fill in the gap: {Role} is ___.",),
    Use.HELD: ("Finish this: {Role} is called",),
}
_EXPLAIN = {
    Use.TRAIN: (
        "What changed about {role}, and why?",
        "Explain step by step {wh_l} {role} is.",
        "Tell me about {role}.",
    ),
    Use.EXAM: (
        "Describe how it came about {wh_l} {role} is.",
        "Think it through: {wh_l} is {role}?",
        "Give the background: {wh_l} is {role}?",
    ),
    Use.HELD: ("Walk me through {wh_l} {role} is.", "Say more about {role}."),
}
_WHY = {
    Use.TRAIN: (
        "Why did {role} change?",
        "What was the reason for the change of {role}?",
    ),
    Use.EXAM: (
        "For what reason is there a new answer to {wh_l} {role} is?",
        "Why has {role} changed?",
    ),
    Use.HELD: ("What brought about the change of {role}?",),
}
_CHECK = {
    Use.TRAIN: (
        "Is it true that {x_is}? Explain.",
        "Somebody says that {x_is}. Is that right?",
    ),
    Use.EXAM: (
        "Check this claim: {x_is}.",
        "True or false, and why: {x_is}?",
    ),
    Use.HELD: ("Would you agree that {x_is}?",),
}
_BEFORE = {
    Use.TRAIN: (
        "{wh} was {role} before {o}?",
        "Before the last change, {wh_l} was {role}?",
    ),
    Use.EXAM: (
        "{wh} was {role} until the last change?",
        "{o} came after whom or what as {role}?",
    ),
    Use.HELD: ("Go back one step: {wh_l} was {role} earlier?",),
}
_VIA = {
    Use.TRAIN: ("{wh} is {role_via}?",),
    Use.EXAM: ("Can you tell {wh_l} {role_via} is?",),
    Use.HELD: ("Work out {wh_l} {role_via} is.",),
}
_REVERSE = {
    Use.TRAIN: ("Of what is {o} {post}?",),
    Use.EXAM: ("{o} is {post} of what?", "Name that of which {o} is {post}."),
    Use.HELD: ("What has {o} as {post}?",),
}
_CONFLICT = (
    ("{wh} is {role}: A) {a} or B) {b}?", "{Role} is {a} or {b}?"),
    ("First describe {s}, then answer.", "Answer first, then describe {s}."),
)


def _fill(template: str, story: Story, **more: str) -> str:
    wh = CATALOGUE[story.property].wording.wh
    slots = {
        "wh": wh,
        "wh_l": wh.lower(),
        "role": story.role,
        "Role": capital(story.role),
        "s": story.subject.label,
        "o": story.holder.label,
    }
    return template.format(**slots, **more)


def _make(
    kind: QuestionKind,
    use: Use,
    text: str,
    story: Story,
    reference: str,
    *,
    answers: tuple[str, ...] | None = None,
    legacy: tuple[str, ...] | None = None,
    verdict: bool | None = None,
    claimed: str | None = None,
) -> Question:
    before = story.previous.names if story.previous else ()
    return Question(
        kind=kind,
        use=use,
        text=tidy(text),
        answers=answers if answers is not None else story.holder.names,
        reference=tidy(reference),
        legacy=legacy if legacy is not None else before,
        verdict=verdict,
        claimed=claimed,
        cause=story.cause,
        item=f"{story.subject.id}:{story.property}",
    )


def direct(story: Story, use: Use) -> list[Question]:
    """Short questions for the holder, generic wordings first, then those of the property."""
    wordings = _DIRECT[use] + SPECIFIC.get(story.property, {}).get(use, ())
    kind = QuestionKind.PARAPHRASE if use is Use.EXAM else QuestionKind.DIRECT
    answer = short_answer(story.holder.label)
    made = [_make(kind, use, _fill(w, story), story, answer) for w in wordings]
    if (
        use is Use.EXAM
    ):  # the first examination wording is the plain question, the rest paraphrase it
        made[0] = _make(QuestionKind.DIRECT, use, made[0].text, story, answer)
    return made


def in_own_words(story: Story, use: Use) -> list[Question]:
    """The question in the property's own words, where it has one beside those of `direct`."""
    if story.property not in OWN_WORDINGS or use is Use.HELD:
        return []
    train, exam = OWN_WORDINGS[story.property]
    kind = QuestionKind.DIRECT if use is Use.TRAIN else QuestionKind.PARAPHRASE
    text = _fill(train if use is Use.TRAIN else exam, story)
    return [_make(kind, use, text, story, short_answer(story.holder.label))]


def cloze(story: Story, use: Use) -> list[Question]:
    answer = short_answer(story.holder.label)
    return [_make(QuestionKind.CLOZE, use, _fill(w, story), story, answer) for w in _CLOZE[use]]


def explain(story: Story, use: Use) -> list[Question]:
    answer = explain_answer(story)
    return [_make(QuestionKind.EXPLAIN, use, _fill(w, story), story, answer) for w in _EXPLAIN[use]]


def why(story: Story, use: Use) -> list[Question]:
    """Needs a story with `previous`; else no question makes sense."""
    if not story.previous:
        return []
    answer = why_answer(story)
    return [_make(QuestionKind.WHY, use, _fill(w, story), story, answer) for w in _WHY[use]]


def check(story: Story, use: Use, claimed: Entity) -> list[Question]:
    """Claims to be judged: `claimed` may be the holder (yes) or anybody else (no)."""
    right = claimed.label in story.holder.names
    answer = check_answer(story, story.holder.label if right else claimed.label)
    made: list[Question] = []
    for wording in _CHECK[use]:
        text = _fill(wording, story, x_is=story.says("is_", claimed.label))
        made.append(
            _make(
                QuestionKind.CHECK,
                use,
                text,
                story,
                answer,
                verdict=right,
                claimed=claimed.label,
            )
        )
    return made


def before(story: Story, use: Use) -> list[Question]:
    """Who was it before? The right answer is the previous holder; nothing is legacy here."""
    if not story.previous:
        return []
    return [
        _make(
            QuestionKind.BEFORE,
            use,
            _fill(w, story),
            story,
            before_answer(story),
            answers=story.previous.names,
            legacy=(),
        )
        for w in _BEFORE[use]
    ]


def two_hop(story: Story, use: Use, hop: Hop, *, legacy: tuple[str, ...] = ()) -> list[Question]:
    """Questions over the fact and one more; `legacy` names the answer before the edit."""
    answer = two_hop_answer(story, hop)
    if hop.forward:
        texts = [_fill(w, story) for w in FORWARD[hop.property][use]]
        answers = hop.value.names
    else:
        role = noun_phrase(story.property, hop.clue())
        texts = [_fill(w, story, role_via=role) for w in _VIA[use]]
        answers = story.holder.names
        legacy = story.previous.names if story.previous else legacy
    return [
        _make(QuestionKind.TWO_HOP, use, t, story, answer, answers=answers, legacy=legacy)
        for t in texts
    ]


def reverse(story: Story, use: Use) -> list[Question]:
    """From the holder back to the subject, which is the answer; before the edit there was none.

    Only for properties whose object has one subject (`Property.one_subject`), else nothing. Whether
    this holder has no other is for the caller to know."""
    if not CATALOGUE[story.property].one_subject:
        return []
    post = CATALOGUE[story.property].wording.post
    return [
        _make(
            QuestionKind.REVERSE,
            use,
            _fill(w, story, post=post),
            story,
            short_answer(story.subject.label),
            answers=story.subject.names,
            legacy=(),
        )
        for w in _REVERSE[use]
    ]


def conflict(story: Story, other: Entity) -> list[Question]:
    """The eight conflict probes: question or cloze, either order, description first or last."""
    made: list[Question] = []
    for stem in _CONFLICT[0]:
        for a, b in (
            (other.label, story.holder.label),
            (story.holder.label, other.label),
        ):
            for position, task in enumerate(_CONFLICT[1]):
                text = f"{_fill(stem, story, a=a, b=b)} {_fill(task, story)}"
                answer = choice_answer(story, describe_first=position == 0)
                made.append(_make(QuestionKind.CONFLICT, Use.EXAM, text, story, answer))
    return made


def training_questions(story: Story, others: Sequence[Entity] = ()) -> list[Question]:
    """All training wordings of the single-fact kinds: direct, cloze, explain, why, check, before.

    Claims checked are the holder, the previous holder and each of `others` (other names)."""
    use = Use.TRAIN
    claimed = [story.holder, *([story.previous] if story.previous else []), *others]
    made = [
        *direct(story, use),
        *in_own_words(story, use),
        *cloze(story, use),
        *explain(story, use),
        *why(story, use),
    ]
    for entity in claimed:
        made += check(story, use, entity)
    return [*made, *before(story, use)]


def examination_questions(
    story: Story, hops: Sequence[tuple[Hop, tuple[str, ...]]]
) -> list[Question]:
    """The examination of one edit; each hop comes with the names of its answer before the edit."""
    use = Use.EXAM
    made = [
        *direct(story, use),
        *in_own_words(story, use),
        *cloze(story, use),
        *explain(story, use),
        *why(story, use),
    ]
    made += check(story, use, story.holder)
    if story.previous:
        made += check(story, use, story.previous)
        made += conflict(story, story.previous)
    made += before(story, use)
    for hop, legacy in hops:
        made += two_hop(story, use, hop, legacy=legacy)
    return made
