"""How metrics, criteria and numbers are written in reports.

Owns titles and number formats, so that HTML, Markdown and plots say the same.
"""

from __future__ import annotations

from evaluator.metrics import Metric

METRIC_TITLES: dict[Metric, str] = {
    Metric.EFFICACY: "Efficacy",
    Metric.PARAPHRASE: "Paraphrases",
    Metric.H_ACC: "H-Acc",
    Metric.M_ACC: "M-Acc (mean)",
    Metric.M_ACC_ANY: "M-Acc (any)",
    Metric.CHECK: "Claims checked",
    Metric.CONFLICT: "Choice new or old",
    Metric.BEFORE: "Before",
    Metric.REVERSE: "Reverse",
    Metric.RATIONALE: "Rationale alignment",
    Metric.RECALL: "Recall",
    Metric.SRR: "SRR (headline)",
    Metric.SRR_LEGACY: "SRR, old as current",
    Metric.SRR_VERDICT: "SRR, verdict only",
    Metric.SRR_PER_PROBE: "SRR per probe",
    Metric.SRR_ANY: "SRR per edit, any",
    Metric.SRR_ANY_POOLED: "SRR per edit, pooled",
    Metric.SRR_REFERENCE: "SRR, reference's",
    Metric.LOCALITY_NEIGHBOUR: "Neighbours kept",
    Metric.LOCALITY_UNRELATED: "Unrelated kept",
    Metric.LOCALITY: "Locality",
    Metric.RETENTION: "Retention",
    Metric.ERRORS: "Not judged",
}

CRITERION_TITLES: dict[str, str] = {
    **{metric.value: title for metric, title in METRIC_TITLES.items()},
    "judged": "Outputs not judged",
    "improvement": "Improvement",
    "retention": "Retention",
    "new_refutations": "New refutations",
    "capability": "Capability",
}

SHOWN = (
    Metric.EFFICACY,
    Metric.PARAPHRASE,
    Metric.H_ACC,
    Metric.M_ACC,
    Metric.CHECK,
    Metric.CONFLICT,
    Metric.BEFORE,
    Metric.RATIONALE,
    Metric.RETENTION,
    Metric.LOCALITY,
    Metric.SRR,
)
"""The metrics of the before-and-after plot, in order."""


TREND = (
    Metric.EFFICACY,
    Metric.H_ACC,
    Metric.M_ACC,
    Metric.RETENTION,
    Metric.LOCALITY,
    Metric.SRR,
)
"""The metrics of the trend over versions, in order."""


def criterion_title(name: str) -> str:
    """The title of a criterion; `capability: TASK` names its task."""
    kind, _, task = name.partition(": ")
    title = CRITERION_TITLES.get(kind, kind)
    return f"{title}, {task}" if task else title


def percent(value: float | None) -> str:
    """`0.031` as `3.1 %`; a dash for nothing."""
    if value is None:
        return "–"
    return f"{value * 100:.1f}".removesuffix(".0") + " %"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, signed."""
    if value is None:
        return "–"
    if value == 0:
        return "0 pts"
    return f"{value * 100:+.1f}".removesuffix(".0").replace("-", "−") + " pts"
