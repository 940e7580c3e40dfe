"""Criteria of the gate that compare a candidate with production, item by item.

Owns improvement, retention, new refutations and capability. What a criterion is, is
`evaluator.criteria`'s.

Capability is one criterion a task, and all of them must hold, so a broken task cannot hide among
the items of a large one and no alpha is shared (an intersection-union test). Parts of a task (a
skill, a subject) have too few items to be shown non-inferior each; one that is worse by more than
the margin beyond chance, at an alpha that the parts of its task share, fails it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from evaluator.capability import Capability
from evaluator.criteria import Criterion, Outcome
from evaluator.evaluation import Evaluation
from evaluator.intervals import (
    mcnemar_exact,
    mean_difference,
    non_inferior,
    paired_difference,
)
from evaluator.policy import CapabilityRule, Improvement, Retention
from evaluator.power import edits_for_retention
from evaluator.probes import Part
from evaluator.refutation import refutation
from evaluator.verdicts import Verdict
from knowledge.questions import QuestionKind


def improvement(rule: Improvement, candidate: Evaluation, production: Evaluation) -> Criterion:
    """More direct questions right than under production."""

    def asked(row: Verdict) -> bool:
        return row.part is Part.EDIT and row.kind is QuestionKind.DIRECT

    pairs = _pairs(candidate.verdicts, production.verdicts, asked)
    worse, better = _changed(pairs)
    n = len(pairs)
    p = mcnemar_exact(better, worse)
    difference, low, high = paired_difference(worse, better, n, rule.alpha)
    if n == 0:
        outcome, detail = Outcome.INCONCLUSIVE, "no direct question has a verdict in both versions"
    elif p < rule.alpha:
        outcome, detail = Outcome.PASS, f"{better} edits gained, {worse} lost"
    elif better <= worse:
        outcome, detail = Outcome.FAIL, f"no better than production: {better} gained, {worse} lost"
    else:
        outcome, detail = Outcome.INCONCLUSIVE, f"{better} gained, {worse} lost: could be chance"
    return Criterion(
        name="improvement",
        about="Direct questions gained against production",
        value=difference if n else None,
        low=low,
        high=high,
        bar=0.0,
        op=">=",
        test=f"exact McNemar, one-sided, p = {p:.3g}",
        n=n,
        outcome=outcome,
        detail=detail,
    )


def retention(rule: Retention, candidate: Evaluation, production: Evaluation) -> Criterion:
    """Answers about earlier edits are not lost against production: fails where more were lost than
    chance explains, passes where the mean change per edit is shown to be no loss beyond the bar."""
    pairs = _pairs(candidate.verdicts, production.verdicts, lambda row: row.part is Part.RETENTION)
    worse, better = _changed(pairs)
    p = mcnemar_exact(worse, better)
    changes = _per_edit(pairs)
    n = len(changes)
    difference, low, high = mean_difference(changes, rule.alpha)
    detail = f"{worse} answers lost, {better} gained"
    if n == 0:
        asked = any(row.part is Part.RETENTION for row in candidate.verdicts)
        outcome = Outcome.INCONCLUSIVE if asked else Outcome.PASS
        detail = "no answer has a verdict in both versions" if asked else "no earlier edit is live"
    elif p < rule.alpha:
        outcome = Outcome.FAIL
    elif n >= rule.min_n and keeps(rule, changes):
        outcome = Outcome.PASS
    else:
        outcome = Outcome.INCONCLUSIVE
        detail += f"; {n} of the {edits_for_retention(rule)} earlier edits that the bar needs"
    return Criterion(
        name="retention",
        about="Earlier edits against production, mean change per edit",
        value=difference if n else None,
        low=low,
        high=high,
        bar=-rule.max_loss,
        op=">=",
        test=f"mean bound over edits, one-sided {1 - rule.alpha:.0%}; exact McNemar on the "
        f"answers, p = {p:.3g}",
        n=n,
        outcome=outcome,
        detail=detail,
    )


def keeps(rule: Retention, changes: np.ndarray) -> bool:
    """Whether mean changes per edit, each in -1..1, show a loss of at most the bar."""
    return mean_difference(changes, rule.alpha)[1] >= -rule.max_loss


def new_refutations(candidate: Evaluation, production: Evaluation) -> Criterion:
    """No earlier edit refutes itself that did not under production: a count, not a rate."""
    ours, theirs = _refuting(candidate.verdicts), _refuting(production.verdicts)
    shared = sorted(ours.keys() & theirs.keys())
    anew = sum(ours[edit] and not theirs[edit] for edit in shared)
    n = len(shared)
    detail = f"{anew} of {n} edits" if n else "no earlier edit is live"
    share = anew / n if n else 0.0
    return Criterion(
        name="new_refutations",
        about="Earlier edits that refute themselves and did not under production",
        value=share if n else None,
        low=share,
        high=share if n else 1.0,
        bar=0.0,
        op="<=",
        test="count, paired by edit",
        n=n,
        outcome=Outcome.FAIL if anew else Outcome.PASS,
        detail=detail,
    )


def _refuting(rows: Sequence[Verdict]) -> dict[str, bool]:
    """Earlier edits: whether any output refutes itself."""
    found: dict[str, bool] = {}
    for row in rows:
        if row.part is Part.RETENTION and row.error is None:
            found[row.cluster] = found.get(row.cluster, False) or refutation(row) is not None
    return found


Pair = tuple[str, bool, bool]
"""A probe that both answered and that has a judgement on both sides: (edit, right under production,
right now)."""


def _pairs(
    ours: Sequence[Verdict], theirs: Sequence[Verdict], counts: Callable[[Verdict], bool]
) -> list[Pair]:
    before = {row.probe: row.right for row in theirs if row.error is None and counts(row)}
    return [
        (row.cluster, before[row.probe], row.right)
        for row in ours
        if row.error is None and row.probe in before
    ]


def _changed(pairs: Sequence[Pair]) -> tuple[int, int]:
    """(worse, better)."""
    worse = sum(was and not now for _, was, now in pairs)
    better = sum(now and not was for _, was, now in pairs)
    return worse, better


def _per_edit(pairs: Sequence[Pair]) -> np.ndarray:
    """The mean change of each edit's answers, in -1..1."""
    changes: dict[str, list[int]] = defaultdict(list)
    for edit, was, now in pairs:
        changes[edit].append(int(now) - int(was))
    return np.array([sum(own) / len(own) for own in changes.values()])


