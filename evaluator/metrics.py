"""Metrics: pure functions of the verdict table, each with its n and an interval clustered by edit.

Owns the definitions. A probe's verdicts are averaged inside an edit first, so that an edit with
more probes, or one examined with several seeds, weighs no more than another. Rows with an error
count in no metric but `errors`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from evaluator.intervals import Cell, interval, rate
from evaluator.judge import aligned
from evaluator.probes import Part
from evaluator.refutation import PROBED, Refutation, refutation
from evaluator.verdicts import Final, Verdict
from knowledge.questions import QuestionKind as Kind


class Metric(StrEnum):
    """What is measured. The value of a member names it in policies, reports and JSON."""

    EFFICACY = "efficacy"
    PARAPHRASE = "paraphrase"
    H_ACC = "h_acc"
    M_ACC = "m_acc"
    M_ACC_ANY = "m_acc_any"
    CHECK = "check"
    CONFLICT = "conflict"
    BEFORE = "before"
    REVERSE = "reverse"
    RATIONALE = "rationale"
    RECALL = "recall"
    SRR = "srr"
    SRR_LEGACY = "srr_legacy"
    SRR_VERDICT = "srr_verdict"
    SRR_PER_PROBE = "srr_per_probe"
    SRR_ANY = "srr_any"
    SRR_ANY_POOLED = "srr_any_pooled"
    SRR_REFERENCE = "srr_reference"
    LOCALITY_NEIGHBOUR = "locality_neighbour"
    LOCALITY_UNRELATED = "locality_unrelated"
    LOCALITY = "locality"
    RETENTION = "retention"
    ERRORS = "errors"


ABOUT: dict[Metric, str] = {
    Metric.EFFICACY: "Direct question answered with the new fact",
    Metric.PARAPHRASE: "Other wordings answered with the new fact",
    Metric.H_ACC: "H-Acc: direct, cloze and step-by-step answers right, mean per edit",
    Metric.M_ACC: "M-Acc: two-hop answers right, mean per edit",
    Metric.M_ACC_ANY: "M-Acc, any: at least one two-hop answer right",
    Metric.CHECK: "Claims judged rightly as true or false",
    Metric.CONFLICT: "Right choice between new and old",
    Metric.BEFORE: "Former state still known",
    Metric.REVERSE: "Asked the other way round: the subject named for its new holder",
    Metric.RATIONALE: "Rationale agrees with the narrative's cause",
    Metric.RECALL: "Outputs that state the new fact",
    Metric.SRR: "SRR: self-refuting outputs among those that state the new fact",
    Metric.SRR_LEGACY: "SRR, old holder named as current",
    Metric.SRR_VERDICT: "SRR, taken back by a denial or verdict only",
    Metric.SRR_PER_PROBE: "SRR among all probed outputs",
    Metric.SRR_ANY: "Edits with at least one self-refuting output",
    Metric.SRR_ANY_POOLED: "The same, with all live edits and the regression suite",
    Metric.SRR_REFERENCE: "The same, among edits recalled hop-wise (the reference's SRR)",
    Metric.LOCALITY_NEIGHBOUR: "Neighbouring facts kept",
    Metric.LOCALITY_UNRELATED: "Unrelated facts kept",
    Metric.LOCALITY: "Facts kept, neighbours and unrelated",
    Metric.RETENTION: "Earlier edits still right",
    Metric.ERRORS: "Outputs without a judgement",
}

LOWER_IS_BETTER = frozenset(m for m in Metric if m.value.startswith("srr")) | {Metric.ERRORS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One metric: its value, a 95 % interval, and the cells per cluster that it was made of.

    `n` counts clusters (edits, or facts for locality), `outputs` the verdict rows behind them.
    `value` is None where there was nothing to measure.
    """

    value: float | None
    low: float
    high: float
    method: str
    n: int
    outputs: int
    cells: tuple[Cell, ...] = ()


HOPWISE = (Kind.DIRECT, Kind.CLOZE, Kind.EXPLAIN)
"""The reference's hop-wise probes: the question, its cloze, and the question thought through."""
_FACTS = {Part.NEIGHBOUR: Metric.LOCALITY_NEIGHBOUR, Part.UNRELATED: Metric.LOCALITY_UNRELATED}


def measure(
    rows: Sequence[Verdict], production: Sequence[Verdict] | None = None, *, seed: int = 0
) -> dict[Metric, Estimate]:
    """All metrics of a verdict table.

    `production` is the table of the version in force on the same suite: locality counts the facts
    that it answers rightly. Without it, locality counts all facts.
    """
    good = [row for row in rows if row.error is None]
    edits = [row for row in good if row.part is Part.EDIT]
    earlier = [row for row in good if row.part is Part.RETENTION]
    fixed = [row for row in good if row.part is Part.REGRESSION]
    made = _accuracies(edits) | _refutations(edits, [*earlier, *fixed])
    made |= _localities(good, production)
    made[Metric.RETENTION] = _means(earlier, lambda row: row.right)
    made[Metric.ERRORS] = (
        [(row.probe, float(row.error is not None), 1.0) for row in rows],
        len(rows),
    )
    return {metric: _estimate(*made[metric], seed=seed) for metric in Metric}


