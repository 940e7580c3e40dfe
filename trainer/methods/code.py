"""CODE: causal bootstrapping (stage 1), then on-policy causal internalisation (stage 2)."""

from __future__ import annotations

import safetensors.torch

from knowledge.questions import Use
from trainer.bootstrap import Bootstrap, bootstrap
from trainer.companions import Companions, companions
from trainer.internalize import internalize
from trainer.journal import write_atomic
from trainer.methods.rows import companion_rows, row
from trainer.rollouts import make_pool
from trainer.session import Session
from trainer.sft import SftRows, fine_tune
from trainer.student import Row, add_frozen_copy, student_state


def train_code(session: Session, *, internalise: bool, sft_teacher: bool = False) -> None:
    """Both stages, or stage 1 alone (`code-sft-only`). With `sft_teacher` the teacher of stage 2
    is the student as stage 1 left it, frozen, with the narrative in its context."""
    recipe = session.recipe
    assert recipe.sft is not None
    taught = bootstrap(session)
    mixes = {"sft": recipe.sft.mix}
    if internalise:
        assert recipe.distil is not None
        mixes["distil"] = recipe.distil.mix
    asked = companions(session, max(mix.most_rows for mix in mixes.values()))
    beside = {
        stage: asked.at_most(mix.most_rows, session.seed(stage, "companions"))
        for stage, mix in mixes.items()
    }
    rows = SftRows(
        edits=_edit_rows(session, taught),
        replay=companion_rows(session, beside["sft"].replay),
        anchors=companion_rows(session, beside["sft"].anchors),
    )
    fine_tune(session, rows, recipe.sft, then="distil" if internalise else "end")
    if internalise:
        if sft_teacher and not session.is_past("distil"):
            _freeze_teacher(session)
        _internalise(session, taught, beside["distil"])


def _freeze_teacher(session: Session) -> None:
    """Put the student of stage 1 beside itself; it is read back when stage 2 is resumed."""
    path = session.directory / "teacher.safetensors"
    if not path.is_file():
        write_atomic(path, safetensors.torch.save(student_state(session.engine)))
    session.teacher = add_frozen_copy(session.engine, safetensors.torch.load(path.read_bytes()))


def _internalise(session: Session, taught: Bootstrap, beside: Companions) -> None:
    assert session.recipe.distil is not None
    internalize(session, make_pool(session, taught, beside), session.recipe.distil)


def _edit_rows(session: Session, taught: Bootstrap) -> list[Row]:
    questions = {(u.id, i): q for u in session.spec.units for i, q in enumerate(u.asked(Use.TRAIN))}
    return [row(session, questions[t.unit, t.question].text, t.text) for t in taught.trajectories]
