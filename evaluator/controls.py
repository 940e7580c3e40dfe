"""Control outputs: what a judge has to read rightly before its table counts.

Owns the outputs, the flags that they must get, and how many mistakes a judge may make. A judge that
answers alike to everything, or turns flags round, fails here; one that is wrong on single outputs
shows in its agreement with the rule judge (`evaluator.agreement`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluator.examine import Output
from evaluator.probes import Part, Probe, Suite
from evaluator.refutation import refutation
from evaluator.verdicts import Final, Verdict
from knowledge.questions import QuestionKind

TOLERATED = 0.12
"""Share of the controls that a judge may get wrong: one of nine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """An output whose reading is beyond doubt."""

    probe: Probe
    output: Output
    asserts_new: bool
    final: Final
    self_refuting: bool


def controls(suite: Suite, edits: int) -> list[Control]:
    """Three controls for each of the first `edits` edits that have a direct question and both
    holders: the new answer, the old one, and the new one taken back. Few or none in a suite without
    such edits."""
    found: list[Control] = []
    for probe in suite.of(Part.EDIT, QuestionKind.DIRECT):
        if probe.new and probe.old and len(found) < 3 * edits:
            found += _of(probe)
    return found


def _of(probe: Probe) -> list[Control]:
    new, old = probe.new[0], probe.old[0]
    taken_back = f"It is {new}. No, that is wrong: it is not {new}, it is still {old}."
    cases = (
        (f"{new}.", True, Final.RIGHT, False),
        (f"{old}.", False, Final.LEGACY, False),
        (taken_back, True, Final.LEGACY, True),
    )
    return [
        Control(
            probe=probe,
            output=Output(probe=probe.id, text=text, finished=True, tokens=0),
            asserts_new=asserts,
            final=final,
            self_refuting=refuting,
        )
        for text, asserts, final, refuting in cases
    ]


def fault_of(judge: str, known: Sequence[Control], rows: Sequence[Verdict]) -> str | None:
    """Why the judge is not to be believed, given its rows on the controls; None when it is. A
    control without a verdict is no sign of a wrong judge: its outputs will be errors by themselves.
    """
    read = [(c, row) for c, row in zip(known, rows, strict=True) if row.error is None]
    wrong = sum(not _agrees(control, row) for control, row in read)
    if wrong <= TOLERATED * len(known):
        return None
    return (
        f"judge {judge} misread {wrong} of {len(known)} control outputs, so none of its verdicts "
        "counts; use another judge model"
    )


def _agrees(control: Control, row: Verdict) -> bool:
    return (
        row.asserts_new is control.asserts_new
        and row.final is control.final
        and (refutation(row) is not None) is control.self_refuting
    )
