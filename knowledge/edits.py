"""Edit units and batches: what is taught to the model, and which edits cannot go together.

Owns the unit (a change, its narrative, its questions), the frozen batch with its digest, conflicts
and supersession between edits. Does not train or judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from knowledge.facts import FactChange
from knowledge.narrative import CausalNarrative, digest_of
from knowledge.questions import Question, Use
from knowledge.rendering import Story


class EditKind(StrEnum):
    UPDATE = "update"
    NEW_FACT = "new_fact"
    RETRACTION = "retraction"


class Known(StrEnum):
    """What the version in production said of the fact before the edit was drafted."""

    NEW = "new"
    """The new state, in every wording: there is nothing to teach."""
    OLD = "old"
    """The old state, at least once."""
    NEITHER = "neither"
    """Not even the old state: the edit is a new fact to it."""
    UNASKED = "unasked"


class ConflictError(ValueError):
    """Two edits of one batch say different things about the same fact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditUnit:
    """One approved change as it is taught and examined.

    `questions` holds both uses; training and examination wordings are disjoint.
    """

    id: str
    change: FactChange
    narrative: CausalNarrative | None
    questions: tuple[Question, ...]
    kind: EditKind = EditKind.UPDATE
    supersedes: str | None = None
    """Id of the earlier unit of the same fact, whose replay and retention stop."""
    known: Known = Known.UNASKED
    """What the model knew of the fact before; refutation is asked about where it knew the old."""
    synthetic: bool = False
    """True for made-up facts of research data: never reviewed, never served under an alias that
    users ask."""

    @property
    def slot(self) -> str:
        return self.change.slot

    def asked(self, use: Use) -> tuple[Question, ...]:
        return tuple(q for q in self.questions if q.use is use)

    @property
    def digest(self) -> str:
        return digest_of(asdict(self))

    def story(self) -> Story:
        """The change as a story. Raises ValueError for an end without a successor."""
        change = self.change
        if change.new is None:
            raise ValueError(f"{change.key}: an end without successor has no story")
        return Story(
            subject=change.subject,
            property=change.property,
            holder=change.new,
            since=change.started,
            previous=change.old,
            until=change.ended,
            cause=self.narrative.cause if self.narrative else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EditBatch:
    """A frozen batch. Its digest is the identity of what is trained."""

    units: tuple[EditUnit, ...]

    @property
    def digest(self) -> str:
        return digest_of([unit.digest for unit in self.units])


def conflicts(units: Sequence[EditUnit]) -> list[tuple[EditUnit, EditUnit]]:
    """Pairs of units that state different objects for one slot."""
    first: dict[str, EditUnit] = {}
    found: list[tuple[EditUnit, EditUnit]] = []
    for unit in units:
        known = first.setdefault(unit.slot, unit)
        if known is not unit and known.change.key != unit.change.key:
            found.append((known, unit))
    return found


def freeze(units: Iterable[EditUnit]) -> EditBatch:
    """A batch in canonical order. Raises ConflictError when two units contradict each other."""
    ordered = tuple(sorted(units, key=lambda unit: unit.id))
    clash = conflicts(ordered)
    if clash:
        a, b = clash[0]
        raise ConflictError(
            f"units {a.id} and {b.id} both change {a.slot} to different values; "
            "put the later one into the next batch"
        )
    return EditBatch(units=ordered)


def live_units(units: Sequence[EditUnit]) -> list[EditUnit]:
    """The units still in force: those that no later unit of the sequence supersedes, by slot."""
    latest: dict[str, EditUnit] = {}
    for unit in units:
        latest[unit.slot] = unit
    return [unit for unit in units if latest[unit.slot] is unit]
