"""Recipes: every number of the method, typed and named. Owns reading and checking them.

A recipe is a TOML file, of this package by name or any other by path. What a number means is said
here; where its value comes from is said in the files.
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

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
    sampler: Literal["auto", "model", "replica", "vllm"] = "auto"
    """What answers are sampled from in training: the model itself, a bfloat16 copy with the adapter
    multiplied in (`trainer.engines.replica`), or a vLLM server; auto: the copy on processors as
    above, else the model."""
    vllm_url: str = ""
    """Address of the vLLM server, for `sampler = "vllm"`."""
    vllm_base: str = ""
    """The name under which it serves the base model."""
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
    score: Literal["margin", "confidence", "answer", "none"] = "margin"
    """How survivors are ranked: see `trainer.ranking`; none: in the order drawn."""
    gate: bool = True
    """Drop a (unit, question) whose greedy open-book answer fails the checks."""
    derive_short: bool = True
    """Give short questions without an accepted sample the short answer of the unit's rationales."""
    min_accepted: Annotated[int, Field(ge=0)] = 1
    """Accepted samples that a unit needs; with fewer the job fails and names the unit."""
    kinds: tuple[QuestionKind, ...] = ()
    """Question kinds to sample; empty: all training questions of the unit."""
    most_questions: Annotated[int, Field(ge=0)] = 0
    """Training questions of a unit that are sampled, the first of those kinds; 0: all."""


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
    """Most optimizer steps for one edit; 0 with `epochs` > 0 counts in epochs instead."""
    steps_per_extra_edit: Annotated[int, Field(ge=0)] = 0
    """Steps for each edit after the first; not with `epochs`."""
    epochs: Annotated[int, Field(ge=0)] = 0
    batch_rows: Positive = 24
    optim: OptimSettings
    mix: MixSettings = MixSettings()
    check_every: Annotated[int, Field(ge=0)] = 0
    """Steps between closed-book recall checks; 0: none."""
    mean_over: Literal["token", "sequence"] = "token"
    """What counts alike in the loss: each token, or each row (then short answers weigh more)."""
    stop_recall: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Stop when that share of the direct training questions is right closed-book."""
    stop_loss: Annotated[float, Field(ge=0)] = 0.0
    """Stop when the loss stays below this for two steps (the reference's rule); 0: never."""

    def total_steps(self, edits: int, batches: int) -> int:
        """Most steps for so many edits; `batches` make up an epoch."""
        if not self.steps:
            return self.epochs * batches
        return self.steps + self.steps_per_extra_edit * max(0, edits - 1)


class DistilSettings(_Section):
    """Stage 2: on-policy self-distillation."""

    steps: Annotated[int, Field(ge=0)]
    steps_per_extra_edit: Annotated[int, Field(ge=0)] = 0
    """Steps for each edit after the first."""
    kinds: tuple[QuestionKind, ...] = ()
    """Question kinds asked of the student, whether or not the teacher passed the gate; empty: the
    questions of stage 1 whose teacher did."""
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
    dropout: bool = True
    """Whether `lora.dropout` holds in this stage too."""
    optim: OptimSettings
    mix: MixSettings = MixSettings()

    def total_steps(self, edits: int) -> int:
        return self.steps + self.steps_per_extra_edit * max(0, edits - 1)


class Method(StrEnum):
    """The ways to train; what each does is in `trainer.methods`."""

    CODE = "code"
    CODE_REVERSE_KL = "code-reverse-kl"
    CODE_NONCAUSAL = "code-noncausal"
    CODE_CAKE = "code-cake"
    CODE_TEACHER_SFT = "code-teacher-sft"
    CODE_SFT_ONLY = "code-sft-only"
    STATIC_LORA = "static-lora"
    CAKE = "cake"
    SDFT = "sdft"
    IN_CONTEXT = "in-context"
    """Trains nothing: the narrative stands in the prompt of whoever asks."""
    NONE = "none"


READS_NARRATIVES = frozenset(
    {
        Method.CODE,
        Method.CODE_REVERSE_KL,
        Method.CODE_CAKE,
        Method.CODE_TEACHER_SFT,
        Method.CODE_SFT_ONLY,
        Method.SDFT,
        Method.IN_CONTEXT,
    }
)
"""Methods whose teacher needs the narrative of every unit."""

_SECTIONS = {
    Method.CODE: ("sft", "distil"),
    Method.CODE_REVERSE_KL: ("sft", "distil"),
    Method.CODE_NONCAUSAL: ("sft", "distil"),
    Method.CODE_CAKE: ("sft", "distil"),
    Method.CODE_TEACHER_SFT: ("sft", "distil"),
    Method.CODE_SFT_ONLY: ("sft",),
    Method.STATIC_LORA: ("sft",),
    Method.CAKE: ("sft",),
    Method.SDFT: ("distil",),
}
"""Sections of a recipe that a method cannot do without."""


class Recipe(_Section):
    """One way to train. `method` says which stages run."""

    name: str
    method: Method
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
        """Identity of what is trained: all settings but the thread count and a server's address."""
        data = self.model_dump(mode="json")
        for name in ("threads", "vllm_url"):
            data["engine"].pop(name)
        if self.distil and self.distil.dropout:
            data["distil"].pop("dropout")  # younger than digests that are in use
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
        recipe = Recipe.model_validate({"name": path.stem, **_data(path)})
    except OSError as error:
        raise BadRecipe(f"recipe {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRecipe(f"recipe {path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadRecipe(f"recipe {path}: {where}: {first['msg']}") from error
    return _complete(recipe, path)


def _data(path: Path) -> dict[str, Any]:
    """The file's content over that of the shipped recipe that it `extends`, if it does."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    ground = data.pop("extends", None)
    if ground is None:
        return data
    below = RECIPES / f"{ground}.toml"
    if not below.is_file() or below == path:
        raise BadRecipe(f"recipe {path} extends {ground!r}, which is no other shipped recipe")
    return _over(_data(below), data)


def _over(ground: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """`ground` with the values of `data`, section by section."""
    merged = dict(ground)
    for name, value in data.items():
        known = merged.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            value = _over(known, value)
        merged[name] = value
    return merged


def _complete(recipe: Recipe, path: Path) -> Recipe:
    for section in _SECTIONS.get(recipe.method, ()):
        if getattr(recipe, section) is None:
            raise BadRecipe(f"recipe {path}: method {recipe.method} needs a section [{section}]")
    if recipe.engine.sampler == "vllm" and not (recipe.engine.vllm_url and recipe.engine.vllm_base):
        raise BadRecipe(
            f'recipe {path}: engine.sampler = "vllm" needs engine.vllm_url and engine.vllm_base'
        )
    reverse = recipe.distil is not None and recipe.distil.divergence == "reverse"
    if recipe.method is Method.CODE_REVERSE_KL and not reverse:
        raise BadRecipe(f'recipe {path}: {recipe.method} needs distil.divergence = "reverse"')
    if recipe.sampling.samples == 0 and recipe.sampling.replicas > 1:
        raise BadRecipe(f"recipe {path}: sampling.replicas > 1 needs sampling.samples > 0")
    return recipe
