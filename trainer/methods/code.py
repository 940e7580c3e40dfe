"""CODE: causal bootstrapping (stage 1), then on-policy causal internalisation (stage 2)."""

from __future__ import annotations

from knowledge.questions import Use
from trainer.bootstrap import Bootstrap, bootstrap
from trainer.companions import Companions, companions
from trainer.internalize import internalize
from trainer.methods.rows import companion_rows, row
from trainer.rollouts import make_pool
from trainer.session import Session
from trainer.sft import SftRows, fine_tune
from trainer.student import Row


def train_code(session: Session, *, internalise: bool) -> None:
    """Both stages, or stage 1 alone (`code-sft-only`)."""
    recipe = session.recipe
    assert recipe.sft is not None
    taught = bootstrap(session)
    most = recipe.sft.mix.most_rows
    beside = companions(session, most)
    rows = SftRows(
        edits=_edit_rows(session, taught),
        replay=companion_rows(session, beside.replay),
        anchors=companion_rows(session, beside.anchors),
    )
    fine_tune(session, rows, recipe.sft, then="distil" if internalise else "end")
    if internalise:
        _internalise(session, taught, beside)


def _internalise(session: Session, taught: Bootstrap, beside: Companions) -> None:
    assert session.recipe.distil is not None
    internalize(session, make_pool(session, taught, beside), session.recipe.distil)


def _edit_rows(session: Session, taught: Bootstrap) -> list[Row]:
    questions = {(u.id, i): q for u in session.spec.units for i, q in enumerate(u.asked(Use.TRAIN))}
    return [row(session, questions[t.unit, t.question].text, t.text) for t in taught.trajectories]