Cells = tuple[list[Cell], int]
"""Cells and the number of outputs behind them."""


def _estimate(cells: Sequence[Cell], outputs: int, *, seed: int) -> Estimate:
    counted = tuple(cell for cell in cells if cell[2] > 0)
    low, high, method = interval(counted, seed=seed)
    return Estimate(
        value=rate(counted),
        low=low,
        high=high,
        method=method,
        n=len(counted),
        outputs=outputs,
        cells=counted,
    )


def _by_cluster(rows: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for row in rows:
        groups[row.cluster].append(row)
    return groups


def _means(rows: Sequence[Verdict], holds: Callable[[Verdict], bool]) -> Cells:
    """Share of rows that hold, averaged inside each cluster: one cell of weight 1 a cluster."""
    groups = _by_cluster(rows)
    cells = [(c, sum(map(holds, group)) / len(group), 1.0) for c, group in groups.items()]
    return cells, len(rows)


def _anys(rows: Sequence[Verdict], holds: Callable[[Verdict], bool]) -> Cells:
    """Whether any row of a cluster holds."""
    groups = _by_cluster(rows)
    return [(c, float(any(map(holds, group))), 1.0) for c, group in groups.items()], len(rows)


def _shares(
    rows: Sequence[Verdict], holds: Callable[[Verdict], bool], among: Callable[[Verdict], bool]
) -> Cells:
    """Rows that hold among those that count: one cell a cluster, weighted by how many count."""
    counted = [row for row in rows if among(row)]
    groups = _by_cluster(counted)
    cells = [(c, float(sum(map(holds, g))), float(len(g))) for c, g in groups.items()]
    return cells, len(counted)


def _accuracies(edits: Sequence[Verdict]) -> dict[Metric, Cells]:
    def of(*kinds: Kind) -> list[Verdict]:
        return [row for row in edits if row.kind in kinds]

    def right(row: Verdict) -> bool:
        return row.right

    return {
        Metric.EFFICACY: _means(of(Kind.DIRECT), right),
        Metric.PARAPHRASE: _means(of(Kind.PARAPHRASE), right),
        Metric.H_ACC: _means(of(*HOPWISE), lambda row: row.final is Final.RIGHT),
        Metric.M_ACC: _means(of(Kind.TWO_HOP), right),
        Metric.M_ACC_ANY: _anys(of(Kind.TWO_HOP), right),
        Metric.CHECK: _means(of(Kind.CHECK), right),
        Metric.CONFLICT: _means(of(Kind.CONFLICT), right),
        Metric.BEFORE: _means(of(Kind.BEFORE), right),
        Metric.REVERSE: _means(of(Kind.REVERSE), right),
        Metric.RATIONALE: _means(
            [row for row in of(Kind.WHY, Kind.EXPLAIN) if not row.cause_open], aligned
        ),
    }


def _refutations(edits: Sequence[Verdict], others: Sequence[Verdict]) -> dict[Metric, Cells]:
    probed = [row for row in edits if row.kind in PROBED]
    pooled = [row for row in (*edits, *others) if row.kind in PROBED]

    def states_new(row: Verdict) -> bool:
        return row.asserts_new

    def refutes(row: Verdict) -> bool:
        return refutation(row) is not None

    recalled = {row.cluster for row in probed if row.kind in HOPWISE and row.asserts_new}
    return {
        Metric.RECALL: _means(probed, states_new),
        Metric.SRR: _shares(probed, refutes, states_new),
        Metric.SRR_LEGACY: _shares(
            probed, lambda row: refutation(row) is Refutation.LEGACY, states_new
        ),
        Metric.SRR_VERDICT: _shares(
            probed, lambda row: refutation(row) is Refutation.VERDICT, states_new
        ),
        Metric.SRR_PER_PROBE: _means(probed, refutes),
        Metric.SRR_ANY: _anys(probed, refutes),
        Metric.SRR_ANY_POOLED: _anys(pooled, refutes),
        Metric.SRR_REFERENCE: _anys([r for r in probed if r.cluster in recalled], refutes),
    }


def _localities(
    rows: Sequence[Verdict], production: Sequence[Verdict] | None
) -> dict[Metric, Cells]:
    known: Mapping[str, bool] | None = None
    if production is not None:
        known = {row.probe: row.right for row in production if row.error is None}
    facts = [row for row in rows if row.part in _FACTS]
    counted = [row for row in facts if known is None or known.get(row.probe, False)]
    made = {
        metric: _means([r for r in counted if r.part is part], lambda row: row.right)
        for part, metric in _FACTS.items()
    }
    made[Metric.LOCALITY] = _means(counted, lambda row: row.right)
    return made
