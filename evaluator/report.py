"""The report of one gate decision: self-contained HTML, JSON and Markdown from the same values.

Owns how an evaluation is shown. Decides nothing and computes no metric. The HTML needs neither
network nor script and reads in light, dark and print.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from evaluator.errors import SuiteError
from evaluator.evaluation import Evaluation
from evaluator.examine import Output
from evaluator.gate import GateReport
from evaluator.metrics import ABOUT, Metric
from evaluator.plots import before_after_plot, criteria_plot
from evaluator.probes import Part, Probe, Suite
from evaluator.refutation import refutation
from evaluator.verdicts import Flag, Verdict
from evaluator.wording import CRITERION_TITLES, METRIC_TITLES, SHOWN, percent, points
from knowledge.codec import to_data
from knowledge.questions import QuestionKind

_KPIS = (Metric.EFFICACY, Metric.H_ACC, Metric.M_ACC, Metric.SRR, Metric.LOCALITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A further table of the report, from whoever has more to tell."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a report shows. Both evaluations are of `suite`."""

    title: str
    suite: Suite
    candidate: Evaluation
    production: Evaluation
    gate: GateReport
    sections: tuple[Section, ...] = ()

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
            criteria=[(CRITERION_TITLES.get(c.name, c.name), c) for c in report.gate.criteria],
            criteria_plot=Markup(criteria_plot(report.gate.criteria)),
            metrics_plot=Markup(before_after_plot(SHOWN, before, after)),
            metrics=[(METRIC_TITLES[m], ABOUT[m], before[m], after[m]) for m in Metric],
            skills=_skills(report),
            edits=_edits(report),
            relative=("improvement", "retention", "capability"),
        )
    )


def render_markdown(report: Report) -> str:
    """A summary for a terminal or a pull request."""
    return (
        _environment()
        .get_template("report.md.jinja")
        .render(
            report=report,
            criteria=[(CRITERION_TITLES.get(c.name, c.name), c) for c in report.gate.criteria],
            metrics=[
                (METRIC_TITLES[m], report.production.metrics[m], report.candidate.metrics[m])
                for m in Metric
            ],
            edits=_edits(report),
            relative=("improvement", "retention", "capability"),
            cell=lambda text: str(text).replace("|", "\\|").replace("\n", " "),
        )
    )


# ---------------------------------------------------------------------------------------------
# Rows of the page
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One probe with both versions' answers; `html` has the verdict's spans marked."""

    kind: str
    question: str
    before: str
    before_html: Markup
    before_right: bool
    after: str
    after_html: Markup
    after_right: bool
    fault: str
    """How the new answer refutes itself, or why it has no judgement; empty otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRow:
    """One edit: its headline answer (the direct question) and all its answers."""

    part: str
    title: str
    change: str
    head: Answer
    answers: tuple[Answer, ...]

    @property
    def right(self) -> int:
        return sum(answer.after_right for answer in self.answers)

    @property
    def faults(self) -> int:
        return sum(bool(answer.fault) for answer in self.answers)


def _edits(report: Report) -> list[EditRow]:
    groups: dict[tuple[Part, str], list[tuple[Probe, Answer]]] = defaultdict(list)
    columns = zip(
        report.suite.probes,
        report.production.outputs,
        report.production.verdicts,
        report.candidate.outputs,
        report.candidate.verdicts,
        strict=True,
    )
    for probe, old, old_row, new, new_row in columns:
        if probe.part in (Part.EDIT, Part.RETENTION):
            answer = _answer(probe, old, old_row, new, new_row)
            groups[probe.part, probe.cluster].append((probe, answer))
    return [_edit_row(part, group) for (part, _), group in groups.items()]


def _edit_row(part: Part, group: Sequence[tuple[Probe, Answer]]) -> EditRow:
    direct = (a for p, a in group if p.kind is QuestionKind.DIRECT)
    probe = group[0][0]
    old = probe.old[0] if probe.old else "nothing"
    new = probe.new[0] if probe.new else "nothing"
    return EditRow(
        part=part.value,
        title=probe.subject,
        change=f"{old} → {new}",
        head=next(direct, group[0][1]),
        answers=tuple(answer for _, answer in group),
    )


def _answer(probe: Probe, old: Output, old_row: Verdict, new: Output, new_row: Verdict) -> Answer:
    fault = new_row.error or ""
    kind = refutation(new_row)
    if kind:
        fault = f"refutes itself ({kind.value})"
    return Answer(
        kind=probe.kind.value.replace("_", " "),
        question=probe.question.text,
        before=old.text,
        before_html=marked(old.text, old_row),
        before_right=old_row.right,
        after=new.text,
        after_html=marked(new.text, new_row),
        after_right=new_row.right,
        fault=fault,
    )


_HINTS = {
    Flag.NEW: "states the new fact",
    Flag.OLD: "names the old as current",
    Flag.NEGATED: "takes the new fact back",
    Flag.PAST: "the old as past",
    Flag.CAUSE: "cause",
    Flag.VERDICT: "yes or no",
}


def marked(text: str, row: Verdict) -> Markup:
    """The text as HTML with the verdict's spans in `<mark>`, escaped throughout."""
    out: list[Markup] = []
    at = 0
    for mark in row.marks:
        out.append(escape(text[at : mark.start]))
        out.append(
            Markup('<mark class="{}" title="{}">{}</mark>').format(
                mark.flag.value, _HINTS[mark.flag], text[mark.start : mark.end]
            )
        )
        at = mark.end
    out.append(escape(text[at:]))
    return Markup("").join(out)


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
