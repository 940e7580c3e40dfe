"""Ways to train, behind one interface: a method takes a session and leaves a trained student."""

from __future__ import annotations

from trainer.methods.code import train_code
from trainer.methods.static_lora import train_static_lora
from trainer.session import Session


def run_method(session: Session) -> None:
    """Run the method that the job's recipe names. Raises TrainerError."""
    match session.recipe.method:
        case "code":
            train_code(session, internalise=True)
        case "code-sft-only":
            train_code(session, internalise=False)
        case "static-lora":
            train_static_lora(session)
        case "none":
            pass  # the adapter stays the parent's, or one without effect
