"""One run of one job: the resident model, the journal, the checkpoints, and where to go on.

Owns the order of things in a run; what a stage does is in `bootstrap`, `sft` and `internalize`, and
which stages run in `methods`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from knowledge.questions import Question, QuestionKind
from knowledge.rendering import closed_book
from trainer.checkpoints import Checkpoint, CheckpointStore
from trainer.checks import is_right
from trainer.engines.decoding import Completion, Decoding
from trainer.engines.precision import has_fast_bfloat16, products
from trainer.engines.replica import Replica
from trainer.engines.transformers import TransformersEngine
from trainer.engines.vllm import VllmSampler, VllmServer
from trainer.job import JobSpec
from trainer.journal import Journal, Listener
from trainer.pairs import training_pairs
from trainer.publish import publish, write_adapter
from trainer.recipe import Method, Recipe
from trainer.seeds import derive
from trainer.student import (
    PARENT,
    STUDENT,
    Optimizer,
    adapter_state,
    attach_student,
    checkpoint_layers,
    load_student_state,
    student_state,
)

_STAGES = ("sft", "distil", "end")
_RECALL_TOKENS = 48


@dataclass(slots=True)
class Session:
    """What every stage of a run works with."""

    directory: Path
    spec: JobSpec
    engine: TransformersEngine
    journal: Journal
    checkpoints: CheckpointStore
    resume: Checkpoint | None
    replica: Replica | None = None
    """What is sampled from; None: the engine itself."""
    server: VllmSampler | None = None
    """A vLLM server that is sampled from instead of either."""
    teacher: str | None = None
    """Name of the adapter under which the teacher of stage 2 reads narratives; None: the base."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """What was measured, for the manifest: a function of the job, so no times."""

    @property
    def recipe(self) -> Recipe:
        return self.spec.recipe

    @property
    def parent(self) -> str | None:
        """Name of the frozen adapter that teaches what must stay; None: the bare base."""
        return PARENT if self.spec.parent_adapter else None

    def seed(self, *parts: object) -> int:
        return derive(self.spec.seed, *parts)

    def is_past(self, stage: str) -> bool:
        """Whether the run that is resumed had finished that stage."""
        return self.resume is not None and _STAGES.index(self.resume.stage) > _STAGES.index(stage)

    def enter(self, stage: str, optimizer: Optimizer) -> Checkpoint | None:
        """The checkpoint inside that stage to go on from, with the optimizer put back."""
        if self.resume is None or self.resume.stage != stage or self.resume.step == 0:
            return None
        optimizer.load(self.resume.optimizer)
        return self.resume

    def save(
        self,
        stage: str,
        step: int,
        optimizer: Optimizer | None = None,
        state: dict[str, Any] | None = None,
    ) -> None:
        self.checkpoints.save(
            Checkpoint(
                stage=stage,
                step=step,
                student=student_state(self.engine),
                optimizer=optimizer.state() if optimizer else {},
                state={**(state or {}), "metrics": self.metrics},
                metrics_bytes=self.journal.metrics_bytes,
            )
        )

    def training(self, stage: str, step: int, *, dropout: bool = True) -> None:
        """Seed torch for one step, switch dropout on where the recipe has any and the stage takes
        it, and activation checkpointing where the recipe asks for it."""
        torch.manual_seed(self.seed(stage, "torch", step))
        self.engine.model.train(dropout and self.recipe.lora.dropout > 0)
        if self.recipe.engine.activation_checkpointing:
            checkpoint_layers(self.engine)

    def products(self) -> AbstractContextManager[object]:
        """The precision of a training pass through the decoder."""
        return products(self.recipe.engine.products, self.engine.network.device)

    def sample(
        self, prompts: Sequence[Sequence[int]], how: Decoding, seed: int, name: str | None
    ) -> list[list[Completion]]:
        """Completions of prompts under an adapter (None: the base), one list a prompt."""
        self.engine.model.eval()
        if self.server:
            return self.server.sample(prompts, how, seed, self._served(name))
        with self.engine.using(name):
            network = self.replica.network(name) if self.replica and prompts else None
            return self.engine.sample(prompts, how, seed, network)

    def _served(self, name: str | None) -> str | None:
        """The name under which the vLLM server has that adapter, as it is now."""
        if name is None or self.server is None:
            return None
        weights = adapter_state(self.engine, name)
        raw = (weights[n].view(torch.uint8).numpy().tobytes() for n in sorted(weights))
        digest = hashlib.sha256(b"".join(raw))
        return self.server.load(
            digest.hexdigest(), lambda folder: write_adapter(folder, self.engine, name)
        )

    def greedy(self, questions: list[Question], name: str | None, tokens: int) -> list[str | None]:
        """Closed-book greedy answers under an adapter; None for an answer that was cut."""
        prompts = [self.engine.chat.prompt(closed_book(q.text)) for q in questions]
        how = Decoding(max_new_tokens=tokens, batch_rows=self.recipe.engine.batch_rows)
        rows = self.sample(prompts, how, 0, name)
        return [self.engine.chat.text(r[0].ids) if r[0].finished else None for r in rows]

    def recall(self) -> float:
        """Share of the units' direct training questions that the student answers rightly."""
        plain = (QuestionKind.DIRECT,)
        questions = [q for u in self.spec.units for _, q in training_pairs(u, plain)]
        answers = self.greedy(questions, STUDENT, _RECALL_TOKENS)
        right = [a is not None and is_right(q, a) for q, a in zip(questions, answers, strict=True)]
        return sum(right) / len(right) if right else 0.0