def capability(
    rule: CapabilityRule, candidate: Evaluation, production: Evaluation
) -> list[Criterion]:
    """Unrelated skills are not worse than production's by more than the margin: one criterion a
    task. Those of a single task are called `capability`, of several `capability: TASK`."""
    ours = _by_task(rule, candidate.capability)
    theirs = _by_task(rule, production.capability)
    names = list(dict.fromkeys((*rule.tasks, *ours, *theirs)))
    groups = candidate.capability.group if candidate.capability else {}
    return [
        _task(
            rule,
            task,
            ours.get(task, {}),
            theirs.get(task, {}),
            groups,
            name="capability" if len(names) == 1 else f"capability: {task}",
        )
        for task in names
    ]


def _by_task(rule: CapabilityRule, found: Capability | None) -> dict[str, dict[str, bool]]:
    """Items by the policy's task that they are of: lm-eval runs a group such as `mmlu` as tasks
    `mmlu_...`. Those of no named task stand under their own."""
    tasks: dict[str, dict[str, bool]] = defaultdict(dict)
    for key, right in (found.items if found else {}).items():
        own = key.partition(":")[0]
        named = [task for task in rule.tasks if own == task or own.startswith(f"{task}_")]
        tasks[max(named, key=len, default=own)][key] = right
    return tasks


def _task(
    rule: CapabilityRule,
    task: str,
    ours: Mapping[str, bool],
    theirs: Mapping[str, bool],
    groups: Mapping[str, str],
    *,
    name: str,
) -> Criterion:
    shared = [key for key in ours if key in theirs]
    n, alone = len(shared), len(ours.keys() ^ theirs.keys())
    worse, better = _lost(shared, ours, theirs)
    margin = rule.margin_of(task)
    difference, low, high = paired_difference(worse, better, n, rule.alpha)
    broken = _broken(rule, task, shared, ours, theirs, groups)
    detail = f"{worse} items lost, {better} gained"
    if broken:
        detail += f"; worse by more than the margin: {', '.join(broken)}"
    if (n and high < -margin) or broken:
        outcome = Outcome.FAIL
    elif alone:
        outcome = Outcome.INCONCLUSIVE
        detail += f"; {alone} items of one version have no partner: run the task for both again"
    elif n < rule.min_n:
        outcome = Outcome.INCONCLUSIVE
        detail = f"{n} paired items of the {rule.min_n} that the margin needs"
    elif non_inferior(worse, better, n, margin, rule.alpha):
        outcome = Outcome.PASS
    else:
        outcome = Outcome.INCONCLUSIVE
        detail += "; the bound does not clear the margin"
    return Criterion(
        name=name,
        about=f"Unrelated skills against production, {task}",
        value=difference if n else None,
        low=low,
        high=high,
        bar=-margin,
        op=">=",
        test=f"non-inferiority, paired, one-sided {1 - rule.alpha:.0%}",
        n=n,
        outcome=outcome,
        detail=detail,
    )


def _lost(
    keys: Sequence[str], ours: Mapping[str, bool], theirs: Mapping[str, bool]
) -> tuple[int, int]:
    """(worse, better) among items."""
    worse = sum(theirs[key] and not ours[key] for key in keys)
    better = sum(ours[key] and not theirs[key] for key in keys)
    return worse, better


def _broken(
    rule: CapabilityRule,
    task: str,
    shared: Sequence[str],
    ours: Mapping[str, bool],
    theirs: Mapping[str, bool],
    groups: Mapping[str, str],
) -> list[str]:
    """Parts of the task that are worse by more than its margin, whatever chance did."""
    parts: dict[str, list[str]] = defaultdict(list)
    for key in shared:
        parts[groups.get(key, task)].append(key)
    found: list[str] = []
    for part, keys in parts.items():
        worse, better = _lost(keys, ours, theirs)
        high = paired_difference(worse, better, len(keys), rule.alpha / len(parts))[2]
        if len(parts) > 1 and high < -rule.margin_of(task):
            found.append(f"{part} ({worse} of {len(keys)} items lost, {better} gained)")
    return sorted(found)
