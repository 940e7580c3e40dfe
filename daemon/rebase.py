"""The whole ledger on another base model: all edits in force, trained anew and put before the gate.

Owns the two job folders of a rebase (training, then evaluation against the new base as it is) and
running them to their end, as children. It moves no alias: which base is served is a setting.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from daemon import config
from daemon.config import Settings
from daemon.errors import ConfigError, JobFailed, NotFound
from daemon.jobs.evaluation_job import RESULT, EvaluationSpec
from daemon.jobs.evaluation_job import create_job as create_evaluation
from daemon.known_facts import KnownFacts, training_anchors
from daemon.preconditions import check_model
from daemon.services import Services
from knowledge.edits import EditUnit
from knowledge.questions import Use
from knowledge.world import World
from trainer.errors import TrainerError
from trainer.fingerprint import adapter_digest
from trainer.job import ADAPTER, JobSpec, create_job

_NEIGHBOURS_EACH = 4
_UNRELATED = 60
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebased:
    """The ledger on another base: the adapter, what the gate said, and its report."""

    edits: int
    adapter: Path
    verdict: str
    report: Path


def rebase(services: Services, base: Path, *, recipe: str | None = None) -> Rebased:
    """Train all edits in force on `base` and evaluate them; goes on where it was cut.

    Raises ConfigError for a folder without a model, NotFound when no edit is in force, JobFailed
    when a child gives up.
    """
    settings = services.settings
    check_model(base)
    units = services.registry.live_units(services.registry.current(settings.gateway.alias)[1])
    if not units:
        raise NotFound("no edit is in force: there is nothing to bring to another base")
    facts = KnownFacts(World.load(), {unit.slot for unit in units})
    job = _train(settings, units, facts, base, recipe or settings.model.recipe)
    result = _evaluate(settings, units, facts, base, job)
    gate = json.loads((result / "gate.json").read_text(encoding="utf-8"))
    return Rebased(
        edits=len(units),
        adapter=job / ADAPTER,
        verdict=str(gate["outcome"]),
        report=result / "report.html",
    )


def _train(
    settings: Settings, units: list[EditUnit], facts: KnownFacts, base: Path, recipe: str
) -> Path:
    try:
        spec = JobSpec.plan(
            base=base.resolve(),
            units=tuple(units),
            recipe=recipe,
            anchors=training_anchors(facts, units, seed=settings.release.seed),
            seed=settings.release.seed,
        )
        folder = (settings.job_folder / f"rebase-{spec.digest[:12]}").resolve()
        create_job(folder, spec)
    except TrainerError as error:
        raise ConfigError(f"the edits cannot be trained on {base}: {error}") from None
    _run(settings, "trainer", "run", str(folder))
    return folder


def _evaluate(
    settings: Settings, units: list[EditUnit], facts: KnownFacts, base: Path, job: Path
) -> Path:
    adapter = job / ADAPTER
    folder = job.with_name(f"{job.name}-evaluation")
    spec = EvaluationSpec(
        base=str(base.resolve()),
        candidate=str(adapter),
        candidate_digest=adapter_digest(adapter),
        units=tuple(units),
        neighbours=facts.neighbour_questions(units, Use.EXAM, each=_NEIGHBOURS_EACH),
        unrelated=facts.unrelated_questions(
            units, Use.EXAM, limit=_UNRELATED, seed=settings.gate.seed
        ),
        policy=settings.gate.policy,
        seed=settings.gate.seed,
    )
    create_evaluation(folder, spec)
    _run(settings, "daemon.jobs.evaluate", str(folder))
    return folder / RESULT


def _run(settings: Settings, *command: str) -> None:
    environment = {**os.environ, **config.to_environment(settings)}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=_ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise JobFailed(
            f"`python -m {' '.join(command)}` ended with {done.returncode}: "
            f"{said[0].removeprefix('error: ')}; the same command goes on where it stands"
        )
