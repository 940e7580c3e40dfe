"""The disease that CODE cures, measured on the embedded model: facts overwritten without a reason.

Owns twelve edits taught by `static-lora`, tuned on other twelve with as many runs as the rates of
`RATES`, with and without companions, and how often the outputs then refute themselves.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.bench.rows import Op, Row
from daemon.known_facts import KnownFacts
from evaluator.evaluation import evaluate
from evaluator.metrics import Metric
from evaluator.probes import build_suite
from knowledge.edits import EditUnit
from knowledge.facts import ChangeKind, FactChange
from knowledge.narrative import CausalNarrative, Claim, ClaimKind
from knowledge.questions import Use, examination_questions, training_questions
from knowledge.rendering import claim_sentences
from knowledge.world import Split, Succession, World
from trainer.engines.transformers import TransformersEngine
from trainer.job import JobSpec, create_job, run_job
from trainer.recipe import Recipe, load_recipe

EDITS = 12
RATES = (2e-3, 5e-3, 1e-2)
"""Learning rates tried on the tuning edits: as many trainings as `code` was tuned with."""
_WANTED_RECALL = 0.95
_CLAIMS = {
    "L": ClaimKind.LEGACY,
    "C": ClaimKind.CAUSE,
    "T": ClaimKind.TRANSITION,
    "N": ClaimKind.NEW,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an overwritten model says; shares of 1."""

    efficacy: float
    srr: float
    legacy: float
    verdict: float
    outputs: int


def rows(base: Path, *, quick: bool) -> list[Row]:
    """Rows for static overwriting with and without companions; skipped in the quick version."""
    made: list[Row] = []
    for companions in (True, False):
        label = f"static overwriting, {'with' if companions else 'without'} companions"
        if quick:
            found, detail = None, "QUICK=1: training twelve edits takes minutes"
        else:
            rate = _tuned(base, companions=companions)
            found = _overwritten(base, Split.REPORT, rate, companions=companions)
            detail = f"{EDITS} edits, learning rate {rate:g}, {found.outputs} outputs"
        figures = (
            ("recall", 95, found and found.efficacy),
            ("self-refuting outputs", 40, found and found.srr),
            ("of these, the old holder named as current", 15, found and found.legacy),
        )
        said = "" if found is None else f"; by verdict alone {100 * found.verdict:.1f} %"
        made += [
            Row(
                what=f"{label}: {what}",
                value=None if value is None else round(100 * value, 2),
                unit="%",
                bar=bar,
                op=Op.AT_LEAST,
                detail=detail + said,
            )
            for what, bar, value in figures
        ]
    return made


def _tuned(base: Path, *, companions: bool) -> float:
    """The rate that reaches the wanted recall on the tuning edits, else the one with most of it."""
    recalls = {
        rate: _overwritten(base, Split.TUNE, rate, companions=companions).efficacy for rate in RATES
    }
    enough = [rate for rate, recall in recalls.items() if recall >= _WANTED_RECALL]
    return min(enough) if enough else max(recalls, key=recalls.__getitem__)


def _overwritten(base: Path, split: Split, rate: float, *, companions: bool) -> Outcome:
    units = edit_units(split, EDITS)
    facts = KnownFacts(World.load(), {unit.slot for unit in units})
    anchors = (
        *facts.neighbour_questions(units, Use.TRAIN, each=6),
        *facts.unrelated_questions(units, Use.TRAIN, limit=120, seed=1),
    )
    recipe = _recipe(rate, companions=companions)
    with tempfile.TemporaryDirectory() as scratch:
        spec = JobSpec.plan(
            base=base, units=units, recipe=recipe, anchors=anchors if companions else (), seed=1
        )
        create_job(scratch, spec)
        adapter = run_job(scratch)
        engine = TransformersEngine.load(base, adapter)
        return _outcome(engine, units)


def _recipe(rate: float, *, companions: bool) -> Recipe:
    recipe = load_recipe("static")
    assert recipe.sft is not None
    mix = recipe.sft.mix
    if not companions:
        mix = mix.model_copy(update={"replay_share": 0.0, "anchor_share": 0.0})
    optim = recipe.sft.optim.model_copy(update={"learning_rate": rate})
    return recipe.model_copy(
        update={"sft": recipe.sft.model_copy(update={"optim": optim, "mix": mix})}
    )


def _outcome(engine: TransformersEngine, units: Sequence[EditUnit]) -> Outcome:
    found = evaluate(engine, build_suite(units), tasks=()).metrics

    def value(metric: Metric) -> float:
        return found[metric].value or 0.0

    return Outcome(
        efficacy=value(Metric.EFFICACY),
        srr=value(Metric.SRR),
        legacy=value(Metric.SRR_LEGACY),
        verdict=value(Metric.SRR_VERDICT),
        outputs=found[Metric.SRR].outputs,
    )


def edit_units(split: Split, count: int) -> tuple[EditUnit, ...]:
    """Real successions of a split as edit units, with the drafter's prose."""
    rng = random.Random(f"pathology {split}")
    found = [s for s in World.load().split(split) if s.before]
    return tuple(_unit(s, rng) for s in rng.sample(found, min(count, len(found))))


def _unit(succession: Succession, rng: random.Random) -> EditUnit:
    story = succession.new_story()
    sentences = claim_sentences(story, rng)
    narrative = CausalNarrative(
        claims=tuple(Claim(kind=_CLAIMS[key], text=text) for key, text in sentences.items()),
        prose=" ".join(sentences.values()),
        cause=story.cause,
        drafter="template/1",
    )
    questions = [*training_questions(story), *examination_questions(story, ())]
    return EditUnit(
        id=succession.slot,
        change=FactChange(
            subject=succession.subject,
            property=succession.property,
            old=succession.old.object,
            new=succession.new.object,
            kind=ChangeKind.SUCCESSION,
            started=story.since,
            ended=story.until,
        ),
        narrative=narrative,
        questions=tuple(replace(q, item=succession.slot) for q in questions),
    )
