"""Good and spoiled adapters of the embedded model before the gate. Owns these rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.bench.adapters import ANSWERS, NotTrained, only_trained
from daemon.bench.rows import Op, Row, partial
from daemon.bench.sabotage import REASONS, Candidate, Sabotage, good, spoiled
from evaluator.evaluation import Evaluation, evaluate
from evaluator.gate import GateReport, Outcome, decide
from evaluator.policy import shipped
from evaluator.stores import FileAnswers

SEEDS = 3
GOOD = 10
GOOD_PASSES = 9
POLICY = "demo"
_HERE = "adapters were trained here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A candidate's evaluations and the gate's answer."""

    candidate: Evaluation
    production: Evaluation
    gate: GateReport


def judged(candidate: Candidate, *, policy: str = POLICY) -> Judged:
    """Evaluate a candidate and its production with its suite, reusing stored answers."""
    from trainer.embedded import WEIGHTS
    from trainer.engines.transformers import TransformersEngine

    answers = FileAnswers(ANSWERS)
    suite = candidate.release.suite
    engine = TransformersEngine.load(WEIGHTS, threads=1)
    engine.load_adapter("candidate", candidate.adapter)
    if candidate.production is not None:
        engine.load_adapter("production", candidate.production)
    before = engine.view("production" if candidate.production else None)
    production = evaluate(before, suite, answers=answers)
    found = evaluate(engine.view("candidate"), suite, answers=answers, production=production)
    gate = decide(shipped(policy), found, production)
    return Judged(candidate=found, production=production, gate=gate)


def adapter_rows(*, trained_only: bool) -> list[Row]:
    """Two rows a sabotage, two for the good adapters."""
    rows: list[Row] = []
    with only_trained(trained_only):
        for kind in Sabotage:
            found = _all(lambda seed, kind=kind: spoiled(kind, seed), SEEDS)
            rows += _sabotage_rows(kind, found)
        rows += _good_rows(_all(good, GOOD))
    return rows


def skipped_adapter_rows(why: str) -> list[Row]:
    """The same rows without a value."""
    rows = [row for kind in Sabotage for row in _sabotage_rows(kind, [])]
    rows += _good_rows([])
    return [_skipped(row, why) for row in rows]


def _all(make: Callable[[int], Candidate], seeds: int) -> list[tuple[int, Judged]]:
    found: list[tuple[int, Judged]] = []
    for seed in range(seeds):
        try:
            found.append((seed, judged(make(seed))))
        except NotTrained:
            continue
    return found


def _sabotage_rows(kind: Sabotage, found: list[tuple[int, Judged]]) -> list[Row]:
    passed = sum(j.gate.outcome is Outcome.PASS for _, j in found)
    own = sum(bool(REASONS[kind] & {c.name for c in j.gate.failed()}) for _, j in found)
    told = "; ".join(
        f"seed {seed}: {j.gate.outcome.value} by {', '.join(c.name for c in j.gate.failed())}"
        for seed, j in found
    )
    rows = [
        Row(
            what=f"sabotage, {kind.value}: adapters that pass",
            value=passed,
            unit="",
            bar=0,
            op=Op.EQUAL,
            detail=told,
        ),
        Row(
            what=f"sabotage, {kind.value}: adapters that fail for their own reason",
            value=own,
            unit="",
            bar=SEEDS,
            op=Op.EQUAL,
            detail=f"own reasons: {', '.join(sorted(REASONS[kind]))}",
        ),
    ]
    return [partial(row, len(found), SEEDS, _HERE) for row in rows]


def _good_rows(found: list[tuple[int, Judged]]) -> list[Row]:
    outcomes = [j.gate.outcome for _, j in found]
    told = "; ".join(
        f"seed {seed}: {j.gate.outcome.value}"
        + "".join(f", {c.name} {c.outcome.value}" for c in (*j.gate.failed(), *j.gate.open()))
        for seed, j in found
    )
    rows = [
        Row(
            what="good adapters that pass",
            value=outcomes.count(Outcome.PASS),
            unit="",
            bar=GOOD_PASSES,
            op=Op.AT_LEAST,
            detail=told,
        ),
        Row(
            what="good adapters that fail",
            value=outcomes.count(Outcome.FAIL),
            unit="",
            bar=0,
            op=Op.EQUAL,
            detail=f"policy {POLICY}",
        ),
    ]
    return [partial(row, len(found), GOOD, _HERE) for row in rows]


def _skipped(row: Row, why: str) -> Row:
    return Row(
        what=row.what,
        value=None,
        unit=row.unit,
        bar=row.bar,
        op=row.op,
        detail=f"{why}; {row.detail}" if row.detail else why,
    )
