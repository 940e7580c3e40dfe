"""The folder of an evaluation job: what is examined, and where its result appears.

    job.json         the specification
    progress.jsonl   stage, step, of, time
    result/          appears at the end, whole, by one rename: candidate.json, production.json,
                     gate.json, summary.json, report.html

Owns the contract only; `daemon.jobs.evaluate` does the work. Imports no torch.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from daemon.errors import ConfigError, JobFailed
from daemon.jobs.supervisor import PROGRESS
from evaluator.errors import PolicyError
from evaluator.policy import Policy, load_policy, shipped
from evaluator.probes import Suite, build_suite
from knowledge.edits import EditUnit
from knowledge.narrative import digest_of
from knowledge.questions import Question

JOB = "job.json"
RESULT = "result"


class JudgeSpec(BaseModel):
    """The judge of an evaluation: the rules, unless an endpoint is named. Its key is no part of a
    job's file; it comes with the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str | None = None
    model: str | None = None


class Past(BaseModel):
    """An earlier version's figures, for the trend in the report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    values: dict[str, float]
    """By metric; only what was measured."""


class EvaluationSpec(BaseModel):
    """A candidate, what it is compared with, and what both are asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    candidate: str
    """Folder of the candidate's adapter."""
    candidate_digest: str
    production: str | None = None
    """Folder of production's adapter; None: production is the base model."""
    production_digest: str | None = None
    units: tuple[EditUnit, ...]
    live: tuple[EditUnit, ...] = ()
    neighbours: tuple[Question, ...] = ()
    unrelated: tuple[Question, ...] = ()
    reserve: tuple[Question, ...] = ()
    """Further unrelated facts, for a second look where the policy allows one."""
    regression: tuple[EditUnit, ...] = ()
    """The fixed suite; empty where the policy does not count it."""
    history: tuple[Past, ...] = ()
    """Earlier versions, oldest first."""
    judge: JudgeSpec = JudgeSpec()
    policy: str
    """Name of a shipped gate policy, or the path of a policy file."""
    seed: int = 0
    threads: int = 1

    def suite(self, more: int = 0) -> Suite:
        """What both versions are asked, with so many facts of the reserve."""
        unrelated = (*self.unrelated, *self.reserve[:more])
        return build_suite(self.units, self.live, self.neighbours, unrelated, self.regression)


def create_job(folder: Path, spec: EvaluationSpec) -> None:
    """Write the job's folder, unless it is there: a job, once planned, stays what it is."""
    if (folder / JOB).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{JOB}.{os.getpid()}"
    with temporary.open("w", encoding="utf-8") as handle:
        handle.write(spec.model_dump_json(indent=1))
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, folder / JOB)


def load_job(folder: Path) -> EvaluationSpec:
    """Raises JobFailed for a folder without a readable specification."""
    try:
        return EvaluationSpec.model_validate_json((folder / JOB).read_bytes())
    except (OSError, ValidationError) as error:
        raise JobFailed(f"{folder / JOB} cannot be read: {error}") from None


def gate_policy(name: str) -> Policy:
    """A gate policy by its shipped name or by path. Raises ConfigError."""
    try:
        return load_policy(Path(name)) if name.endswith(".toml") else shipped(name)
    except PolicyError as error:
        raise ConfigError(str(error)) from None


def policy_digest(name: str) -> str:
    """Digest of a policy's content, whatever its file is called. Raises ConfigError."""
    return digest_of(gate_policy(name).model_dump(mode="json"))


def note_progress(folder: Path, stage: str, step: int, of: int) -> None:
    """Append a line of progress: the sign of life that the supervisor looks for."""
    line = {"stage": stage, "step": step, "of": of, "time": round(time.time(), 3)}
    with (folder / PROGRESS).open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(line) + "\n")
