"""Adapters that a bench trains: real jobs of the trainer, kept under the digest of the job.

Owns the folder of finished jobs, so that a bench that was killed, or that is run again, trains only
what is missing. What is trained is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from daemon.bench.rows import ROOT
from knowledge.edits import EditUnit
from knowledge.questions import Question
from trainer.embedded import WEIGHTS
from trainer.job import ADAPTER, JobSpec, create_job, run_job
from trainer.recipe import Recipe

FOLDER = ROOT / "build" / "adapters"
ANSWERS = FOLDER / "answers.jsonl"
"""What these adapters and the base said; never asked twice."""


class NotTrained(Exception):
    """The adapter is not there, and nothing may be trained."""


_trains = True


@contextmanager
def only_trained(on: bool) -> Iterator[None]:
    """Inside, `trained` raises NotTrained instead of training, if `on`."""
    global _trains
    before, _trains = _trains, not on
    try:
        yield
    finally:
        _trains = before


def trained(
    units: Sequence[EditUnit],
    recipe: str | Recipe,
    *,
    seed: int,
    parent: Path | None = None,
    replay: Sequence[EditUnit] = (),
    anchors: Sequence[Question] = (),
) -> Path:
    """The adapter folder of this job on the embedded model; trained unless it is there. Raises
    NotTrained inside `only_trained`."""
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
    if not _trains and not (folder / ADAPTER).is_dir():
        raise NotTrained(f"{folder} holds no finished adapter")
    create_job(folder, spec)
    return run_job(folder)
