"""TRL's own self-distillation trainer (SDFT) on the same units: a rival, and the clock of a step.

Owns the translation of a job into TRL's arguments and rows. The narrative stands in the system
message, where the base reads it; TRL's template can only put it into the user's turn. TRL cannot
resume to the same bytes, so a run that broke off begins this stage anew.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # the version is pinned for that reason
from trl.experimental.sdft import SDFTConfig, SDFTTrainer
from trl.experimental.sdft.sdft_trainer import (
    DemonstrationTeacherContextBuilder,
)

from knowledge.edits import EditUnit
from trainer.companions import companions
from trainer.engines.transformers import TransformersEngine
from trainer.errors import BadJob, TrainingDiverged
from trainer.pairs import training_pairs
from trainer.recipe import DistilSettings
from trainer.seeds import Shuffled, shares
from trainer.session import Session
from trainer.student import STUDENT, student_parameters
from trainer.teacher import context_of

STAGE = "sdft"


@dataclass(frozen=True, slots=True, kw_only=True)
class SdftRow:
    """A question; its teacher reads `context` beside it ("": nothing)."""

    question: str
    context: str


def train_sdft(session: Session) -> None:
    """Distil the open-book base into the student with TRL, all questions, without a gate."""
    if session.is_past("distil"):
        return
    settings = session.recipe.distil
    assert settings is not None
    beside = companions(session, settings.mix.most_rows)
    told = [(unit, unit_rows(unit)) for unit in session.spec.units]
    edits = [row for _, rows in told for row in rows]
    kept = [
        [SdftRow(question=c.question, context="") for c in source]
        for source in (beside.replay, beside.anchors)
    ]
    counts = shares(
        settings.prompts,
        settings.mix.replay_share,
        settings.mix.anchor_share,
        have=(bool(kept[0]), bool(kept[1])),
    )
    if len(edits) < counts[0]:
        raise BadJob(
            f"the job has {len(edits)} questions, fewer than the {counts[0]} of a batch: "
            "lower distil.prompts or add units"
        )
    steps = settings.total_steps(len(session.spec.units))
    streams = [Shuffled(s, session.seed(STAGE, n)) for n, s in enumerate((edits, *kept))]
    rows = [
        row
        for step in range(steps)
        for stream, n in zip(streams, counts, strict=True)
        for row in stream.take(step * n, n)
    ]

    def noted(step: int, loss: float) -> None:
        session.journal.progress(STAGE, step, steps, loss=round(loss, 4))

    on_cpu, seed = session.engine.device.type == "cpu", session.seed(STAGE, "trl")
    with tempfile.TemporaryDirectory() as scratch, session.engine.using(STUDENT):
        arguments = make_arguments(settings, steps, scratch, cpu=on_cpu, seed=seed)
        last = run_trainer(make_trainer(session.engine, rows, arguments, noted), steps)
    session.metrics[STAGE] = {"steps": steps, "last_loss": round(last, 6)}
    session.save("end", 0)


def unit_rows(unit: EditUnit) -> list[SdftRow]:
    """The training questions of a unit with its narrative."""
    told = context_of(unit, causal=True)
    return [SdftRow(question=q.text, context=told) for _, q in training_pairs(unit)]


class _InSystemMessage(DemonstrationTeacherContextBuilder):
    """The teacher's prompt as this project writes it: the context in the system message."""

    def _compose_teacher_prompt(self, prompt: Any, privileged_context: Any) -> Any:
        if not privileged_context:
            return prompt
        return [{"role": "system", "content": privileged_context}, *prompt]


class _Notes(TrainerCallback):
    def __init__(self, noted: Callable[[int, float], None]) -> None:
        self._noted = noted

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
        if logs and "loss" in logs:
            self._noted(state.global_step, float(logs["loss"]))


def make_trainer(
    engine: TransformersEngine,
    rows: Sequence[SdftRow],
    arguments: SDFTConfig,
    noted: Callable[[int, float], None],
) -> SDFTTrainer:
    """A trainer over the engine's model, student active, that takes the rows in their order."""
    data = Dataset.from_list(
        [
            {
                "prompt": [{"role": "user", "content": row.question}],
                "privileged_context": row.context,
            }
            for row in rows
        ]
    )
    trainer = SDFTTrainer(
        model=engine.model,
        args=arguments,
        train_dataset=data,
        processing_class=engine.chat.tokenizer,
        callbacks=[_Notes(noted)],
    )
    trainer.remove_callback(PrinterCallback)  # progress is the journal's
    trainer.teacher_context_builder = _InSystemMessage(trainer)
    for parameter in student_parameters(engine).values():
        parameter.requires_grad_(True)
    return trainer


def make_arguments(
    settings: DistilSettings, steps: int, scratch: str, *, cpu: bool, seed: int, bf16: bool = False
) -> SDFTConfig:
    """TRL's arguments: `settings.prompts` distinct prompts a step, `settings.rollouts` answers to
    each."""
    divergence = {"forward": 0.0, "reverse": 1.0, "jsd": settings.beta}[settings.divergence]
    return SDFTConfig(
        output_dir=scratch,
        seed=seed % 2**31,
        max_steps=steps,
        per_device_train_batch_size=settings.prompts * settings.rollouts,
        num_generations=settings.rollouts,
        learning_rate=settings.optim.learning_rate,
        lr_scheduler_type=settings.optim.schedule,
        warmup_steps=round(settings.optim.warmup_share * steps),
        max_grad_norm=settings.optim.clip,
        weight_decay=settings.optim.weight_decay,
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_completion_length=settings.max_new_tokens,
        max_prompt_length=None,
        distillation_mode="topk_logits" if settings.top_k else "full_logits",
        distillation_topk=settings.top_k or None,
        distillation_add_tail=settings.tail,
        distillation_alpha=divergence,
        distillation_is_clip=settings.importance_cap,
        teacher_model_kind="base",
        shuffle_dataset=False,
        bf16=bf16,
        use_cpu=cpu,
        gradient_checkpointing=False,
        report_to="none",
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def run_trainer(trainer: SDFTTrainer, steps: int) -> float:
    """Train; the last loss. Raises BadJob for steps that TRL left out, TrainingDiverged for a loss
    that is no number."""
    loss = float(trainer.train().training_loss)
    if trainer.state.global_step != steps:
        raise BadJob(
            f"TRL made {trainer.state.global_step} of {steps} steps: its batch is larger than the "
            "rows that it was given"
        )
    if not math.isfinite(loss):
        raise TrainingDiverged(f"the loss of {STAGE} is {loss}: lower the learning rate")
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    torch.set_grad_enabled(True)
    return float(logged[-1]) if logged else loss
