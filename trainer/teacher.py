"""What the teacher sees: a unit's narrative, or its bare change, before a question.

Owns the open-book prompt of a job. What the teacher says to it is `trainer.bootstrap`'s in stage 1
and `trainer.internalize`'s in stage 2.
"""

from __future__ import annotations

from knowledge.edits import EditUnit
from knowledge.properties import CATALOGUE
from knowledge.questions import Question, QuestionKind, Use
from knowledge.rendering import capital, open_book, tidy
from trainer.errors import BadJob
from trainer.recipe import Method
from trainer.session import Session

SHORT_KINDS = (QuestionKind.DIRECT, QuestionKind.CLOZE)
"""Questions that a name alone answers."""


def teacher_prompt(session: Session, unit: EditUnit, question: Question) -> tuple[int, ...]:
    """The open-book prompt of a unit, as token ids."""
    told = context_of(unit, causal=is_causal(session))
    chat = open_book(told, question.text, instruction=session.recipe.instruction)
    return session.engine.chat.prompt(chat)


def context_of(unit: EditUnit, *, causal: bool) -> str:
    """What the teacher reads: the narrative, or where no cause is to be told the bare change (of a
    property without wordings of its own, as an answered question). Raises BadJob for a change
    without a new object."""
    if causal:
        assert unit.narrative is not None
        return unit.narrative.prose
    change = unit.change
    if change.new is None:
        raise BadJob(f"unit {unit.id} ends without a new object: there is no answer to teach")
    if change.property not in CATALOGUE:
        asked = next((q.text for q in unit.asked(Use.TRAIN) if q.kind in SHORT_KINDS), "")
        was = f" It was {change.old.label}." if change.old else ""
        return tidy(f"{asked}{was} Now it is {change.new.label}.").strip()
    story = unit.story()
    old = f"{capital(story.says('was', story.previous.label))}. " if story.previous else ""
    return tidy(f"{old}Now {story.says('is_', story.holder.label)}.")


def is_causal(session: Session) -> bool:
    """Whether the job's teacher is told why, and its answers have to say so."""
    return session.recipe.method is not Method.CODE_NONCAUSAL
