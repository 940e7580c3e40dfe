"""Ten releases, one on top of the other: what stays of the earlier ones.

Owns the rows of `make bench-releases`. Each release of twelve edits of the `report` split starts
from the adapter before it and replays a sample of earlier edits, as the daemon plans it; the sixth
takes one edit of the second back. At releases 5 and 10 all live edits are also trained anew from
the base. Adapters and evaluations are kept, so a run that was cut goes on. `RELEASES=` runs fewer.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from agents.questions import build_questions, build_unit
from daemon.bench.edit_sets import EditCase, case_of, world_units
from daemon.bench.rows import FOLDER, Op, Row
from daemon.bench.weights import bench_base, code_digest, weight_digest
from daemon.controllers.train import replayed
from evaluator.capability import BUNDLED
from evaluator.evaluation import Evaluation, evaluate
from evaluator.intervals import paired_difference
from evaluator.metrics import Metric
from knowledge.edits import EditKind, EditUnit, live_units
from knowledge.facts import ChangeKind, FactChange
from knowledge.narrative import CausalNarrative, digest_of
from knowledge.rendering import Story, narrative_prose
from knowledge.world import Split
from trainer.engines.transformers import TransformersEngine
from trainer.job import JobSpec, create_job, run_job
from trainer.recipe import Recipe, load_recipe

RELEASES = 10
_BATCH = 12
_REPLAY = 32
_RETRACTED_AT, _RETRACTED_FROM = 6, 2
_RETRAIN_AT = (5, 10)
_KEPT = 0.97
_MARGIN = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stand:
    """A version: how it was made and judged."""

    name: str
    adapter: Path
    evaluation: Evaluation


def measure(quick: bool) -> list[Row]:
    """The whole sequence; `quick`: two releases of two edits of the `tune` split."""
    torch.set_num_threads(1)
    count = 2 if quick else int(os.environ.get("RELEASES") or RELEASES)
    recipe = load_recipe("mini" if quick else "embedded")
    split, batch = (Split.TUNE, 2) if quick else (Split.REPORT, _BATCH)
    run = _Run(recipe, world_units(split), batch, capability=not quick)
    rows: list[Row] = []
    for number in range(1, count + 1):
        rows += run.release(number)
        if number in _RETRAIN_AT and not quick:
            rows += run.retrain(number)
    if count < RELEASES and not quick:
        rows.append(_skipped(f"releases {count + 1} to {RELEASES}", f"RELEASES={count}"))
    return rows


class _Run:
    """The sequence of releases over one base."""

    def __init__(
        self, recipe: Recipe, units: Sequence[EditUnit], batch: int, *, capability: bool
    ) -> None:
        self._recipe, self._batch = recipe, batch
        self._pool = list(units)
        self._tasks = BUNDLED if capability else ()
        self._taught: list[EditUnit] = []
        self._parent: Path | None = None
        base = bench_base()
        key = digest_of([recipe.digest, weight_digest(base), code_digest(), batch, self._tasks])
        self._folder = FOLDER / "releases" / key[:16]
        self._engine = TransformersEngine.load(base, attention="eager")
        self._base_path = base

    def release(self, number: int) -> list[Row]:
        """Train and judge release `number` on top of the one before."""
        units = self._units(number)
        edited = {unit.slot for unit in units}
        live = [u for u in live_units(self._taught) if u.slot not in edited]
        case = case_of(f"release-{number}", units, live, seed=number)
        spec = JobSpec.plan(
            base=self._base_path,
            units=case.units,
            recipe=self._recipe,
            parent_adapter=self._parent,
            replay=tuple(replayed(live, _REPLAY, number)) if self._parent else (),
            anchors=case.anchors,
            seed=number,
        )
        stand = self._made(f"release-{number}", spec, case)
        self._parent = stand.adapter
        self._taught += units
        return [*self._rows(stand, case), *_retraction_rows(stand, units)]

    def retrain(self, number: int) -> list[Row]:
        """All edits in force after release `number`, in one job from the base."""
        units = live_units(self._taught)
        case = case_of(f"retrain-{number}", units, seed=number)
        spec = JobSpec.plan(
            base=self._base_path,
            units=case.units,
            recipe=self._recipe,
            anchors=case.anchors,
            seed=number,
        )
        stand = self._made(f"retrain-{number}", spec, case)
        name = f"retrain-from-base at {number}: edits still right"
        found = stand.evaluation.metrics[Metric.H_ACC]
        return [_kept(name, found.value, f"H-Acc of {len(units)} edits"), *self._rows(stand, case)]

    def _units(self, number: int) -> list[EditUnit]:
        start = (number - 1) * self._batch
        units = self._pool[start : start + self._batch]
        if number == _RETRACTED_AT:
            units = [*units[:-1], retraction_of(self._pool[(_RETRACTED_FROM - 1) * self._batch])]
        return units

    def _made(self, name: str, spec: JobSpec, case: EditCase) -> _Stand:
        folder = self._folder / name
        create_job(folder, spec)
        adapter = run_job(folder)
        path = folder / "evaluation.json"
        if not path.is_file():
            judged = self._judge(adapter, case)
            part = path.with_suffix(".part")
            part.write_text(judged.to_json(), encoding="utf-8")
            part.replace(path)
        judged = Evaluation.from_json(path.read_bytes())
        return _Stand(name=name, adapter=adapter, evaluation=judged)

    def _judge(self, adapter: Path, case: EditCase) -> Evaluation:
        """Against the bare base: drift over all releases shows, not only the last step's."""
        before = evaluate(self._engine.view(None), case.suite, tasks=self._tasks)
        self._engine.load_adapter("candidate", adapter)
        try:
            model = self._engine.view("candidate")
            judged = evaluate(model, case.suite, production=before, tasks=self._tasks)
        finally:
            self._engine.unload_adapter("candidate")
        if before.capability:
            path = adapter.parent / "base_skills.json"
            path.write_text(json.dumps(before.capability.items), encoding="utf-8")
        return judged

    def _rows(self, stand: _Stand, case: EditCase) -> list[Row]:
        metrics = stand.evaluation.metrics
        rows = [
            _kept(
                f"{stand.name}: locality, against the base",
                metrics[Metric.LOCALITY].value,
                f"{metrics[Metric.LOCALITY].n} facts",
            )
        ]
        if metrics[Metric.RETENTION].n:
            found = metrics[Metric.RETENTION]
            rows.append(_kept(f"{stand.name}: retention", found.value, f"{found.n} earlier edits"))
        if stand.evaluation.capability:
            rows.append(_skills(stand))
        return rows


