"""One optimizer step of stage 2, run over and over in a process of its own: ours, or TRL's SDFT.

`python -m daemon.bench.step_sides SIDE CONFIG STEPS` prints one JSON line: seconds of each step,
peak memory above the loaded model, shares of the time, and the arithmetic of a step. Owns the two
configurations; what is made of the figures is `daemon.bench.step`'s.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from daemon.bench.edit_sets import world_units
from daemon.bench.weights import EMBEDDED
from knowledge.rendering import closed_book, open_book
from knowledge.world import Split
from trainer.checkpoints import CheckpointStore
from trainer.engines.replica import Replica
from trainer.engines.transformers import TransformersEngine
from trainer.internalize import internalize
from trainer.job import JobSpec
from trainer.journal import Journal, Progress

# TRL is loaded on both sides, so that it stands in the memory of both
from trainer.methods.sdft import (
    SdftRow,
    make_arguments,
    make_trainer,
    run_trainer,
    unit_rows,
)
from trainer.recipe import DistilSettings, load_recipe
from trainer.rollouts import Pool, Prompt
from trainer.session import Session
from trainer.student import attach_student

CONFIGS = ("embedded", "large")
_TEACHER_TOKENS = 512
_STUDENT_WORDS = 40
_LARGE_MICRO_TOKENS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one side did. `flops` is the arithmetic that the mathematics of one step asks for,
    `rows` the rollouts that it learns from."""

    step_s: list[float]
    peak_bytes: int
    spent_s: dict[str, float]
    flops: float
    rows: int
    new_tokens: float


def main(arguments: list[str]) -> int:
    side, config, steps = arguments[0], arguments[1], int(arguments[2])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        base = EMBEDDED if config == "embedded" else _random_base(Path(scratch) / "base")
        settings = _settings(config, steps)
        rows = _rows(config, base, settings.prompts)
        run = _ours if side == "ours" else _trl
        measured = run(base, rows, settings, steps, Path(scratch), side)
    print(json.dumps(asdict(measured)))
    return 0


def _settings(config: str, steps: int) -> DistilSettings:
    settings = load_recipe("embedded").distil
    assert settings is not None
    same = {"steps": steps, "top_k": 64, "weighting": "none", "repetition_limit": 1.0}
    same |= {"steps_per_extra_edit": 0, "mask_truncated": False}
    same |= {"updates_per_round": 1}  # TRL samples for each step; the pool is one step's prompts
    if config == "large":
        same |= {"prompts": 2, "rollouts": 8, "max_new_tokens": 128}
    return settings.model_copy(update=same)


def _rows(config: str, base: Path, count: int) -> list[SdftRow]:
    if config == "embedded":
        rows = [row for unit in world_units(Split.TUNE)[:12] for row in unit_rows(unit)]
        return random.Random(0).sample(rows, count)
    tokenizer: Any = AutoTokenizer.from_pretrained(str(base))
    words = [w for unit in world_units(Split.TUNE) for w in unit.questions[0].text.split()]
    rng = random.Random(0)
    rows: list[SdftRow] = []
    for _ in range(count):
        context: list[str] = []
        while len(tokenizer(" ".join(context))["input_ids"]) < _TEACHER_TOKENS - 60:
            context += rng.sample(words, 4)
        question = " ".join(rng.sample(words, _STUDENT_WORDS))
        rows.append(SdftRow(question=question, context=" ".join(context)))
    return rows


def _random_base(folder: Path) -> Path:
    """8 layers of 512, 8k vocabulary, random weights, the embedded model's tokenizer."""
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((EMBEDDED / name).read_bytes())
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=8,
        num_attention_heads=8,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(str(folder))
    return folder


class _Clock:
    """The time of each step, and the peak of memory since the model was loaded."""

    def __init__(self) -> None:
        self.marks: list[float] = [time.perf_counter()]
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._before = _memory("VmRSS")

    def note(self) -> None:
        self.marks.append(time.perf_counter())

    def steps(self) -> list[float]:
        """Without the first, which warms caches."""
        pairs = zip(self.marks[1:], self.marks[2:], strict=False)
        return [round(b - a, 4) for a, b in pairs]

    def peak(self) -> int:
        return _memory("VmHWM") - self._before


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(x.split()[1]) * 1024 for x in lines if x.startswith(f"{name}:"))


