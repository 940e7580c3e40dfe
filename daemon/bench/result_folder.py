"""The result folder that users of the reference know, written from our outcomes.

    {output root}/{datatype}/{model}/{method}/tag-{tag}/n{cases}[_b{batch}]_seed{seed}_{run id}/
        metrics.json    one entry a case: rewrites, hop-wise hits, multi-hop hits, conflict hits
        res.json        total_cases, overall_hop_wise_average, accuracy_averages
        requests.json   the edits and the questions of each case
        outputs.json    probes with gold answers and what was said, for `almanac eval judge`
        meta/run_args.json, meta/run_info.json

Owns the names and the shape. Hits are the evaluator's verdicts, not substrings.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.bench.case_runs import Outcome
from daemon.bench.edit_sets import EditCase
from evaluator.evaluation import Evaluation
from evaluator.metrics import HOPWISE
from evaluator.probes import Part
from evaluator.rejudge import OUTPUTS
from evaluator.verdicts import Verdict
from knowledge.codec import to_data
from knowledge.edits import EditUnit
from knowledge.questions import QuestionKind, Use


def run_folder(
    root: Path,
    *,
    datatype: str,
    model: str,
    method: str,
    tag: str,
    cases: int,
    batch: int,
    seed: int,
    run_id: str,
) -> Path:
    """Where a run's results lie."""
    batched = f"_b{batch}" if batch > 0 else ""
    name = f"n{cases}{batched}_seed{seed}_{segment(run_id)}"
    place = root / segment(datatype) / segment(model) / segment(method)
    return place / f"tag-{segment(tag)}" / name


def segment(text: str) -> str:
    """A text as one part of a path."""
    return re.sub(r'[\\/:*?"<>|]', "-", text.strip() or "base").replace(" ", "_")


def write_results(
    folder: Path,
    cases: Sequence[EditCase],
    outcomes: Sequence[Outcome],
    *,
    arguments: Mapping[str, Any],
    info: Mapping[str, Any],
) -> Path:
    """All files of a run; each appears whole. The folder is returned."""
    metrics = [_metrics(case, o) for case, o in zip(cases, outcomes, strict=True)]
    _save(folder / "metrics.json", metrics)
    _save(folder / "res.json", averages(metrics))
    _save(folder / "requests.json", [_request(case) for case in cases])
    _save(folder / OUTPUTS, _judgeable(cases, outcomes))
    _save(folder / "meta" / "run_args.json", dict(arguments))
    _save(
        folder / "meta" / "run_info.json",
        {
            **arguments,
            **info,
            "created_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "case_count": len(cases),
            "run_dir": str(folder),
        },
    )
    return folder


def _judgeable(cases: Sequence[EditCase], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The suites of all cases as one, gold answers included, with the outputs after and before. An
    id or a cluster carries its case's name: two cases may ask the same."""
    probes, after, before = [], [], []
    for case, outcome in zip(cases, outcomes, strict=True):
        mark = f"{case.name}/"
        for probe in case.suite.probes:
            probes.append(replace(probe, id=mark + probe.id, cluster=mark + probe.cluster))
        for judged, into in ((outcome.evaluation, after), (outcome.before, before)):
            into += [replace(output, probe=mark + output.probe) for output in judged.outputs]
    return {
        "suite": {"probes": [to_data(probe) for probe in probes]},
        "outputs": [to_data(output) for output in after],
        "production": [to_data(output) for output in before],
    }


def _metrics(case: EditCase, outcome: Outcome) -> dict[str, Any]:
    after = _hits(outcome.evaluation)
    return {
        "case_id": case.name,
        "requested_rewrite": [_rewrite(unit) for unit in case.units],
        "pre": _hits(outcome.before),
        "post": after,
        "time": outcome.train_s,
        "summary": {
            metric.value: to_data(found)
            for metric, found in outcome.evaluation.metrics.items()
            if found.value is not None
        },
    }


def _hits(judged: Evaluation) -> dict[str, Any]:
    """Hits by edit of the hop-wise probes, and all multi-hop, conflict and before hits."""
    edits = [row for row in judged.verdicts if row.part is Part.EDIT and row.error is None]
    hops: dict[str, list[bool]] = defaultdict(list)
    for row in edits:
        if row.kind in HOPWISE:
            hops[row.cluster].append(row.right)
    return {
        "hop_wise": list(hops.values()),
        "accuracy": _of(edits, QuestionKind.TWO_HOP),
        "conflict_probe": _of(edits, QuestionKind.CONFLICT),
        "old_knowledge_probe": _of(edits, QuestionKind.BEFORE),
        "predictions": [
            {"probe": output.probe, "text": output.text, "right": row.right}
            for output, row in zip(judged.outputs, judged.verdicts, strict=True)
        ],
    }


def _of(rows: Sequence[Verdict], kind: QuestionKind) -> list[bool]:
    return [row.right for row in rows if row.kind is kind]


def averages(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Hop-wise: mean over cases of hits among probes. `qa`: share of cases with a multi-hop hit."""
    hop_wise: list[float] = []
    any_right = 0
    for case in metrics:
        hits = [hit for hop in case["post"]["hop_wise"] for hit in hop]
        hop_wise.append(sum(hits) / len(hits) if hits else 0.0)
        any_right += any(case["post"]["accuracy"])
    total = len(metrics)
    return {
        "total_cases": total,
        "overall_hop_wise_average": str(sum(hop_wise) / total if total else 0.0),
        "accuracy_averages": {"qa": str(any_right / total if total else 0.0)},
    }


def _request(case: EditCase) -> dict[str, Any]:
    return {
        "case_id": case.name,
        "batch_requests": [_rewrite(unit) for unit in case.units],
        "questions": [
            {"unit": unit.id, "kind": q.kind.value, "use": q.use.value, "question": q.text}
            for unit in case.units
            for use in Use
            for q in unit.asked(use)
        ],
    }


def _rewrite(unit: EditUnit) -> dict[str, Any]:
    change = unit.change
    old, new = change.old, change.new
    data: dict[str, Any] = {
        "subject": change.subject.label,
        "relation_id": change.property,
        "target_true": {"str": old.label, "id": old.id} if old else None,
        "target_new": {"str": new.label, "id": new.id} if new else None,
    }
    if unit.narrative:
        data["article"] = unit.narrative.prose
    return data


def _save(path: Path, data: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    part.replace(path)
