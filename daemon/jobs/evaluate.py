"""`python -m daemon.jobs.evaluate FOLDER`: examine candidate and production, ask the gate, report.

Owns the binding of the evaluator to the trainer's engine in this process. Answers are kept in the
database of the settings, so a run that was killed does not ask again, and production is asked once
for each question. Exit codes: 0 done, 1 the job cannot be evaluated, 75 try again later.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daemon import config
from daemon.clock import clock_of
from daemon.errors import AlmanacError, Retryable
from daemon.jobs.evaluation_job import (
    RESULT,
    EvaluationSpec,
    JudgeSpec,
    gate_policy,
    load_job,
    note_progress,
)
from daemon.jobs.judging import llm_judge
from daemon.store.answers import SqlAnswers
from daemon.store.engine import Database
from evaluator.capability import SUITES
from evaluator.errors import EvaluatorError
from evaluator.errors import Retryable as EvaluatorRetryable
from evaluator.evaluation import Evaluation, evaluate
from evaluator.gate import GateReport, decide, more_probes
from evaluator.judge import Judge
from evaluator.policy import Policy
from evaluator.probes import Suite
from evaluator.report import Report, Version, write_report
from evaluator.stores import AnswerStore
from knowledge import codec
from knowledge.model import LanguageModel
from knowledge.narrative import digest_of
from trainer.errors import Retryable as TrainerRetryable
from trainer.errors import TrainerError

CANNOT, LATER = 1, 75
JUDGEMENTS = "judgements.jsonl"


def main() -> int:
    folder = Path(sys.argv[1])
    try:
        settings = config.load().settings
        database = Database.open(settings.database_url)
        try:
            answers = SqlAnswers(database, clock_of(settings))
            run(folder, answers, _judge(load_job(folder).judge, settings, folder))
        finally:
            database.close()
    except (AlmanacError, EvaluatorError, TrainerError) as error:
        print(f"error: {error}", file=sys.stderr)
        later = (EvaluatorRetryable, TrainerRetryable, Retryable)
        return LATER if isinstance(error, later) else CANNOT
    return 0


def run(folder: Path, answers: AnswerStore, judge: Judge | None = None) -> Path:
    """Evaluate the job in `folder`; its result folder. A finished job is not evaluated again.

    Where the policy leaves the gate open and allows for it, the suite is extended by the job's
    reserve, and the same two versions are examined once more; only the new questions are asked.
    """
    final = folder / RESULT
    if final.is_dir():
        return final
    spec = load_job(folder)
    policy = gate_policy(spec.policy)
    models = _models(spec)
    found = _examine(folder, spec, policy, models, answers, judge, more=0)
    more = min(more_probes(policy, found.gate), len(spec.reserve))
    if more:
        again = _examine(folder, spec, policy, models, answers, judge, more=more)
        found = replace(again, gate=replace(again.gate, looks=2, asked_more=more))
    return _publish(folder, spec, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """One look at a release."""

    policy: Policy
    suite: Suite
    candidate: Evaluation
    production: Evaluation
    gate: GateReport


def _examine(
    folder: Path,
    spec: EvaluationSpec,
    policy: Policy,
    models: tuple[LanguageModel, LanguageModel],
    answers: AnswerStore,
    judge: Judge | None,
    *,
    more: int,
) -> _Found:
    suite = spec.suite(more)
    candidate_model, production_model = models
    tasks = policy.capability.tasks if policy.capability else ()  # only where it is asked for
    tasks_folder = policy.capability.folder if policy.capability else None
    options: dict[str, Any] = {
        "judge": judge,
        "answers": answers,
        "tasks": tasks,
        "task_folder": tasks_folder or SUITES,
        "seed": spec.seed,
    }
    production = evaluate(
        production_model, suite, progress=_progress(folder, "production"), **options
    )
    candidate = evaluate(
        candidate_model,
        suite,
        production=production,
        progress=_progress(folder, "candidate"),
        **options,
    )
    gate = decide(policy, candidate, production)
    return _Found(policy=policy, suite=suite, candidate=candidate, production=production, gate=gate)


def _judge(spec: JudgeSpec, settings: config.Settings, folder: Path) -> Judge | None:
    """The endpoint's judge, with its replies kept beside the job; None for the rules."""
    if spec.endpoint is None or spec.model is None:
        return None
    key = settings.judge.api_key
    return llm_judge(
        spec.endpoint,
        spec.model,
        key.get_secret_value() if key else None,
        folder / JUDGEMENTS,
    )


def _models(spec: EvaluationSpec) -> tuple[LanguageModel, LanguageModel]:
    """The candidate and production over one resident base model."""
    from trainer.engines.transformers import TransformersEngine

    engine = TransformersEngine.load(spec.base, threads=spec.threads)
    engine.load_adapter("candidate", spec.candidate)
    if spec.production is None:
        return engine.view("candidate"), engine.view(None)
    engine.load_adapter("production", spec.production)
    return engine.view("candidate"), engine.view("production")


def _progress(folder: Path, stage: str) -> Callable[[int, int], None]:
    return lambda step, of: note_progress(folder, stage, step, of)


def _publish(folder: Path, spec: EvaluationSpec, found: _Found) -> Path:
    """Write everything beside its place, then rename it there."""
    suite, candidate, production, gate = found.suite, found.candidate, found.production, found.gate
    part, final = folder / f"{RESULT}.part", folder / RESULT
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    summary = {
        "production_digest": spec.production_digest,
        "candidate_digest": spec.candidate_digest,
        "policy": gate.policy,
        "policy_digest": digest_of(found.policy.model_dump(mode="json")),
        "suite": suite.digest,
        "units": digest_of([unit.digest for unit in spec.units]),
        "metrics": {
            "candidate": {str(k): codec.to_data(v) for k, v in candidate.metrics.items()},
            "production": {str(k): codec.to_data(v) for k, v in production.metrics.items()},
        },
        "capability": {
            "candidate": candidate.capability.accuracy if candidate.capability else None,
            "production": production.capability.accuracy if production.capability else None,
        },
    }
    (part / "candidate.json").write_text(candidate.to_json(), encoding="utf-8")
    (part / "production.json").write_text(production.to_json(), encoding="utf-8")
    (part / "gate.json").write_text(codec.to_json(gate), encoding="utf-8")
    (part / "summary.json").write_text(codec.to_json(summary, dict), encoding="utf-8")
    title = f"Release gate: {len(spec.units)} edits"
    report = Report(
        title=title,
        suite=suite,
        candidate=candidate,
        production=production,
        gate=gate,
        history=tuple(Version(label=past.label, values=past.values) for past in spec.history),
    )
    write_report(report, part)
    for path in part.iterdir():
        _flush(path)
    _flush(part)
    os.replace(part, final)
    _flush(folder)
    return final


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


if __name__ == "__main__":
    sys.exit(main())
