"""Recipes: every number of the method, typed and named. Owns reading and checking them.

A recipe is a TOML file, of this package by name or any other by path. What a number means is said
here; where its value comes from is said in the files.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from knowledge.narrative import digest_of
from knowledge.questions import QuestionKind
from trainer.errors import BadRecipe

RECIPES = Path(__file__).with_name("recipes")

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EngineSettings(_Section):
    """How the base model is held in memory."""

    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads; 0 leaves torch's own choice."""
    device: str = ""
    """`cpu`, `cuda`, ...; empty: cuda where there is one."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    products: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the decoder's matrix products in training passes; auto: bfloat16 where the
    processor has units for it. See `trainer.engines.precision`."""
    quantization: Literal["none", "nf4"] = "none"
    attention: Literal["sdpa", "flash", "eager"] = "sdpa"
    activation_checkpointing: bool = False
    batch_rows: Positive = 64
    """Rows that are sampled together."""
    micro_tokens: Positive = 4096
    """Most tokens (with padding) of one forward and backward pass."""


class LoraSettings(_Section):
    rank: Positive = 16
    alpha: Positive = 32
    dropout: Share = 0.0
    targets: tuple[str, ...] | Literal["all-linear"] = "all-linear"


class SamplingSettings(_Section):
    """Stage 1, first half: open-book samples of the teacher and the checks that they pass."""

    samples: Annotated[int, Field(ge=0)] = 4
    """Samples of each (unit, question), beside the greedy one that gates it."""
    replicas: Positive = 1
    """Independent draws of `samples`, each with its own selection (the reference's 25)."""
    keep: Positive = 2
    """Best samples kept of each draw."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_new_tokens: Positive = 96
    repetition_limit: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Highest share of repeated 3-grams among the last 48 words."""
    deduplicate: bool = True
    score: Literal["margin", "confidence", "none"] = "margin"
    """How survivors are ranked: log p(text) - log p(text with the old answer), closed book; or the
    teacher's mean log-probability; or in the order drawn."""
    gate: bool = True
    """Drop a (unit, question) whose greedy open-book answer fails the checks."""
    derive_short: bool = True
    """Give short questions without an accepted sample the short answer of the unit's rationales."""
    min_accepted: Annotated[int, Field(ge=0)] = 1
    """Accepted samples that a unit needs; with fewer the job fails and names the unit."""
    kinds: tuple[QuestionKind, ...] = ()
    """Question kinds to sample; empty: all training questions of the unit."""


class OptimSettings(_Section):
    """AdamW and its schedule."""

    learning_rate: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "cosine", "linear"] = "linear"
    warmup_share: Share = 0.1
    clip: Annotated[float, Field(gt=0)] = 1.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class MixSettings(_Section):
    """What rows other than the edits' own take of each batch."""

    replay_share: Share = 0.15
    """Earlier units' questions."""
    anchor_share: Share = 0.25
    """Locality and unrelated questions, held to the parent's answers."""
    most_rows: Positive = 256
    """Most rows of each of the two kinds that a job draws from."""


class SftSettings(_Section):
    """Stage 1, second half: supervised fine-tuning on the accepted samples."""

    steps: Annotated[int, Field(ge=0)]
    """Most optimizer steps; 0 with `epochs` > 0 counts in epochs instead."""
    epochs: Annotated[int, Field(ge=0)] = 0
    batch_rows: Positive = 24
    optim: OptimSettings
    mix: MixSettings = MixSettings()
    check_every: Annotated[int, Field(ge=0)] = 0
    """Steps between closed-book recall checks; 0: none."""
    stop_recall: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Stop when that share of the direct training questions is right closed-book."""
    stop_loss: Annotated[float, Field(ge=0)] = 0.0
    """Stop when the loss stays below this for two steps (the reference's rule); 0: never."""


class DistilSettings(_Section):
    """Stage 2: on-policy self-distillation."""

    steps: Annotated[int, Field(ge=0)]
    steps_per_extra_edit: Annotated[int, Field(ge=0)] = 0
    """Steps for each edit after the first."""
    prompts: Positive = 16
    """Distinct prompts of one optimizer step."""
    rollouts: Positive = 4
    """Rollouts of each prompt."""
    updates_per_round: Positive = 1
    """Optimizer steps that one round of sampling feeds."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_new_tokens: Positive = 80
    divergence: Literal["forward", "reverse", "jsd"] = "forward"
    beta: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Weight of the teacher in the mixture; only for `jsd`."""
    top_k: Annotated[int, Field(ge=0)] = 0
    """Support of the divergence from each side; 0: the whole vocabulary."""
    tail: bool = True
    """Keep the mass outside the support as one bucket; false renormalises (the reference)."""
    kd_temperature: Annotated[float, Field(gt=0)] = 1.0
    weighting: Literal["teacher", "none"] = "teacher"
    """Weigh the rollouts of one prompt by the softmax of the teacher's mean log-probability."""
    mean_over: Literal["sequence", "token"] = "sequence"
    """What counts alike in the loss: each rollout, or each token (then long ones weigh more)."""
    importance_cap: Annotated[float, Field(gt=0)] = 2.0
    repetition_window: Positive = 48
    repetition_limit: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Highest share of repeated 3-grams among the last `repetition_window` tokens."""
    mask_truncated: bool = True
    optim: OptimSettings
    mix: MixSettings = MixSettings()

    def total_steps(self, edits: int) -> int:
        return self.steps + self.steps_per_extra_edit * max(0, edits - 1)


class Recipe(_Section):
    """One way to train. `method` says which stages run."""

    name: str
    method: Literal["code", "code-sft-only", "static-lora", "none"]
    instruction: str = ""
    """Precedes the narrative in the teacher's system message; for models that need to be told."""
    checkpoint_every: Positive = 10
    """Optimizer steps between checkpoints."""
    engine: EngineSettings = EngineSettings()
    lora: LoraSettings = LoraSettings()
    sampling: SamplingSettings = SamplingSettings()
    sft: SftSettings | None = None
    distil: DistilSettings | None = None

    @property
    def digest(self) -> str:
        """Identity of what is trained: all settings but the thread count."""
        data = self.model_dump(mode="json")
        data["engine"].pop("threads")
        return digest_of(data)


def recipe_names() -> list[str]:
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(name: str | Path) -> Recipe:
    """A recipe of this package by name, or of a TOML file by path. Raises BadRecipe."""
    path = Path(name)
    if path.suffix != ".toml":
        path = RECIPES / f"{name}.toml"
        if not path.is_file():
            known = ", ".join(recipe_names())
            raise BadRecipe(f"there is no recipe {name!r}: use one of {known}, or a .toml path")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        recipe = Recipe.model_validate({"name": path.stem, **data})
    except OSError as error:
        raise BadRecipe(f"recipe {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRecipe(f"recipe {path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadRecipe(f"recipe {path}: {where}: {first['msg']}") from error
    return _complete(recipe, path)


def _complete(recipe: Recipe, path: Path) -> Recipe:
    needs = {"code": ("sft", "distil"), "code-sft-only": ("sft",), "static-lora": ("sft",)}
    for section in needs.get(recipe.method, ()):
        if getattr(recipe, section) is None:
            raise BadRecipe(f"recipe {path}: method {recipe.method} needs a section [{section}]")
    if recipe.sampling.samples == 0 and recipe.sampling.replicas > 1:
        raise BadRecipe(f"recipe {path}: sampling.replicas > 1 needs sampling.samples > 0")
    return recipe
