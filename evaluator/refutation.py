"""Self-refutation: an output that states the new fact and takes it back.

Owns the definition, as a pure function of a verdict row. An output refutes itself when it asserts
the new fact, contradicts it in the same output, and does not end by affirming it again. Two kinds:
`legacy` names the old holder as the current one; `verdict` takes the new fact back by a denial or
by a yes or no alone. Rejection without assertion, choosing the old answer without ever stating the
new one, and recovery at the end are other faults, or none.
"""

from __future__ import annotations

from enum import StrEnum

from evaluator.verdicts import Verdict
from knowledge.questions import QuestionKind


class Refutation(StrEnum):
    LEGACY = "legacy"
    VERDICT = "verdict"


PROBED = frozenset(
    {
        QuestionKind.DIRECT,
        QuestionKind.PARAPHRASE,
        QuestionKind.CLOZE,
        QuestionKind.EXPLAIN,
        QuestionKind.WHY,
        QuestionKind.CHECK,
        QuestionKind.CONFLICT,
    }
)
"""Kinds of question whose outputs can refute themselves: those about the present state of the
edited fact alone. "Before" asks for the old one, "reverse" for the subject; two-hop outputs are
judged by their end."""


def refutation(row: Verdict) -> Refutation | None:
    """How the output refutes itself; None when it does not, is not probed for it, or has no
    verdict.
    """
    if row.error or row.kind not in PROBED or not row.asserts_new or row.reaffirms_new:
        return None
    if row.asserts_old_current:
        return Refutation.LEGACY
    return Refutation.VERDICT if row.negates_new or row.against else None
