"""An evaluation: everything that one model version said to one suite and how it was judged.

Owns the record, its JSON form, and the composition of examination, judge, metrics and capability.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluator.capability import BUNDLED, SUITES, Capability, run_tasks
from evaluator.errors import SuiteError
from evaluator.examine import MAX_NEW_TOKENS, Output, Progress, examine
from evaluator.judge import Judge, RuleJudge
from evaluator.metrics import Estimate, Metric, measure
from evaluator.probes import Suite
from evaluator.stores import AnswerStore
from evaluator.verdicts import Verdict
from knowledge.codec import from_json, to_json
from knowledge.model import LanguageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The result of examining one model with one suite.

    Outputs and verdicts stand in the order of the suite. `capability` is None when no tasks were
    run. `production` is the model digest that locality was measured against, None for none.
    """

    suite: str
    model: str
    judge: str
    at: str
    """ISO 8601, UTC."""
    outputs: tuple[Output, ...]
    verdicts: tuple[Verdict, ...]
    metrics: dict[Metric, Estimate]
    capability: Capability | None = None
    production: str | None = None

    def to_json(self) -> str:
        return to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Evaluation:
        """Raises `pydantic.ValidationError` for text that is not an evaluation."""
        return from_json(cls, text)

    @property
    def errors(self) -> int:
        """Outputs that the judge gave no verdict on."""
        return sum(row.error is not None for row in self.verdicts)


def evaluate(
    model: LanguageModel,
    suite: Suite,
    *,
    judge: Judge | None = None,
    answers: AnswerStore | None = None,
    production: Evaluation | None = None,
    tasks: Sequence[str] = BUNDLED,
    task_folder: Path = SUITES,
    progress: Progress | None = None,
    seed: int = 0,
    now: dt.datetime | None = None,
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> Evaluation:
    """Examine, judge and measure a model. `tasks` may be empty: then no capability is measured.

    `production` must be an evaluation of the same suite; locality then counts what it got right.
    Raises SuiteError, TaskError, and what the engine and the judge raise.
    """
    _same_suite(suite.digest, production)
    judge = judge or RuleJudge()
    outputs = examine(
        model, suite, answers=answers, progress=progress, max_new_tokens=max_new_tokens
    )
    verdicts = judge.judge(suite, outputs)
    return Evaluation(
        suite=suite.digest,
        model=model.digest,
        judge=judge.name,
        at=(now or dt.datetime.now(dt.UTC)).isoformat(timespec="seconds"),
        outputs=tuple(outputs),
        verdicts=tuple(verdicts),
        metrics=measure(verdicts, production.verdicts if production else None, seed=seed),
        capability=run_tasks(model, tasks, folder=task_folder) if tasks else None,
        production=production.model if production else None,
    )


def _same_suite(suite: str, production: Evaluation | None) -> None:
    if production is not None and production.suite != suite:
        raise SuiteError(
            f"production was evaluated on suite {production.suite[:12]}, the candidate on "
            f"{suite[:12]}; evaluate production on the candidate's suite first"
        )
