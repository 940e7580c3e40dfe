"""A verdict table counted by hand, and what every metric of it is.

Owns the constructed case that the metrics are held against; the counts beside it were made with
pencil and paper, not with the code.
"""

from __future__ import annotations

from evaluator.metrics import Metric
from evaluator.probes import Part
from evaluator.verdicts import Cause, Final, Verdict
from knowledge.questions import QuestionKind as Kind


def row(cluster: str, kind: Kind, number: int = 0, **flags: object) -> Verdict:
    """A verdict row; flags by name, `part` among them."""
    part = flags.pop("part", Part.EDIT)
    return Verdict(
        probe=f"{cluster}-{kind.value}-{number}",
        part=part,  # type: ignore[arg-type]
        kind=kind,
        cluster=cluster,
        **flags,  # type: ignore[arg-type]
    )


RIGHT = {"right": True, "final": Final.RIGHT, "asserts_new": True, "reaffirms_new": True}
REFUTES = {"asserts_new": True, "asserts_old_current": True, "final": Final.LEGACY}
DENIES = {"asserts_new": True, "negates_new": True, "final": Final.NONE}

TABLE = [
    row("a", Kind.DIRECT, **RIGHT),
    row("a", Kind.CLOZE, **RIGHT),
    row("a", Kind.EXPLAIN, **RIGHT, cause=Cause.RIGHT, cause_known=True),
    row("a", Kind.WHY, right=True, asserts_new=True, cause=Cause.RIGHT, cause_known=True),
    row("a", Kind.PARAPHRASE, 0, **RIGHT),
    row("a", Kind.PARAPHRASE, 1, final=Final.OTHER),
    row("a", Kind.CHECK, 0, **RIGHT),
    row("a", Kind.TWO_HOP, 0, **RIGHT),
    row("a", Kind.TWO_HOP, 1, final=Final.OTHER),
    row("a", Kind.REVERSE, right=True, final=Final.RIGHT),
    row("a", Kind.CONFLICT, 0, **RIGHT),
    row("a", Kind.CONFLICT, 1, **REFUTES),
    row("b", Kind.DIRECT, final=Final.LEGACY, asserts_old_current=True),
    row("b", Kind.CLOZE, **RIGHT),
    row("b", Kind.EXPLAIN, **DENIES, cause=Cause.WRONG, cause_known=False),
    row("b", Kind.WHY, right=True, cause=Cause.UNKNOWN, cause_known=False),
    row("b", Kind.CHECK, 0, asserts_new=True, says_yes=False, against=True),
    row("b", Kind.TWO_HOP, 0, final=Final.LEGACY),
    row("b", Kind.REVERSE, final=Final.LEGACY),
    row("b", Kind.BEFORE, 0, right=True, final=Final.RIGHT),
    row("b", Kind.BEFORE, 1, final=Final.LEGACY),
    row("c", Kind.DIRECT, final=Final.OTHER),
    row("c", Kind.CONFLICT, final=Final.LEGACY, asserts_old_current=True),
    row("x", Kind.DIRECT, part=Part.RETENTION, **RIGHT),
    row("x", Kind.CONFLICT, part=Part.RETENTION, **REFUTES),
    row("f1", Kind.NEIGHBOUR, part=Part.NEIGHBOUR, right=True),
    row("f2", Kind.NEIGHBOUR, part=Part.NEIGHBOUR),
    row("f3", Kind.UNRELATED, part=Part.UNRELATED, right=True),
    row("f4", Kind.UNRELATED, part=Part.UNRELATED),
    row("f5", Kind.UNRELATED, part=Part.UNRELATED, right=True),
    row("d", Kind.DIRECT, error="the judge was down", **RIGHT),
]

EXPECTED: dict[Metric, float] = {
    Metric.EFFICACY: 1 / 3,  # a; b names the old holder, c another; d has no verdict
    Metric.PARAPHRASE: 1 / 2,  # one of the two of a
    Metric.H_ACC: (1 + 1 / 3 + 0) / 3,  # a 3 of 3; b only the cloze of 3; c 0 of 1
    Metric.M_ACC: (1 / 2 + 0) / 2,
    Metric.M_ACC_ANY: 1 / 2,
    Metric.REVERSE: (1 + 0) / 2,
    Metric.CHECK: (1 + 0) / 2,
    Metric.CONFLICT: (1 / 2 + 0) / 2,
    Metric.BEFORE: 1 / 2,
    Metric.RATIONALE: (1 + 1 / 2) / 2,  # b: a cause where none is known is wrong
    Metric.RECALL: (8 / 9 + 3 / 5 + 0) / 3,
    Metric.SRR: 3 / 11,  # of a one of 8, of b two of 3
    Metric.SRR_LEGACY: 1 / 11,
    Metric.SRR_VERDICT: 2 / 11,
    Metric.SRR_PER_PROBE: (1 / 9 + 2 / 5 + 0) / 3,
    Metric.SRR_ANY: 2 / 3,
    Metric.SRR_ANY_POOLED: 3 / 4,  # and x
    Metric.SRR_REFERENCE: 1.0,  # a and b are recalled hop-wise, c is not
    Metric.LOCALITY_NEIGHBOUR: 1 / 2,
    Metric.LOCALITY_UNRELATED: 2 / 3,
    Metric.LOCALITY: 3 / 5,
    Metric.RETENTION: 1 / 2,  # x: the direct answer right, the choice not
    Metric.ERRORS: 1 / 31,
}
