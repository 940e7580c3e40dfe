"""The review policy: which proposals need no person, and which two. Pure, but for its file.

Owns the policy's fields and the decision with its reasons. Does not approve anything.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from daemon.errors import ConfigError
from knowledge.edits import EditKind, EditUnit
from knowledge.facts import ChangeKind, FactChange
from knowledge.narrative import digest_of
from knowledge.properties import CATALOGUE, Tier


class TwoPeople(BaseModel):
    """Which proposals need two people: those that meet any of these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    living_persons: bool = False
    """Private facts of living persons."""
    retractions: bool = False
    kinds: tuple[ChangeKind, ...] = ()
    properties: tuple[str, ...] = ()

    def needed(self, change: FactChange, *, retraction: bool) -> bool:
        row = CATALOGUE.get(change.property)
        return (
            (self.living_persons and (row is None or row.living_persons))
            or (self.retractions and retraction)
            or change.kind in self.kinds
            or change.property in self.properties
        )


class Policy(BaseModel):
    """What may pass unseen (every condition must hold), and what needs two people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    tiers: tuple[Tier, ...] = (Tier.A,)
    kinds: tuple[ChangeKind, ...] = (ChangeKind.SUCCESSION,)
    clean: bool = True
    """Every check of the verifier passed."""
    min_corroborations: int = Field(default=1, ge=0)
    """Independent statements that agree with the change."""
    living_persons: bool = False
    """Whether private facts of living persons may pass."""
    retractions: bool = False
    """Whether a retraction may pass."""
    two_people: TwoPeople = TwoPeople()

    @property
    def digest(self) -> str:
        return digest_of(self.model_dump(mode="json"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Approve or leave to a person; `reasons` say why, each a short clause."""

    approve: bool
    reasons: tuple[str, ...]

    @property
    def text(self) -> str:
        return "; ".join(self.reasons)


def load(path: Path) -> Policy:
    """Read a policy file. Raises ConfigError that names the file and the field."""
    try:
        return Policy.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the review policy {path} cannot be read: {error}") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise ConfigError(f"the review policy {path} is wrong: {problems}") from None


def decide(policy: Policy, unit: EditUnit, *, clean: bool, contested: bool) -> Decision:
    """Whether the policy approves. `contested`: another change of the fact still settles."""
    change = unit.change
    row = CATALOGUE.get(change.property)
    tier = row.tier.value if row else "unknown"
    agree = len(change.corroborations)
    retraction = unit.kind is EditKind.RETRACTION
    two = policy.two_people.needed(change, retraction=retraction)
    conditions = (
        (row is not None and row.tier in policy.tiers, f"tier {tier}"),
        (
            change.kind in policy.kinds or unit.kind is EditKind.RETRACTION,
            f"kind {change.kind.value}",
        ),
        (clean or not policy.clean, "all checks passed" if clean else "a check failed"),
        (agree >= policy.min_corroborations, f"{agree} corroborations"),
        (
            policy.living_persons or row is None or not row.living_persons,
            "private fact of a person" if row and row.living_persons else "no private fact",
        ),
        (
            policy.retractions or unit.kind is not EditKind.RETRACTION,
            "a retraction" if unit.kind is EditKind.RETRACTION else "no retraction",
        ),
        (not contested, "contested on Wikidata" if contested else "not contested"),
        (not two, "needs two people" if two else "needs no second person"),
    )
    failed = tuple(text for holds, text in conditions if not holds)
    if failed:
        return Decision(approve=False, reasons=failed)
    return Decision(approve=True, reasons=tuple(text for _, text in conditions))
