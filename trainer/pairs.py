"""Which of a unit's training questions are about its own fact. Imports no torch."""

from __future__ import annotations

from knowledge.edits import EditUnit
from knowledge.questions import Question, QuestionKind, Use

KEPT_KINDS = frozenset({QuestionKind.NEIGHBOUR, QuestionKind.UNRELATED})
"""Questions whose answers an edit must not change."""


def training_pairs(
    unit: EditUnit, kinds: tuple[QuestionKind, ...] = ()
) -> list[tuple[int, Question]]:
    """The unit's training questions about its own fact, with their index, of the kinds asked for
    (empty: all). What must stay as it is (`companions`) is not among them."""
    asked = [(i, q) for i, q in enumerate(unit.asked(Use.TRAIN)) if q.kind not in KEPT_KINDS]
    return [(i, q) for i, q in asked if not kinds or q.kind in kinds]
