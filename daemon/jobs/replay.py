"""Stored evaluations held against a policy once more, without a model.

Owns reading the result of an evaluation job back.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from daemon.errors import NotFound
from evaluator.evaluation import Evaluation
from evaluator.gate import GateReport, decide
from evaluator.policy import Policy


def stored(folder: Path) -> tuple[Evaluation, Evaluation]:
    """(candidate, production) of a result folder. Raises NotFound."""
    try:
        candidate = Evaluation.from_json((folder / "candidate.json").read_bytes())
        production = Evaluation.from_json((folder / "production.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise NotFound(
            f"{folder} holds no evaluation that can be read ({error}); evaluate the version again: "
            "`almanac eval run VERSION`"
        ) from error
    return candidate, production


def replay(folder: Path, policy: Policy) -> GateReport:
    """What the policy says to a stored evaluation. Raises NotFound."""
    return decide(policy, *stored(folder))
