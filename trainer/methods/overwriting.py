"""Fine-tuning on given answers, without a teacher: what CODE is compared with.

Static overwriting teaches the new answer to the plain questions and nothing of why. CaKE adds
questions that use the fact as one step of two. Both have the same companions beside them as CODE,
so that what differs is what is taught of the edit.
"""

from __future__ import annotations

from knowledge.questions import QuestionKind, Use
from trainer.companions import companions
from trainer.methods.rows import companion_rows, row
from trainer.session import Session
from trainer.sft import SftRows, fine_tune

PLAIN_KINDS = frozenset({QuestionKind.DIRECT, QuestionKind.CLOZE})
CAKE_KINDS = PLAIN_KINDS | {QuestionKind.PARAPHRASE, QuestionKind.TWO_HOP}


def train_on_references(session: Session, kinds: frozenset[QuestionKind]) -> None:
    """Fine-tune on the reference answers to the units' training questions of some kinds."""
    settings = session.recipe.sft
    assert settings is not None
    beside = companions(session, settings.mix.most_rows)
    rows = SftRows(
        edits=[
            row(session, q.text, q.reference)
            for unit in session.spec.units
            for q in unit.asked(Use.TRAIN)
            if q.kind in kinds
        ],
        replay=companion_rows(session, beside.replay),
        anchors=companion_rows(session, beside.anchors),
    )
    fine_tune(session, rows, settings, then="end")
