"""The demo's HTML report: the evaluator's report of the last release, with the demo's own tables.

Owns the added sections only; plots and layout are `evaluator.report`.
"""

from __future__ import annotations

import os
from pathlib import Path

from daemon.demo.measuring import Examined
from daemon.demo.result import DemoResult
from evaluator.report import Report, Section, Version, render_html


def write(home: Path, result: DemoResult, last: Examined) -> Path:
    """Write `report.html` into the demo's folder; its path."""
    spec = last.spec
    report = Report(
        title="Almanac: the demo",
        suite=spec.suite(last.gate.asked_more),
        candidate=last.candidate,
        production=last.production,
        gate=last.gate,
        sections=tuple(_sections(result)),
        history=tuple(Version(label=past.label, values=past.values) for past in spec.history),
    )
    path = home / "report.html"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(render_html(report), encoding="utf-8")
    os.replace(temporary, path)
    return path


def _sections(result: DemoResult) -> list[Section]:
    return [_watched(result), _answers(result), _measures(result), _gates(result), _times(result)]


def _watched(result: DemoResult) -> Section:
    found = result.found
    rows = [
        ("seen", str(found.edits_seen)),
        ("part of a real change", str(found.kept)),
    ]
    rows += [
        (f"dismissed: {kind.replace('_', ' ')}", str(count))
        for kind, count in sorted(found.dismissed.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    rows += [(f"missed: {slot}", "1") for slot in found.misses]
    rows += [(f"kept in error: {key}", "1") for key in found.false_keeps]
    hits = found.expected - len(found.misses)
    return Section(
        title="What changed on Wikidata",
        header=("edits", "count"),
        rows=tuple(rows),
        note=f"{hits} of {found.expected} real changes found, "
        f"{len(found.false_keeps)} false ones kept; scenario seed {result.seed}.",
    )


def _answers(result: DemoResult) -> Section:
    return Section(
        title="The same question before and after, through the gateway",
        header=("release", "question", "base model", "now", "expected"),
        rows=tuple(
            (str(s.release), s.question, s.before, s.after, s.expected) for s in result.shown
        ),
    )


def _measures(result: DemoResult) -> Section:
    header = ["measure"]
    for number in range(1, 1 + len(result.measures[0].by_release)):
        header += [f"release {number}: before", "after"]
    rows = [
        (m.name, *(_share(value) for pair in m.by_release for value in pair))
        for m in result.measures
    ]
    return Section(title="Both releases", header=tuple(header), rows=tuple(rows))


def _gates(result: DemoResult) -> Section:
    return Section(
        title="Every criterion of every gate",
        header=("release", "criterion", "value", "limit", "verdict", "detail"),
        rows=tuple(
            (str(c.release), c.name, c.value, c.limit, c.verdict, c.detail) for c in result.criteria
        ),
    )


def _times(result: DemoResult) -> Section:
    rows = [(name, f"{seconds:.1f}") for name, seconds in result.took_s.items()]
    if result.rolled:
        rows.append(("rollback, command to first answer", _seconds(result.rolled.back_s)))
        rows.append(("promotion again, the same", _seconds(result.rolled.again_s)))
    return Section(title="Time", header=("stage", "seconds"), rows=tuple(rows))


def _seconds(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
