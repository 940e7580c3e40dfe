"""Too little evidence, or none: the gate stays open. Owns these rows.

A candidate that answers everything rightly is scripted, so that nothing but the amount of evidence
can stop it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from daemon.bench.edits import draw_units, release_of
from daemon.bench.eval_endpoint import FAULTS, endpoint
from daemon.bench.rows import Op, Row
from evaluator.capability import BUNDLED, Capability
from evaluator.evaluation import Evaluation, evaluate
from evaluator.gate import GateReport, Outcome, decide
from evaluator.judge import Judge
from evaluator.llm import LlmJudge
from evaluator.metrics import Metric
from evaluator.policy import shipped
from evaluator.probes import Suite
from evaluator.report import Report, Version
from knowledge.model import Chat, Generation, Likelihood, Sampling
from knowledge.world import Split

_FEW, _ENOUGH = 4, 12
_ITEMS = 440


class _Scripted:
    """Says what a table holds."""

    def __init__(self, digest: str, answers: Mapping[str, str]) -> None:
        self.digest = digest
        self._answers = answers

    def generate(self, chats: Sequence[Chat], sampling: Sampling) -> list[list[Generation]]:
        said = (self._answers[chat[-1].content] for chat in chats)
        return [[Generation(text=text, finished=True, tokens=len(text.split()))] for text in said]

    def loglikelihood(self, requests: Sequence[tuple[Chat, str]]) -> list[Likelihood]:
        return [Likelihood(logprob=0.0, tokens=1, greedy=True) for _ in requests]


def evidence_rows(policies: Sequence[str] = ("demo", "default")) -> list[Row]:
    """Each way of having too little, under each of these policies."""
    rows: list[Row] = []
    for policy in policies:
        few = _gate(policy, edits=_FEW)
        rows.append(_row(f"{policy}: {_FEW} edits without a fault", few, Outcome.INCONCLUSIVE))
        skills = _gate(policy, edits=_ENOUGH, items=50)
        rows.append(_row(f"{policy}: 50 capability items", skills, Outcome.INCONCLUSIVE))
        down = _down(policy)
        rows.append(_row(f"{policy}: the judge is down", down, Outcome.INCONCLUSIVE))
        enough = _gate(policy, edits=_ENOUGH)
        wanted = Outcome.PASS if policy == "demo" else Outcome.INCONCLUSIVE
        rows.append(_row(f"{policy}: {_ENOUGH} edits without a fault", enough, wanted))
    return rows


def example_report() -> Report:
    """A report with everything in it: edits of two releases, faults, a trend."""
    live = draw_units(Split.TUNE, 3, 2)
    units = draw_units(Split.TUNE, _ENOUGH, 1, but=[u.slot for u in live])
    suite = release_of(units, live).suite
    production = _evaluated(suite, "production", _outdated(suite), _ITEMS)
    answers = {p.question.text: p.question.reference for p in suite.probes}
    for probe in suite.probes[::17]:
        if probe.old:
            answers[probe.question.text] = (
                f"{probe.new[0]} is the answer. No, that is wrong: it is still {probe.old[0]}."
            )
    candidate = _evaluated(suite, "candidate", answers, _ITEMS, production)
    shown = (Metric.EFFICACY, Metric.H_ACC, Metric.LOCALITY, Metric.SRR)
    history = tuple(
        Version(label=f"v{i}", values={m.value: 0.9 - 0.02 * i for m in shown}) for i in range(1, 6)
    )
    return Report(
        title=f"Release gate: {len(units)} edits",
        suite=suite,
        candidate=candidate,
        production=production,
        gate=decide(shipped("demo"), candidate, production),
        history=history,
    )


def _row(what: str, report: GateReport, wanted: Outcome) -> Row:
    open_ = ", ".join(c.name for c in (*report.failed(), *report.open()))
    return Row(
        what=f"{what}: the gate says {wanted.value}",
        value=float(report.outcome is wanted),
        unit="",
        bar=1,
        op=Op.EQUAL,
        detail=f"{report.outcome.value}{f' ({open_})' if open_ else ''}",
    )


def _gate(
    policy: str, *, edits: int, items: int = _ITEMS, judge: Judge | None = None
) -> GateReport:
    suite = release_of(draw_units(Split.TUNE, edits, 1)).suite
    production = _evaluated(suite, "production", _outdated(suite), items)
    answers = {p.question.text: p.question.reference for p in suite.probes}
    candidate = _evaluated(suite, "candidate", answers, items, production, judge)
    return decide(shipped(policy), candidate, production)


def _outdated(suite: Suite) -> dict[str, str]:
    return {
        p.question.text: f"{p.old[0]}." if p.old else p.question.reference for p in suite.probes
    }


def _evaluated(
    suite: Suite,
    digest: str,
    answers: Mapping[str, str],
    items: int,
    production: Evaluation | None = None,
    judge: Judge | None = None,
) -> Evaluation:
    model = _Scripted(digest, answers)
    found = evaluate(model, suite, production=production, tasks=(), judge=judge)
    keys = {f"{BUNDLED[0]}:{i}": True for i in range(items)}
    skills = Capability(tasks=BUNDLED, items=keys, group=dict.fromkeys(keys, BUNDLED[0]))
    return replace(found, capability=skills)


def _down(policy: str) -> GateReport:
    """The judge's endpoint answers with no JSON: every output is without a verdict."""
    suite = release_of(draw_units(Split.TUNE, _ENOUGH, 1)).suite
    with endpoint(FAULTS["no JSON"], suite) as client:
        return _gate(policy, edits=_ENOUGH, judge=LlmJudge(client))
