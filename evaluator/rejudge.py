"""Judging a result folder that exists: an evaluation's, a run of methods, or the reference
implementation's.

Owns reading the folder, the summary, and its files. Nothing is generated; a judge with a store of
replies asks only for what is missing, so a run that was ended goes on.

    judged/verdicts.jsonl   the verdict table, one row a line
    judged/summary.json     our metrics, and the reference's names beside them
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evaluator.agreement import agreement
from evaluator.errors import SuiteError
from evaluator.evaluation import Evaluation
from evaluator.examine import Output
from evaluator.judge import Judge, RuleJudge
from evaluator.metrics import Estimate, Metric, measure
from evaluator.probes import Suite
from evaluator.reference_results import (
    ReferenceResults,
    is_reference,
    read_reference,
    reference_summary,
)
from evaluator.verdicts import Verdict
from knowledge.codec import from_data, to_data

JUDGED = "judged"
JUDGEMENTS = "judgements.jsonl"
OUTPUTS = "outputs.json"
_NAMES = ("report.json", OUTPUTS, "metrics.json")
_REFUTATIONS = frozenset(m for m in Metric if m.value.startswith("srr"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Outputs that can be judged. `reference` is set for a file of the reference implementation,
    `production` where our folder has the version compared with."""

    suite: Suite
    outputs: tuple[Output, ...]
    production: tuple[Output, ...] = ()
    reference: ReferenceResults | None = None


def read_results(path: Path) -> Results:
    """A result folder, or a `report.json` or `metrics.json` itself. Raises SuiteError."""
    file = path
    if path.is_dir():
        found = [path / name for name in _NAMES if (path / name).is_file()]
        if not found:
            raise SuiteError(f"{path} has neither {' nor '.join(_NAMES)}: name a result folder")
        file = found[0]
    try:
        data: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SuiteError(f"{file} cannot be read as JSON: {error}") from error
    if is_reference(data):
        read = read_reference(data)
        return Results(suite=read.suite, outputs=read.outputs, reference=read)
    if isinstance(data, dict) and {"suite", "candidate"} <= data.keys():
        return _ours(file, data)
    if isinstance(data, dict) and {"suite", "outputs"} <= data.keys():
        return _outputs_alone(file, data)
    raise SuiteError(
        f"{file} is neither a report of Almanac nor a metrics.json with outputs in it; name the "
        "result folder of an evaluation, or the file that the reference's runner wrote"
    )


def _ours(file: Path, data: dict[str, Any]) -> Results:
    try:
        suite = from_data(Suite, {"probes": data["suite"]["probes"]})
        candidate = from_data(Evaluation, data["candidate"])
        production = from_data(Evaluation, data["production"])
    except (ValidationError, KeyError) as error:
        raise SuiteError(f"{file} is not a whole report: {error}") from error
    return Results(suite=suite, outputs=candidate.outputs, production=production.outputs)


def _outputs_alone(file: Path, data: dict[str, Any]) -> Results:
    """Probes with their gold answers and what was said: the file of a run of methods."""
    try:
        suite = from_data(Suite, {"probes": data["suite"]["probes"]})
        outputs = from_data(tuple[Output, ...], data["outputs"])
        production = from_data(tuple[Output, ...], data.get("production", []))
    except (ValidationError, KeyError, TypeError) as error:
        raise SuiteError(f"{file} is not whole: {error}") from error
    return Results(suite=suite, outputs=outputs, production=production)


def judge_results(
    results: Results, judge: Judge, *, refute: bool, why: bool
) -> tuple[list[Verdict], dict[str, Any]]:
    """The verdict table and the summary as JSON-able data. `refute` and `why` add what speaks of
    self-refutation and of causes."""
    rows = judge.judge(results.suite, results.outputs)
    before = judge.judge(results.suite, results.production) if results.production else None
    found = measure(rows, before)
    shown = {m: e for m, e in found.items() if _asked(m, refute=refute, why=why)}
    summary: dict[str, Any] = {
        "judge": judge.name,
        "outputs": len(rows),
        "errors": sum(row.error is not None for row in rows),
        "almanac": {m.value: _figures(e) for m, e in shown.items()},
    }
    if results.reference is not None:
        summary["reference"] = reference_summary(results.reference, rows, refute=refute, why=why)
    rules = RuleJudge()
    if judge.name != rules.name:
        agreed = agreement(rows, rules.judge(results.suite, results.outputs))
        summary["agreement_with_rules"] = [to_data(a) for a in agreed]
    return rows, summary


def _asked(metric: Metric, *, refute: bool, why: bool) -> bool:
    if metric in _REFUTATIONS:
        return refute
    return why if metric is Metric.RATIONALE else True


def _figures(estimate: Estimate) -> dict[str, Any]:
    names = ("value", "low", "high", "method", "n", "outputs")
    return {name: getattr(estimate, name) for name in names}


def folder_of(path: Path) -> Path:
    """Where the judged files of a result folder, or of a file, go."""
    return (path if path.is_dir() else path.parent) / JUDGED


def write_judged(folder: Path, rows: Sequence[Verdict], summary: dict[str, Any]) -> Path:
    """Both files, each whole; the summary's path."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(to_data(row), ensure_ascii=False) for row in rows)
    _save(folder / "verdicts.jsonl", "".join(line + "\n" for line in lines))
    path = folder / "summary.json"
    _save(path, json.dumps(summary, ensure_ascii=False, indent=1) + "\n")
    return path


def _save(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