def retraction_of(unit: EditUnit) -> EditUnit:
    """The edit that takes a unit back: the former holder holds it again."""
    change = unit.change
    back = FactChange(
        subject=change.subject,
        property=change.property,
        old=change.new,
        new=change.old,
        kind=ChangeKind.SUCCESSION,
        reason="retracted",
    )
    assert back.new is not None
    story = Story(subject=back.subject, property=back.property, holder=back.new, previous=back.old)
    prose, _ = narrative_prose(story, random.Random(f"retraction:{unit.id}"))
    narrative = CausalNarrative(claims=(), prose=prose, cause=None, drafter="bench/1")
    made = build_unit(back, narrative, build_questions(back, narrative, (), (), ()))
    return dataclasses.replace(made, kind=EditKind.RETRACTION, supersedes=unit.id)


def _retraction_rows(stand: _Stand, units: Sequence[EditUnit]) -> list[Row]:
    taken = [unit for unit in units if unit.kind is EditKind.RETRACTION]
    rows: list[Row] = []
    for unit in taken:
        cells = stand.evaluation.metrics[Metric.H_ACC].cells
        value = next((num / den for cluster, num, den in cells if cluster == unit.id), None)
        subject = unit.change.subject.label
        rows.append(_kept(f"{stand.name}: the edit that was taken back", value, subject))
    return rows


def _skills(stand: _Stand) -> Row:
    after = stand.evaluation.capability
    assert after is not None
    path = stand.adapter.parent / "base_skills.json"
    before: dict[str, bool] = json.loads(path.read_text(encoding="utf-8"))
    worse = sum(before[key] and not right for key, right in after.items.items())
    better = sum(right and not before[key] for key, right in after.items.items())
    _, low, _ = paired_difference(worse, better, len(after.items))
    return Row(
        what=f"{stand.name}: skills, one-sided lower 95 % bound against the base",
        value=round(100 * low, 2),
        unit="points",
        bar=-100 * _MARGIN,
        op=Op.AT_LEAST,
        detail=f"{len(after.items)} items: {worse} worse, {better} better",
    )


def _kept(what: str, value: float | None, detail: str) -> Row:
    shown = None if value is None else round(100 * value, 2)
    return Row(what=what, value=shown, unit="%", bar=100 * _KEPT, op=Op.AT_LEAST, detail=detail)


def _skipped(what: str, why: str) -> Row:
    return Row(what=what, value=None, unit="", bar=0, op=Op.AT_LEAST, detail=why)
