"""How good a judge is: its flags held against labels that people gave to the same outputs.

Owns the format of labelled outputs, the two halves (one to mend the judge on, one to report), and
confusion counts flag by flag. The labels are data of the tests and benches; what a label means is
said in the guide beside them, and no label follows from a judge.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from evaluator.errors import SuiteError
from evaluator.examine import Output
from evaluator.judge import Judge
from evaluator.probes import Part, Probe, Suite
from evaluator.refutation import refutation
from evaluator.verdicts import Cause, Final, Verdict
from knowledge.answers import normalise
from knowledge.questions import Question, QuestionKind, Use

FINALS: Mapping[str, Final] = {
    "new": Final.RIGHT,
    "old": Final.LEGACY,
    "other": Final.OTHER,
    "mixed": Final.MIXED,
    "none": Final.NONE,
}


class Half(StrEnum):
    """What a labelled output may be used for."""

    DEVELOPMENT = "development"
    """Read while the judge is mended."""
    REPORT = "report"
    """Only counted."""


class Labels(BaseModel):
    """What one hand says of one output. `final` speaks of the edited fact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asserts_new: bool
    negates_new: bool
    asserts_old_current: bool
    final: str
    self_refuting: bool
    cause_label: str
    hedged: bool


class LabelledOutput(BaseModel):
    """One line of a labelled file: the case, the output, and the first hand's labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: QuestionKind
    subject: str
    role: str
    question: str
    new: tuple[str, ...]
    old: tuple[str, ...]
    persons: bool
    claimed: str | None = None
    cause: str | None = None
    output: str
    labels: Labels
    style: str
    """`prose`: in the style of a 7B model; `adapter`: an adapter of the embedded model said it."""
    adversarial: bool
    source: str = ""
    """For `adapter`: how what said it was trained, and its seed."""
    blind: bool
    """The hand that labelled it had not seen the judge's code."""

    @property
    def half(self) -> Half:
        """Odd numbers are for development, even ones for the report."""
        number = int("".join(c for c in self.id if c.isdigit()))
        return Half.DEVELOPMENT if number % 2 else Half.REPORT

    def probe(self) -> Probe:
        """The question as a judge sees it. A direct wording stands for two-hop and others."""
        new = normalise(self.claimed or "") in map(normalise, self.new)
        question = Question(
            kind=self.kind,
            use=Use.EXAM,
            text=self.question,
            answers=self.new,
            legacy=self.old,
            reference=self.new[0],
            verdict=new if self.claimed else None,
            claimed=self.claimed,
            cause=self.cause,
        )
        return Probe(
            id=self.id,
            part=Part.EDIT,
            cluster=self.subject,
            question=question,
            new=self.new,
            old=self.old,
            subject=self.subject,
            persons=self.persons,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Counts of one flag: judge against label."""

    flag: str
    both: int
    judge_only: int
    label_only: int
    neither: int

    @property
    def precision(self) -> float | None:
        """None where the judge never raised the flag."""
        raised = self.both + self.judge_only
        return self.both / raised if raised else None

    @property
    def recall(self) -> float | None:
        """None where no label has the flag."""
        labelled = self.both + self.label_only
        return self.both / labelled if labelled else None

    @property
    def worst(self) -> float | None:
        """The lower of the two; None when either is not defined."""
        if self.precision is None or self.recall is None:
            return None
        return min(self.precision, self.recall)


Values = dict[str, bool]
"""Every flag of an output, by name."""


def of_labels(labels: Labels) -> Values:
    """Labels as flags: final answer and cause give one flag for each of their values."""
    flags = {
        "asserts_new": labels.asserts_new,
        "negates_new": labels.negates_new,
        "asserts_old_current": labels.asserts_old_current,
        "self_refuting": labels.self_refuting,
        "hedged": labels.hedged,
    }
    flags |= {f"final {name}": labels.final == name for name in FINALS}
    return flags | {f"cause {value}": labels.cause_label == value.value for value in Cause}


def of_verdict(row: Verdict) -> Values:
    """A verdict row as the same flags."""
    flags = {
        "asserts_new": row.asserts_new,
        "negates_new": row.negates_new,
        "asserts_old_current": row.asserts_old_current,
        "self_refuting": refutation(row) is not None,
        "hedged": row.hedged,
    }
    flags |= {f"final {name}": row.final is value for name, value in FINALS.items()}
    return flags | {f"cause {value}": row.cause is value for value in Cause}


def load_labelled(path: Path) -> list[LabelledOutput]:
    """The outputs of a labelled file. Raises SuiteError that names the line."""
    found: list[LabelledOutput] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            found.append(LabelledOutput.model_validate_json(line))
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            fault = error.errors()[0]["msg"]
            raise SuiteError(f"{path}, line {number}: {where}: {fault}; mend the line") from error
    return found


def load_second(path: Path) -> dict[str, Labels]:
    """A second hand's labels by output id: lines of `{"id": ..., "labels": {...}}`."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {row["id"]: Labels.model_validate(row["labels"]) for row in rows}


def judged(judge: Judge, outputs: Sequence[LabelledOutput]) -> list[Verdict]:
    """The judge's rows on labelled outputs, in their order."""
    suite = Suite(probes=tuple(one.probe() for one in outputs))
    said = [Output(probe=o.id, text=o.output, finished=True, tokens=0) for o in outputs]
    return judge.judge(suite, said)


def confusions(pairs: Iterable[tuple[Values, Values]]) -> list[Confusion]:
    """Confusion counts of (judge, label) pairs, flag by flag."""
    known = list(pairs)
    names = list(known[0][1]) if known else []
    return [_count(name, [(judge[name], label[name]) for judge, label in known]) for name in names]


def _count(name: str, pairs: Sequence[tuple[bool, bool]]) -> Confusion:
    count: Callable[[bool, bool], int] = lambda a, b: sum(p == (a, b) for p in pairs)  # noqa: E731
    return Confusion(
        flag=name,
        both=count(True, True),
        judge_only=count(True, False),
        label_only=count(False, True),
        neither=count(False, False),
    )
