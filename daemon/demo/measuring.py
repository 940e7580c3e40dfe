"""What the evaluations measured, read back for the demo's tables and its report.

Owns reading the result folders of evaluation jobs. Measures nothing: every number was computed by
the evaluation from generated text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daemon.demo.result import Criterion, Measure
from daemon.jobs.evaluation_job import EvaluationSpec, load_job
from daemon.registry.releases import Release
from daemon.services import Services
from evaluator.evaluation import Evaluation
from evaluator.gate import GateReport
from evaluator.metrics import LOWER_IS_BETTER, Metric
from evaluator.wording import METRIC_TITLES, percent
from knowledge import codec

SHOWN = (
    Metric.EFFICACY,
    Metric.H_ACC,
    Metric.M_ACC,
    Metric.SRR,
    Metric.LOCALITY,
    Metric.BEFORE,
    Metric.RETENTION,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One release's evaluation, whole."""

    release: int
    spec: EvaluationSpec
    candidate: Evaluation
    production: Evaluation
    gate: GateReport


def examined(services: Services, release: Release) -> Examined | None:
    """The evaluation of a release; None while it has none."""
    report = services.releases.show(release.id).report_path
    if report is None:
        return None
    folder = Path(report).parent
    return Examined(
        release=release.id,
        spec=load_job(folder.parent),
        candidate=Evaluation.from_json((folder / "candidate.json").read_bytes()),
        production=Evaluation.from_json((folder / "production.json").read_bytes()),
        gate=codec.from_json(GateReport, (folder / "gate.json").read_bytes()),
    )


def measures(all_examined: list[Examined]) -> tuple[Measure, ...]:
    """The shown metrics and capability, before and after each release."""
    rows = [_metric(metric, all_examined) for metric in SHOWN]
    pairs = tuple(
        (
            one.production.capability.accuracy if one.production.capability else None,
            one.candidate.capability.accuracy if one.candidate.capability else None,
        )
        for one in all_examined
    )
    return (*rows, Measure(name="Capability", by_release=pairs, better="higher"))


def _metric(metric: Metric, all_examined: list[Examined]) -> Measure:
    pairs = tuple(
        (one.production.metrics[metric].value, one.candidate.metrics[metric].value)
        for one in all_examined
    )
    better = "lower" if metric in LOWER_IS_BETTER else "higher"
    return Measure(name=METRIC_TITLES.get(metric, metric.value), by_release=pairs, better=better)


def criteria(all_examined: list[Examined]) -> tuple[Criterion, ...]:
    """Every line of every gate's answer."""
    return tuple(
        Criterion(
            release=one.release,
            name=line.name,
            value="none" if line.value is None else percent(line.value),
            limit=f"{line.op} {percent(line.bar)}",
            verdict=line.outcome.value,
            detail=line.detail or line.test,
        )
        for one in all_examined
        for line in one.gate.criteria
    )
