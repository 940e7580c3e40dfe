"""The student: the trainable adapter, its optimizer, and hidden states at answer positions.

The base's weights are shared with the teacher; only the adapter named `student` ever changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache
from transformers.modeling_layers import GradientCheckpointingLayer

from trainer.engines.cache import left_pad, position_ids, right_pad
from trainer.engines.decoding import Network
from trainer.engines.transformers import TransformersEngine
from trainer.errors import BadAdapter, TrainingDiverged
from trainer.recipe import LoraSettings, OptimSettings, Recipe
from trainer.seeds import derive

STUDENT = "student"
PARENT = "parent"
TEACHER = "teacher"

Row = tuple[Sequence[int], Sequence[int]]
"""Prompt ids and answer ids."""


def attach_student(
    engine: TransformersEngine, recipe: Recipe, parent: Path | None, seed: int
) -> None:
    """Put the trainable adapter on the engine: a copy of the parent's, or a fresh one without
    effect. A parent is resident a second time, frozen, as the teacher of what must stay."""
    if parent is not None:
        engine.load_adapter(PARENT, parent)
        engine.load_adapter(STUDENT, parent, trainable=True)
        _check_shape(engine.model.peft_config[STUDENT], recipe.lora, parent)
    else:
        _add_fresh(engine, recipe.lora, derive(seed, "lora"))
    if recipe.engine.activation_checkpointing:
        inner: Any = engine.model.get_base_model()
        inner.gradient_checkpointing_enable()
        inner.enable_input_require_grads()


def checkpoint_layers(engine: TransformersEngine) -> None:
    """Let the layers compute their activations anew in the backward pass until the model is put
    into another mode. transformers does so for layers in training mode; they alone are put into it,
    so that no dropout inside of them comes on."""
    for module in engine.network.decoder.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.training = True


def _add_fresh(engine: TransformersEngine, lora: LoraSettings, seed: int) -> None:
    from peft import LoraConfig, get_peft_model

    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        bias="none",
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(seed)
    engine.model = get_peft_model(engine.model, config, adapter_name=STUDENT)
    engine.register(STUDENT, "in training")


def _check_shape(config: Any, lora: LoraSettings, parent: Path) -> None:
    if (config.r, config.lora_alpha) != (lora.rank, lora.alpha):
        raise BadAdapter(
            f"the parent adapter in {parent} has rank {config.r} and alpha {config.lora_alpha}, "
            f"the recipe wants {lora.rank} and {lora.alpha}: use the parent's, or retrain from base"
        )


def add_frozen_copy(engine: TransformersEngine, state: dict[str, Tensor]) -> str:
    """Make weights of the student resident as an adapter of its own; its name."""
    engine.model.add_adapter(TEACHER, engine.model.peft_config[STUDENT])
    mark, own = f".{TEACHER}.", f".{STUDENT}."
    with torch.no_grad():
        for name, parameter in engine.model.named_parameters():
            if mark in name:
                parameter.copy_(state[name.replace(mark, own)])
                parameter.requires_grad_(False)
    engine.register(TEACHER, "stage 1")
    return TEACHER


def student_parameters(engine: TransformersEngine) -> dict[str, torch.nn.Parameter]:
    """The adapter's parameters by name, in the order of the model."""
    mark = f".{STUDENT}."
    return {n: p for n, p in engine.model.named_parameters() if mark in n}


def student_state(engine: TransformersEngine) -> dict[str, Tensor]:
    """A copy of the student's weights, on the CPU."""
    return adapter_state(engine, STUDENT)


def adapter_state(engine: TransformersEngine, name: str) -> dict[str, Tensor]:
    """A copy of a resident adapter's weights, on the CPU."""
    mark = f".{name}."
    found = {n: p for n, p in engine.model.named_parameters() if mark in n}
    return {n: p.detach().to("cpu", copy=True).contiguous() for n, p in found.items()}