def _ours(
    base: Path, rows: list[SdftRow], settings: DistilSettings, steps: int, scratch: Path, _: str
) -> Measured:
    recipe = load_recipe("embedded")
    if settings.rollouts > 1:  # wide rows: smaller passes cost no time and a third of the memory
        narrow = recipe.engine.model_copy(update={"micro_tokens": _LARGE_MICRO_TOKENS})
        recipe = recipe.model_copy(update={"engine": narrow})
    engine = TransformersEngine.load(base, device="cpu", attention="eager")
    clock = _Clock()
    replica = Replica(engine)
    attach_student(engine, recipe, None, 0)
    spec = JobSpec.plan(base=base, units=world_units(Split.TUNE)[:1], recipe=recipe)

    def listen(line: Progress) -> None:
        clock.note()

    job = scratch / "job"
    job.mkdir()
    store = CheckpointStore(job, spec.digest)
    session = Session(job, spec, engine, Journal(job, listen), store, None, replica)
    prompts = tuple(
        Prompt(
            student=engine.chat.prompt(closed_book(row.question)),
            teacher=engine.chat.prompt(open_book(row.context, row.question)),
            by_parent=False,
        )
        for row in rows
    )
    none = range(len(prompts), len(prompts))
    pool = Pool(prompts=prompts, sources=(range(len(prompts)), none, none))
    internalize(session, pool, settings)
    rows_a_step = settings.prompts * settings.rollouts
    _check_batches(job, steps, rows_a_step)
    tokens = session.metrics["distil"]["tokens"] / steps
    return Measured(
        step_s=clock.steps(),
        peak_bytes=clock.peak(),
        spent_s=session.journal.spent_s,
        flops=_flops(engine, prompts, settings.rollouts, tokens),
        rows=rows_a_step,
        new_tokens=tokens,
    )


def _check_batches(job: Path, steps: int, rows: int) -> None:
    """Raises RuntimeError unless each step learned from as many rollouts as TRL is given."""
    lines = (job / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line)["rollouts"] for line in lines]
    if found != [rows] * steps:
        raise RuntimeError(f"the steps learned from {found} rollouts, TRL's from {rows} each")


def _flops(
    engine: TransformersEngine, prompts: tuple[Prompt, ...], rollouts: int, tokens: float
) -> float:
    """Multiply-adds, twice, of one step: sampling, teacher with shared prefixes, student forward
    and backward to its inputs. Attention and the adapter's own small products are left out."""
    config = engine.model.config
    head = config.vocab_size * config.hidden_size
    parameters = engine.network.decoder.named_parameters()
    decoder = sum(p.numel() for name, p in parameters if "lora" not in name)
    decoder -= 0 if not config.tie_word_embeddings else head
    asked = sum(len(p.student) for p in prompts)
    read = sum(len(p.teacher) for p in prompts)
    sampling = decoder * (asked + tokens) + head * tokens
    teacher = decoder * (read + tokens) + head * tokens
    student = 2 * decoder * (asked * rollouts + tokens) + 2 * head * tokens
    return 2.0 * (sampling + teacher + student)


def _trl(
    base: Path, rows: list[SdftRow], settings: DistilSettings, steps: int, scratch: Path, side: str
) -> Measured:
    engine = TransformersEngine.load(base, device="cpu")
    clock = _Clock()
    attach_student(engine, load_recipe("embedded"), None, 0)
    noted: Callable[[int, float], None] = lambda step, loss: clock.note()  # noqa: E731
    whole = rows * steps
    arguments = make_arguments(
        settings, steps, str(scratch / "out"), cpu=True, seed=0, bf16=side == "trl-bf16"
    )
    with engine.using("student"):
        run_trainer(make_trainer(engine, whole, arguments, noted), steps)
    return Measured(
        step_s=clock.steps(),
        peak_bytes=clock.peak(),
        spent_s={},
        flops=0.0,
        rows=settings.prompts * settings.rollouts,
        new_tokens=0.0,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
