"""Gate policies: which bars a release has to clear, read from TOML.

Owns the format and the two shipped policies (`policies/default.toml`, `policies/demo.toml`). What a
bar means statistically is `evaluator.gate`'s.
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evaluator.capability import BUNDLED
from evaluator.errors import PolicyError
from evaluator.metrics import Metric

POLICIES = Path(__file__).with_name("policies")
_EXTENDED = (Metric.LOCALITY, Metric.LOCALITY_UNRELATED)


class Decide(StrEnum):
    """What is held against the bar."""

    BOUND = "bound"
    """The one-sided confidence bound: passes only what is shown, else inconclusive."""
    ESTIMATE = "estimate"
    """The measured value: decides at any n, at the risk that the report states."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limit(_Strict):
    """A bar for one metric. Exactly one of `at_most` and `at_least`."""

    metric: Metric
    at_most: float | None = Field(default=None, ge=0, le=1)
    at_least: float | None = Field(default=None, ge=0, le=1)
    decide: Decide = Decide.BOUND
    min_n: int = Field(default=1, ge=0)
    optional: bool = False
    """Nothing to measure is no obstacle (a release without two-hop questions)."""
    more: int = Field(default=0, ge=0)
    """Facts that may be asked in addition, once, when this limit leaves the gate open (locality
    only). Both looks then have half the policy's alpha each."""

    @property
    def bar(self) -> float:
        bar = self.at_most if self.at_most is not None else self.at_least
        assert bar is not None
        return bar


class Improvement(_Strict):
    """More edits right than under production, by exact one-sided McNemar on the direct
    questions.
    """

    alpha: float = Field(default=0.05, gt=0, lt=0.5)


class Retention(_Strict):
    """No regression on earlier live edits, by exact one-sided McNemar on their probes, and a mean
    loss per edit of at most `max_loss`, shown by its one-sided bound."""

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    max_loss: float = Field(default=0.05, gt=0, le=1)
    min_n: int = Field(default=1, ge=1)
    """Earlier edits below which the gate stays open; the bound alone needs as many as
    `evaluator.power.edits_for_retention` says."""


class CapabilityRule(_Strict):
    """Not inferior to production by more than `margin` (accuracy) in any task, one-sided, paired by
    item."""

    margin: float = Field(gt=0, lt=1)
    margins: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=dict)
    """Another margin for single tasks: one with few items cannot show the common one."""
    min_n: int = Field(default=400, ge=1)
    """Items that each task must have."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    tasks: tuple[str, ...] = Field(default=BUNDLED, min_length=1)
    """Tasks of lm-eval; by default the bundled offline ones."""
    folder: Path | None = None
    """Where further task files lie; names that no file has are lm-eval's own, with data from the
    user's hub cache."""

    @model_validator(mode="after")
    def _margins_of_tasks(self) -> Self:
        strangers = self.margins.keys() - set(self.tasks)
        if strangers:
            raise ValueError(f"margins of {', '.join(sorted(strangers))}, which no task is named")
        return self

    def margin_of(self, task: str) -> float:
        return self.margins.get(task, self.margin)


class Policy(_Strict):
    """A named set of criteria. All of them must pass."""

    name: str
    about: str
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    max_errors: int = Field(default=0, ge=0)
    """Outputs without a judgement that are tolerated."""
    limit: tuple[Limit, ...] = Field(min_length=1)
    no_new_refutations: bool = False
    """No earlier edit may refute itself that did not under production."""
    improvement: Improvement | None = None
    retention: Retention | None = None
    capability: CapabilityRule | None = None

    @property
    def pools_regression(self) -> bool:
        """Some limit counts the fixed regression suite, so it has to be asked."""
        return any(limit.metric is Metric.SRR_ANY_POOLED for limit in self.limit)

    @property
    def reserve(self) -> int:
        """Most facts that a second look may add."""
        return max(limit.more for limit in self.limit)

    def alpha_of(self, limit: Limit) -> float:
        """The alpha of one look at a limit."""
        return self.alpha / 2 if limit.more else self.alpha


def load_policy(path: Path) -> Policy:
    """Read a policy file. Raises PolicyError that names the file and the first fault."""
    try:
        policy = Policy.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise PolicyError(f"cannot read gate policy {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"gate policy {path} is not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise PolicyError(f"gate policy {path}: {where}: {first['msg']}") from error
    for limit in policy.limit:
        if (limit.at_most is None) == (limit.at_least is None):
            raise PolicyError(
                f"gate policy {path}: limit on {limit.metric.value} needs exactly one of at_most "
                "and at_least"
            )
        if limit.more and limit.metric not in _EXTENDED:
            raise PolicyError(
                f"gate policy {path}: {limit.metric.value} cannot ask for more; only "
                f"{', '.join(m.value for m in _EXTENDED)} can, because facts can be added and "
                "edits cannot"
            )
    return policy


def shipped(name: str) -> Policy:
    """A shipped policy by name, `default` or `demo`. Raises PolicyError."""
    path = POLICIES / f"{name}.toml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in POLICIES.glob("*.toml")))
        raise PolicyError(f"no shipped policy {name!r}; there are {known}, or give a path")
    return load_policy(path)
