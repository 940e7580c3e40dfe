"""One case under one method: train, examine, keep. Resumable, and never done twice.

Owns the store of outcomes: a file each, keyed by recipe, case, seed, the digest of the weights and
that of the code. A training that was cut goes on at its checkpoint.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from daemon.bench.arms import InContext
from daemon.bench.edit_sets import EditCase
from daemon.bench.weights import code_digest, weight_digest
from evaluator.capability import BUNDLED
from evaluator.evaluation import Evaluation, evaluate
from evaluator.stores import MemoryAnswers
from knowledge.model import LanguageModel
from knowledge.narrative import digest_of
from trainer.engines.transformers import TransformersEngine
from trainer.job import ADAPTER, JobSpec, create_job, run_job
from trainer.recipe import Method, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a case: how it was judged and what it cost."""

    case: str
    method: str
    recipe: str
    seed: int
    train_s: float
    sampled_tokens: int
    manifest: dict[str, Any]
    evaluation: Evaluation
    before: Evaluation
    """The base on the same suite: what locality is held to."""


class CaseRuns:
    """Runs cases on one base and keeps their outcomes in a folder."""

    def __init__(self, base: Path, folder: Path, *, capability: bool = True) -> None:
        self.base = base
        self._folder = folder
        self._tasks = BUNDLED if capability else ()
        self._answers = MemoryAnswers()

    @cached_property
    def _engine(self) -> TransformersEngine:
        return TransformersEngine.load(self.base, attention="eager")

    def before(self, case: EditCase) -> Evaluation:
        """The base on the case's suite."""
        path = self._path("base", case, 0)
        if not path.is_file():
            judged = evaluate(
                self._engine.view(None), case.suite, answers=self._answers, tasks=self._tasks
            )
            _write(path, {"evaluation": json.loads(judged.to_json())})
        return _evaluation(path)

    def outcome(self, recipe: Recipe, case: EditCase, seed: int) -> Outcome:
        """Train and examine, or read what was kept. Raises TrainerError, EvaluatorError."""
        before = self.before(case)
        path = self._path(recipe.digest, case, seed)
        if not path.is_file():
            _write(path, self._measure(recipe, case, seed, before, path.with_suffix("")))
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
        kept = json.loads(path.read_bytes())
        return Outcome(
            case=case.name,
            method=recipe.method,
            recipe=recipe.name,
            seed=seed,
            train_s=kept["train_s"],
            sampled_tokens=kept["sampled_tokens"],
            manifest=kept["manifest"],
            evaluation=_evaluation(path),
            before=before,
        )

    def _measure(
        self, recipe: Recipe, case: EditCase, seed: int, before: Evaluation, job: Path
    ) -> dict[str, Any]:
        spec = JobSpec.plan(
            base=self.base, units=case.units, recipe=recipe, anchors=case.anchors, seed=seed
        )
        create_job(job, spec)
        started = time.perf_counter()
        trained = recipe.method is not Method.IN_CONTEXT
        adapter = run_job(job) if trained else None
        took_s = time.perf_counter() - started
        judged = self._judge(adapter, case, before)
        manifest = json.loads((job / ADAPTER / "manifest.json").read_bytes()) if trained else {}
        return {
            "case": case.name,
            "method": recipe.method.value,
            "recipe": recipe.name,
            "seed": seed,
            "train_s": round(took_s, 2),
            "sampled_tokens": sampled_tokens(manifest),
            "manifest": manifest,
            "evaluation": json.loads(judged.to_json()),
        }

    def _judge(self, adapter: Path | None, case: EditCase, before: Evaluation) -> Evaluation:
        model: LanguageModel
        if adapter is None:
            model = InContext(self._engine.view(None), case)
            return evaluate(model, case.suite, production=before, tasks=self._tasks)
        self._engine.load_adapter("candidate", adapter)
        try:
            model = self._engine.view("candidate")
            return evaluate(model, case.suite, production=before, tasks=self._tasks)
        finally:
            self._engine.unload_adapter("candidate")

    def _path(self, recipe: str, case: EditCase, seed: int) -> Path:
        key = digest_of(
            [recipe, case.digest, seed, weight_digest(self.base), code_digest(), self._tasks]
        )
        return self._folder / f"{case.name}-{key[:20]}.json"


def sampled_tokens(manifest: dict[str, Any]) -> int:
    """Tokens that a job sampled from the model to learn from."""
    metrics = manifest.get("metrics", {})
    stages = (("bootstrap", "sampled_tokens"), ("distil", "tokens"))
    return sum(int(metrics.get(stage, {}).get(name, 0)) for stage, name in stages)


def _write(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    part.replace(path)


def _evaluation(path: Path) -> Evaluation:
    kept = json.loads(path.read_bytes())["evaluation"]
    return Evaluation.from_json(json.dumps(kept))