def load_student_state(engine: TransformersEngine, state: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in student_parameters(engine).items():
            parameter.copy_(state[name])


class Optimizer:
    """AdamW over the student with a schedule that is a pure function of the step."""

    def __init__(self, engine: TransformersEngine, settings: OptimSettings, steps: int) -> None:
        self._settings = settings
        self._steps = steps
        self._parameters = list(student_parameters(engine).values())
        self._adamw = torch.optim.AdamW(
            self._parameters,
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            foreach=True,
        )

    def learning_rate(self, step: int) -> float:
        """The rate of step `step`, counted from 0."""
        settings = self._settings
        warmup = round(settings.warmup_share * self._steps)
        if step < warmup:
            return settings.learning_rate * (step + 1) / warmup
        done = (step - warmup) / max(1, self._steps - warmup)
        if settings.schedule == "linear":
            return settings.learning_rate * (1 - 0.9 * done)
        if settings.schedule == "cosine":
            return settings.learning_rate * (0.5 + 0.5 * math.cos(math.pi * done))
        return settings.learning_rate

    def step(self, step: int, where: str) -> float:
        """Apply the gradients that lie on the parameters; their norm. Raises TrainingDiverged."""
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, self._settings.clip))
        if not math.isfinite(norm):
            raise TrainingDiverged(
                f"the gradient of {where} step {step} is {norm}: lower the learning rate"
            )
        for group in self._adamw.param_groups:
            group["lr"] = self.learning_rate(step)
        self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)
        return norm

    def state(self) -> dict[str, Any]:
        return self._adamw.state_dict()

    def load(self, state: dict[str, Any]) -> None:
        self._adamw.load_state_dict(state)


def check_loss(loss: float, where: str, step: int) -> None:
    """Raises TrainingDiverged for a loss that is no number."""
    if not math.isfinite(loss):
        raise TrainingDiverged(
            f"the loss of {where} step {step} is {loss}: lower the learning rate or check the base"
        )


def answer_targets(rows: Sequence[Row], device: torch.device) -> Tensor:
    """The answers' ids one after another, [N]."""
    return torch.tensor([t for _, answer in rows for t in answer], device=device)


def answer_hidden(network: Network, rows: Sequence[Row]) -> Tensor:
    """Last hidden states at the positions that predict the answers' tokens, packed as in
    `answer_targets`: [N, d]. Rows are padded on the right, so causal attention needs no mask."""
    ids = [[*prompt, *answer[:-1]] for prompt, answer in rows]
    padded = right_pad(ids, network.pad_id, network.device)
    hidden = network.decoder(input_ids=padded, use_cache=False).last_hidden_state
    width = padded.shape[1]
    flat = [
        row * width + len(prompt) - 1 + offset
        for row, (prompt, answer) in enumerate(rows)
        for offset in range(len(answer))
    ]
    return hidden.flatten(0, 1)[torch.tensor(flat, device=network.device)]


@torch.no_grad()
def answer_hidden_shared(
    network: Network, groups: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]]
) -> Tensor:
    """As `answer_hidden` for prompts with several answers each; each prompt is encoded once."""
    rows = [(list(prompt), list(a)) for prompt, answers in groups for a in answers]
    if any(len(prompt) < 2 for prompt, _ in groups):
        return answer_hidden(network, rows)
    device = network.device
    prefix, mask = left_pad([list(p[:-1]) for p, _ in groups], network.pad_id, device)
    cache = DynamicCache()
    network.decoder(
        input_ids=prefix,
        attention_mask=mask,
        position_ids=position_ids(mask),
        past_key_values=cache,
        use_cache=True,
    )
    counts = torch.tensor([len(answers) for _, answers in groups], device=device)
    owner = torch.arange(len(groups), device=device).repeat_interleave(counts)
    cache.batch_select_indices(owner)
    tails = [[prompt[-1], *answer[:-1]] for prompt, answer in rows]
    ids = right_pad(tails, network.pad_id, device)
    start = mask.sum(-1)[owner]
    steps = torch.arange(ids.shape[1], device=device)
    hidden = network.decoder(
        input_ids=ids,
        attention_mask=torch.cat([mask[owner], mask.new_ones(ids.shape)], dim=1),
        position_ids=start[:, None] + steps[None],
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    width = ids.shape[1]
    flat = [row * width + i for row, tail in enumerate(tails) for i in range(len(tail))]
    return hidden.flatten(0, 1)[torch.tensor(flat, device=device)]


def micro_batches(lengths: Sequence[int], most_tokens: int) -> list[list[int]]:
    """Indices cut into batches of rows of like length, at most `most_tokens` with padding each
    (a single longer row is a batch of its own)."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    batches: list[list[int]] = []
    for index in order:
        if batches and lengths[index] * (len(batches[-1]) + 1) <= most_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
