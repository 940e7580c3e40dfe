"""Probe suites: which questions one release is examined with, frozen and named by a digest.

Owns the choice and the order of probes and what a judge needs to know about each. Question wordings
are in `knowledge.questions`; nothing here reads an answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property

from evaluator.errors import SuiteError
from knowledge.edits import EditUnit
from knowledge.narrative import digest_of
from knowledge.properties import CATALOGUE
from knowledge.questions import Question, QuestionKind, Use


class Part(StrEnum):
    """What a probe is in the suite for."""

    EDIT = "edit"
    """An edit of this release."""
    RETENTION = "retention"
    """An edit of an earlier release that is still in force."""
    NEIGHBOUR = "neighbour"
    """A fact close to an edit that must not move."""
    UNRELATED = "unrelated"
    """A fact far from all edits."""
    REGRESSION = "regression"
    """A fact of the fixed suite that every release is examined with for self-refutation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question of the suite with all that judging its answer needs.

    `cluster` is the unit that statistics resample: the edit's id, for other facts their slot.
    `new` and `old` are the names of the changed fact's holder after and before the edit; the
    question's own `answers` differ from `new` for two-hop, reverse and before questions. `persons`
    says that the holders are people, so that a surname may stand for a name.
    """

    id: str
    part: Part
    cluster: str
    question: Question
    new: tuple[str, ...]
    old: tuple[str, ...]
    subject: str
    persons: bool

    @property
    def kind(self) -> QuestionKind:
        return self.question.kind


@dataclass(frozen=True)
class Suite:
    """A frozen list of probes. Equal digests mean equal examinations."""

    probes: tuple[Probe, ...]

    @cached_property
    def digest(self) -> str:
        return digest_of([asdict(probe) for probe in self.probes])

    @cached_property
    def by_id(self) -> dict[str, Probe]:
        return {probe.id: probe for probe in self.probes}

    def of(self, part: Part, *kinds: QuestionKind) -> tuple[Probe, ...]:
        """The probes of a part, of the given kinds only where some are given."""
        return tuple(p for p in self.probes if p.part is part and (not kinds or p.kind in kinds))

    def clusters(self, part: Part) -> tuple[str, ...]:
        """Distinct clusters of a part, in the order of the suite."""
        return tuple(dict.fromkeys(p.cluster for p in self.probes if p.part is part))


_KEPT = frozenset({QuestionKind.NEIGHBOUR, QuestionKind.UNRELATED})
"""Kinds about facts that the edit leaves alone: a unit's own are checked with the others."""

RETENTION_KINDS = (QuestionKind.DIRECT, QuestionKind.PARAPHRASE, QuestionKind.CONFLICT)
RETENTION_CONFLICTS = 2
"""How many of the eight conflict probes an earlier edit is re-examined with."""


def build_suite(
    units: Sequence[EditUnit],
    live: Sequence[EditUnit] = (),
    neighbours: Sequence[Question] = (),
    unrelated: Sequence[Question] = (),
    regression: Sequence[EditUnit] = (),
) -> Suite:
    """The suite of a release: the examination of `units`, a part of it for the earlier units that
    are still `live`, and facts that must stay: those given and those that the units themselves ask
    about. `regression` holds known facts in the form of units, with a rival as the old holder;
    those that an edit changes are left out. Duplicate texts inside a part are asked once.

    A live unit of a slot that `units` changes again is superseded and left out. Neighbours and
    unrelated questions about an edited slot are left out too: their answer did change. Raises
    SuiteError for a unit without examination questions.
    """
    edited = {unit.slot for unit in units}
    earlier = [unit for unit in live if unit.slot not in edited]
    edited |= {unit.slot for unit in earlier}
    probes: list[Probe] = []
    near, far = list(neighbours), list(unrelated)
    for unit in units:
        asked = unit.asked(Use.EXAM)
        if not asked:
            raise SuiteError(
                f"unit {unit.id} has no examination questions; build them with "
                "knowledge.questions.examination_questions before freezing the release"
            )
        probes += [_edit_probe(Part.EDIT, unit, q) for q in asked if q.kind not in _KEPT]
        near += [q for q in asked if q.kind is QuestionKind.NEIGHBOUR]
        far += [q for q in asked if q.kind is QuestionKind.UNRELATED]
    for unit in earlier:
        probes += [_edit_probe(Part.RETENTION, unit, q) for q in _retained(unit)]
    for unit in regression:
        if unit.slot not in edited:
            probes += [_edit_probe(Part.REGRESSION, unit, q) for q in unit.asked(Use.EXAM)]
    for part, questions in ((Part.NEIGHBOUR, near), (Part.UNRELATED, far)):
        probes += [_fact_probe(part, q) for q in questions if q.item not in edited]
    return Suite(probes=tuple({probe.id: probe for probe in probes}.values()))


def _retained(unit: EditUnit) -> list[Question]:
    by_kind: dict[QuestionKind, list[Question]] = defaultdict(list)
    for question in unit.asked(Use.EXAM):
        by_kind[question.kind].append(question)
    conflicts = by_kind[QuestionKind.CONFLICT]
    step = max(1, len(conflicts) // RETENTION_CONFLICTS)
    by_kind[QuestionKind.CONFLICT] = conflicts[1::step][:RETENTION_CONFLICTS] or conflicts
    return [q for kind in RETENTION_KINDS for q in by_kind[kind]]


def _edit_probe(part: Part, unit: EditUnit, question: Question) -> Probe:
    change = unit.change
    return Probe(
        id=_probe_id(part, unit.id, question),
        part=part,
        cluster=unit.id,
        question=question,
        new=change.new.names if change.new else (),
        old=change.old.names if change.old else (),
        subject=change.subject.label,
        persons=_names_persons(change.property),
    )


def _fact_probe(part: Part, question: Question) -> Probe:
    return Probe(
        id=_probe_id(part, question.item, question),
        part=part,
        cluster=question.item or question.text,
        question=question,
        new=question.answers,
        old=question.legacy,
        subject="",
        persons=_names_persons(question.item.partition(":")[2]),
    )


def _names_persons(property_id: str) -> bool:
    known = CATALOGUE.get(property_id)
    return known is not None and known.wording.wh == "Who"


def _probe_id(part: Part, owner: str, question: Question) -> str:
    key = [part.value, owner, question.kind.value, question.text, question.answers]
    return digest_of(key)[:16]


def prompts(probes: Iterable[Probe]) -> list[str]:
    """The distinct question texts, in order."""
    return list(dict.fromkeys(probe.question.text for probe in probes))
