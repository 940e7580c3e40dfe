"""Static overwriting: teach the new answer to the plain questions, and nothing of why.

The baseline that CODE is compared with. It has the same companions beside it, so that what differs
is what is taught of the edit.
"""

from __future__ import annotations

from knowledge.questions import QuestionKind, Use
from trainer.companions import companions
from trainer.methods.rows import companion_rows, row
from trainer.session import Session
from trainer.sft import SftRows, fine_tune

_PLAIN = (QuestionKind.DIRECT, QuestionKind.CLOZE)


def train_static_lora(session: Session) -> None:
    """Fine-tune on the reference answers to direct and cloze training questions."""
    settings = session.recipe.sft
    assert settings is not None
    beside = companions(session, settings.mix.most_rows)
    rows = SftRows(
        edits=[
            row(session, q.text, q.reference)
            for unit in session.spec.units
            for q in unit.asked(Use.TRAIN)
            if q.kind in _PLAIN
        ],
        replay=companion_rows(session, beside.replay),
        anchors=companion_rows(session, beside.anchors),
    )
    fine_tune(session, rows, settings, then="end")
