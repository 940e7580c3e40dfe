"""The rule judge against labelled outputs, and two labellings against each other.

Owns these rows and the confusion matrices, which `python -m daemon.bench.eval_judge` writes beside
the labels. The bar holds for the report half; the development half stands in the detail.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from daemon.bench.rows import Op, Row
from evaluator.agreement import kappa
from evaluator.calibration import (
    Confusion,
    Half,
    LabelledOutput,
    Labels,
    confusions,
    judged,
    load_labelled,
    load_second,
    of_labels,
    of_verdict,
)
from evaluator.judge import RuleJudge

FILES = ("prose.jsonl", "adapters.jsonl")
SECOND = "second.jsonl"
MATRICES = "confusion.json"
BAR = 0.95
OUTPUTS, REFUTING = 400, 120


def judge_rows(folder: Path) -> list[Row]:
    """Size and make-up of the labelled set, each flag's lower of precision and recall, agreement of
    the two labellings."""
    outputs = labelled(folder)
    rows = _set_rows(outputs)
    halves = {half: matrices([o for o in outputs if o.half is half]) for half in Half}
    for report, development in zip(halves[Half.REPORT], halves[Half.DEVELOPMENT], strict=True):
        rows.append(
            Row(
                what=f"rule judge, {report.flag}: lower of precision and recall",
                value=_rounded(report.worst),
                unit="",
                bar=BAR,
                op=Op.AT_LEAST,
                detail=f"report half: {_told(report)}; development half: {_told(development)}",
            )
        )
    return rows + _agreement_rows(outputs, folder / SECOND)


def labelled(folder: Path) -> list[LabelledOutput]:
    """All labelled outputs of a folder, or of one file."""
    if folder.is_file():
        return load_labelled(folder)
    return [o for name in FILES if (folder / name).is_file() for o in load_labelled(folder / name)]


def matrices(outputs: Sequence[LabelledOutput]) -> list[Confusion]:
    """The rule judge's confusion counts over these outputs, flag by flag."""
    rows = judged(RuleJudge(), outputs)
    return confusions(
        [(of_verdict(row), of_labels(o.labels)) for row, o in zip(rows, outputs, strict=True)]
    )


def _set_rows(outputs: Sequence[LabelledOutput]) -> list[Row]:
    def count(name: str, value: int, bar: int, detail: str = "") -> Row:
        return Row(what=name, value=value, unit="", bar=bar, op=Op.AT_LEAST, detail=detail)

    n = len(outputs)
    blind = sum(o.blind for o in outputs)
    real = sum(o.style == "adapter" for o in outputs)
    return [
        count("labelled outputs", n, OUTPUTS),
        count(
            "labelled without sight of the judge's code",
            blind,
            OUTPUTS,
            "" if n == blind else f"the other {n - blind} not",
        ),
        count("of them self-refuting", sum(o.labels.self_refuting for o in outputs), REFUTING),
        count("said by real adapters", real, OUTPUTS // 2, "half of the outputs asked for"),
        count("prose in the style of a 7B model", n - real, OUTPUTS // 2, "the other half"),
        count("adversarial", sum(o.adversarial for o in outputs), n // 2),
    ]


def _agreement_rows(outputs: Sequence[LabelledOutput], path: Path) -> list[Row]:
    second = load_second(path) if path.is_file() else {}
    pairs = [(o.labels, second[o.id]) for o in outputs if o.id in second]
    rows = [
        Row(
            what="labelled a second time, independently",
            value=len(pairs),
            unit="",
            bar=len(outputs),
            op=Op.EQUAL,
            detail="" if pairs else "no second hand has labelled yet",
        )
    ]
    for name in Labels.model_fields if pairs else ():
        both = [(getattr(a, name), getattr(b, name)) for a, b in pairs]
        equal = sum(a == b for a, b in both) / len(both)
        found = kappa(both)
        told = "none" if found is None else f"{found:.3f}"
        rows.append(
            Row(
                what=f"two labellings, {name}: share that agrees",
                value=round(equal, 4),
                unit="",
                bar=0.0,
                op=Op.AT_LEAST,
                detail=f"shown, no bar; Cohen's kappa {told} over {len(both)}",
            )
        )
    return rows


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _told(counts: Confusion) -> str:
    shown = ("-" if v is None else f"{v:.3f}" for v in (counts.precision, counts.recall))
    precision, recall = shown
    labelled_true = counts.both + counts.label_only
    return f"precision {precision}, recall {recall} ({labelled_true} labelled so)"


def matrix_data(folder: Path) -> dict[str, list[dict[str, object]]]:
    """Confusion counts by half and style."""
    outputs = labelled(folder)
    return {
        f"{half.value}, {style}": _counts(
            o for o in outputs if o.half is half and (style == "all" or o.style == style)
        )
        for half in Half
        for style in ("all", "prose", "adapter")
    }


def write_matrices(folder: Path) -> Path:
    """The confusion counts as a file beside the labels."""
    path = folder / MATRICES
    path.write_text(json.dumps(matrix_data(folder), indent=1) + "\n", encoding="utf-8")
    return path


def _counts(outputs: Iterable[LabelledOutput]) -> list[dict[str, object]]:
    return [asdict(found) for found in matrices(list(outputs))]


if __name__ == "__main__":
    print(write_matrices(Path(sys.argv[1])))
