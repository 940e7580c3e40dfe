"""Adapters that a bench trains: real jobs of the trainer, kept under the digest of the job.

Owns the folder of finished jobs, so that a bench that was killed, or that is run again, trains only
what is missing. What is trained is the caller's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from daemon.bench.rows import ROOT
from knowledge.edits import EditUnit
from knowledge.questions import Question
from trainer.embedded import WEIGHTS
from trainer.job import JobSpec, create_job, run_job
from trainer.recipe import Recipe

FOLDER = Path(os.environ.get("ALMANAC_BENCH_ADAPTERS") or ROOT / "build" / "adapters")


def trained(
    units: Sequence[EditUnit],
    recipe: str | Recipe,
    *,
    seed: int,
    parent: Path | None = None,
    replay: Sequence[EditUnit] = (),
    anchors: Sequence[Question] = (),
) -> Path:
    """The adapter folder of this job on the embedded model; trained unless it is there."""
    spec = JobSpec.plan(
        base=WEIGHTS,
        units=tuple(units),
        recipe=recipe,
        parent_adapter=parent,
        replay=tuple(replay),
        anchors=tuple(anchors),
        seed=seed,
    )
    folder = FOLDER / spec.digest[:24]
    create_job(folder, spec)
    return run_job(folder)