def train(directory: Path, spec: JobSpec, listener: Listener | None) -> Path:
    """Run the job's method and publish its adapter; the folder. Raises TrainerError."""
    from trainer.methods import run_method

    settings = spec.recipe.engine
    engine = TransformersEngine.load(
        spec.base,
        device=settings.device or None,
        threads=settings.threads or None,
        dtype=settings.dtype,
        quantization=settings.quantization,
        attention=settings.attention,
        batch_rows=settings.batch_rows,
    )
    replica = Replica(engine) if _wants_replica(spec.recipe, engine) else None
    parent = Path(spec.parent_adapter) if spec.parent_adapter else None
    attach_student(engine, spec.recipe, parent, spec.seed)
    store = CheckpointStore(directory, spec.digest)
    journal = Journal(directory, listener)
    server = _server(spec.recipe, engine, directory)
    resume = store.latest(lambda text: journal.progress("resume", 0, 1, warning=text))
    session = Session(directory, spec, engine, journal, store, resume, replica, server)
    if session.resume:
        load_student_state(engine, session.resume.student)
        session.metrics.update(session.resume.state["metrics"])
    journal.rewind_metrics(session.resume.metrics_bytes if session.resume else 0)
    run_method(session)
    if spec.recipe.method not in (Method.NONE, Method.IN_CONTEXT):
        session.metrics["recall_of_direct_questions"] = round(session.recall(), 4)
        journal.metric(stage="end", **session.metrics)
    if server:
        server.close()
    journal.progress("publish", 1, 1)
    adapter = publish(directory, spec, engine, session.metrics)
    store.clear()
    return adapter


def _wants_replica(recipe: Recipe, engine: TransformersEngine) -> bool:
    wanted, device = recipe.engine.sampler, engine.device
    if wanted == "auto":
        return device.type == "cpu" and has_fast_bfloat16(device)
    return wanted == "replica"


def _server(recipe: Recipe, engine: TransformersEngine, directory: Path) -> VllmSampler | None:
    settings = recipe.engine
    if settings.sampler != "vllm":
        return None
    server = VllmServer(url=settings.vllm_url, base=settings.vllm_base)
    return VllmSampler(server, directory / "rollout-adapters", engine.chat.end_ids)
