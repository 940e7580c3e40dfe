"""The per-edit rows of a report: answers before and after, with the verdict's spans marked.

Owns what a row shows. Layout is the templates', judging `evaluator.judge`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from evaluator.evaluation import Evaluation
from evaluator.examine import Output
from evaluator.probes import Part, Probe, Suite
from evaluator.refutation import refutation
from evaluator.verdicts import Flag, Verdict
from knowledge.questions import QuestionKind


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


def edit_rows(suite: Suite, production: Evaluation, candidate: Evaluation) -> list[EditRow]:
    """One row an edit of the release and of earlier ones, in the order of the suite."""
    groups: dict[tuple[Part, str], list[tuple[Probe, Answer]]] = defaultdict(list)
    columns = zip(
        suite.probes,
        production.outputs,
        production.verdicts,
        candidate.outputs,
        candidate.verdicts,
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
