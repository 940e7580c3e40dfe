"""What a demo measured, as values: written to `result.json`, shown by `summary`, compared by tests.

Owns the types and the verdict over them. Measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One edit with the same question put to the base model and to what serves now."""

    slot: str
    change: str
    """What changed, in words."""
    release: int
    question: str
    expected: str
    before: str
    after: str
    right_before: bool
    right_after: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the watch made of the edits it saw, against what the scenario knows."""

    edits_seen: int
    kept: int
    dismissed: dict[str, int]
    """Edits by the kind for which they were dismissed."""
    unexplained: int
    """Dismissed edits without a reason."""
    expected: int
    misses: tuple[str, ...]
    """Real successions that were not found, as slots."""
    false_keeps: tuple[str, ...]
    """Changes that were kept and are not real, as keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One quality, of production before and of the candidate after, for each release."""

    name: str
    by_release: tuple[tuple[float | None, float | None], ...]
    better: str
    """`higher` or `lower`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One line of a gate's answer."""

    release: int
    name: str
    value: str
    limit: str
    verdict: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolled:
    """A rollback and the promotion after it, timed from the command to the first answer of the
    version gone to; None where a demo that was cut in between could not time it."""

    question: str
    served: str
    rolled_back: str
    promoted_again: str
    back_s: float | None
    again_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """Everything that the summary and the report show."""

    seed: str
    recipe: str
    found: Found
    verdicts: tuple[str, ...]
    """The gate's answers, by release."""
    promoted: int
    wanted: int
    shown: tuple[Shown, ...] = ()
    measures: tuple[Measure, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    rolled: Rolled | None = None
    took_s: dict[str, float] = field(default_factory=dict)

    @property
    def failures(self) -> tuple[str, ...]:
        """What does not hold, in words; empty when all does."""
        return tuple(_failures(self))


def _failures(result: DemoResult) -> Iterator[str]:
    found = result.found
    for slot in found.misses:
        yield f"the real change of {slot} was not found"
    for key in found.false_keeps:
        yield f"the change {key} was kept and is not real"
    if found.unexplained:
        yield f"{found.unexplained} edits were dismissed without a reason"
    for release, verdict in enumerate(result.verdicts, 1):
        if verdict != "pass":
            yield f"the gate says {verdict} to release {release}; nothing of it is promoted"
    if result.promoted < result.wanted:
        yield f"{result.promoted} of {result.wanted} releases were promoted"
    if result.rolled and result.rolled.served != result.rolled.promoted_again:
        yield "the promotion after the rollback did not bring the same answer back"
