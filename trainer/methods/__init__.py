"""Ways to train, behind one interface: a method takes a session and leaves a trained student.

code               both stages, forward divergence
code-reverse-kl    both stages, KL(student || teacher)
code-noncausal     both stages; the teacher reads old and new answer, no narrative
code-cake          both stages on what `cake` is trained on
code-teacher-sft   both stages; the teacher of stage 2 is the frozen student of stage 1
code-sft-only      stage 1 alone
static-lora        the new answer to the plain questions, nothing of why
cake               reference answers to paraphrases and to questions that use the fact
sdft               TRL's own self-distillation trainer, from the base, one stage
in-context, none   no training
"""

from __future__ import annotations

from trainer.methods.code import train_code
from trainer.methods.overwriting import CAKE_KINDS, PLAIN_KINDS, train_on_references
from trainer.recipe import Method
from trainer.session import Session


def run_method(session: Session) -> None:
    """Run the method that the job's recipe names. Raises TrainerError."""
    match session.recipe.method:
        case (
            Method.CODE | Method.CODE_REVERSE_KL | Method.CODE_NONCAUSAL | Method.CODE_CAKE
        ):  # what differs is in the recipe, in the teacher's prompt and in the units
            train_code(session, internalise=True)
        case Method.CODE_TEACHER_SFT:
            train_code(session, internalise=True, sft_teacher=True)
        case Method.CODE_SFT_ONLY:
            train_code(session, internalise=False)
        case Method.STATIC_LORA:
            train_on_references(session, PLAIN_KINDS)
        case Method.CAKE:
            train_on_references(session, CAKE_KINDS)
        case Method.SDFT:
            from trainer.methods.sdft import train_sdft  # loads TRL

            train_sdft(session)
        case Method.IN_CONTEXT | Method.NONE:
            pass  # the adapter stays the parent's, or one without effect
