"""The report of one gate decision: self-contained HTML, JSON and Markdown from the same values.

Owns how an evaluation is shown. Decides nothing and computes no metric. The HTML needs neither
network nor script and reads in light, dark and print.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from evaluator.agreement import Agreement, agreement
from evaluator.errors import SuiteError
from evaluator.evaluation import Evaluation
from evaluator.gate import GateReport
from evaluator.judge import RuleJudge
from evaluator.metrics import ABOUT, Metric
from evaluator.plots import before_after_plot, criteria_plot, trend_plot
from evaluator.probes import Suite
from evaluator.report_rows import edit_rows
from evaluator.wording import METRIC_TITLES, SHOWN, TREND, criterion_title, percent, points
from knowledge.codec import to_data

_KPIS = (Metric.EFFICACY, Metric.H_ACC, Metric.M_ACC, Metric.SRR, Metric.LOCALITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A further table of the report, from whoever has more to tell."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The figures of an earlier version, for the trend."""

    label: str
    values: dict[str, float]
    """By metric name; only what was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a report shows. Both evaluations are of `suite`."""

    title: str
    suite: Suite
    candidate: Evaluation
    production: Evaluation
    gate: GateReport
    sections: tuple[Section, ...] = ()
    history: tuple[Version, ...] = ()
    """Earlier versions, oldest first; the candidate itself is added."""

    def __post_init__(self) -> None:
        digests = {self.suite.digest, self.candidate.suite, self.production.suite, self.gate.suite}
        if len(digests) != 1:
            raise SuiteError(
                "a report needs one suite for both evaluations and the gate; these differ: "
                + ", ".join(sorted(d[:12] for d in digests))
            )


def write_report(report: Report, folder: Path, name: str = "report") -> dict[str, Path]:
    """Write `name`.html, .json and .md into the folder; returns the paths by suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "html": render_html(report),
        "json": json.dumps(report_data(report), ensure_ascii=False, indent=1),
        "md": render_markdown(report),
    }
    paths = {suffix: folder / f"{name}.{suffix}" for suffix in texts}
    for suffix, text in texts.items():
        paths[suffix].write_text(text, encoding="utf-8")
    return paths


def report_data(report: Report) -> dict[str, Any]:
    """The report as JSON-able data: the gate's answer, both evaluations, the suite, the
    sections.
    """
    return {
        "title": report.title,
        "gate": to_data(report.gate),
        "candidate": to_data(report.candidate),
        "production": to_data(report.production),
        "suite": {"digest": report.suite.digest, "probes": to_data(report.suite)["probes"]},
        "sections": [to_data(section) for section in report.sections],
        "agreement": [to_data(a) for a in judges_agree(report.suite, report.candidate)],
        "history": [to_data(version) for version in report.history],
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("evaluator"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "points": points}
    return environment


def render_html(report: Report) -> str:
    """The whole page as one text."""
    before, after = report.production.metrics, report.candidate.metrics
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            report=report,
            style=Markup(_environment().get_template("report.css").render()),
            kpis=[(METRIC_TITLES[m], before[m], after[m], ABOUT[m]) for m in _KPIS],
            criteria=[(criterion_title(c.name), c) for c in report.gate.criteria],
            criteria_plot=Markup(criteria_plot(report.gate.criteria)),
            metrics_plot=Markup(before_after_plot(SHOWN, before, after)),
            metrics=[(METRIC_TITLES[m], ABOUT[m], before[m], after[m]) for m in Metric],
            trend_plot=Markup(trend_plot(TREND, _versions(report))) if report.history else None,
            skills=_skills(report),
            edits=edit_rows(report.suite, report.production, report.candidate),
            agreement=judges_agree(report.suite, report.candidate),
        )
    )


def judges_agree(suite: Suite, evaluation: Evaluation) -> list[Agreement]:
    """The evaluation's judge against the rule judge, flag by flag; nothing when they are one."""
    rules = RuleJudge()
    if evaluation.judge == rules.name:
        return []
    return agreement(evaluation.verdicts, rules.judge(suite, evaluation.outputs))


def render_markdown(report: Report) -> str:
    """A summary for a terminal or a pull request."""
    return (
        _environment()
        .get_template("report.md.jinja")
        .render(
            report=report,
            criteria=[(criterion_title(c.name), c) for c in report.gate.criteria],
            metrics=[
                (METRIC_TITLES[m], report.production.metrics[m], report.candidate.metrics[m])
                for m in Metric
            ],
            edits=edit_rows(report.suite, report.production, report.candidate),
            agreement=judges_agree(report.suite, report.candidate),
            cell=lambda text: str(text).replace("|", "\\|").replace("\n", " "),
        )
    )


def _versions(report: Report) -> list[tuple[str, dict[Metric, float]]]:
    """Label and shown figures of each version, the candidate last."""
    metrics = report.candidate.metrics
    now = {m: v for m in TREND if (v := metrics[m].value) is not None}
    past = [
        (v.label, {m: v.values[m.value] for m in TREND if m.value in v.values})
        for v in report.history
    ]
    return [*past, ("this", now)]


def _skills(report: Report) -> list[tuple[str, float | None, float, int]]:
    """(skill, accuracy before, accuracy after, items) of the capability tasks."""
    if report.candidate.capability is None:
        return []
    before = report.production.capability.by_group() if report.production.capability else {}
    rows: list[tuple[str, float | None, float, int]] = []
    for skill, (right, total) in report.candidate.capability.by_group().items():
        was = before.get(skill)
        rows.append((skill, was[0] / was[1] if was else None, right / total, total))
    return rows
