"""The verdict table: one row an output, made of flags. The only source of every metric.

Owns the row. Judges fill it (`evaluator.judge`, `evaluator.llm`), `evaluator.refutation` and
`evaluator.metrics` read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from evaluator.probes import Part
from knowledge.questions import QuestionKind


class Final(StrEnum):
    """What an output commits to in the end, measured against its question."""

    RIGHT = "right"
    LEGACY = "legacy"
    OTHER = "other"
    MIXED = "mixed"
    """Several answers at once, or an answer and its denial."""
    NONE = "none"
    """No answer: empty, refused, or too hedged to be one."""


class Cause(StrEnum):
    """What an output says about the cause of the change."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """Says that the cause is not known."""
    ABSENT = "absent"


class Flag(StrEnum):
    """What a marked span of the output shows; for highlighting."""

    NEW = "new"
    OLD = "old"
    NEGATED = "negated"
    PAST = "past"
    CAUSE = "cause"
    VERDICT = "verdict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A span of the output, offsets in characters, and what it was read as."""

    start: int
    end: int
    flag: Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement on one output.

    `asserts_new`, `negates_new`, `asserts_old_current` and `reaffirms_new` are about the edited
    fact; `final` is about the question (they differ for two-hop, reverse and before questions).
    `reaffirms_new`: the output ends on the new fact, undenied. `says_yes` is the yes or no given to
    a checked claim. `against`: that yes or no contradicts the new fact. An `error` says why there
    is no judgement; then no flag means anything, and the row counts in no metric but the number of
    errors.
    """

    probe: str
    part: Part
    kind: QuestionKind
    cluster: str
    asserts_new: bool = False
    negates_new: bool = False
    asserts_old_current: bool = False
    reaffirms_new: bool = False
    final: Final = Final.NONE
    says_yes: bool | None = None
    against: bool = False
    right: bool = False
    """The question is answered rightly, in the sense of its kind."""
    cause: Cause = Cause.ABSENT
    cause_known: bool = False
    cause_open: bool = False
    """Nobody says what the right cause would be: the row counts in no figure of rationales."""
    hedged: bool = False
    error: str | None = None
    marks: tuple[Mark, ...] = ()
