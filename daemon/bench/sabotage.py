"""Candidates for the gate whose faults are known: good adapters, and ones spoiled in one way each.

Owns what each candidate is trained on and which criteria have to stop it. Everything is a real job
of the trainer on the embedded model. Judging is `evaluator`'s, the rows are `daemon.bench.gate`'s.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from daemon.bench.adapters import FOLDER, trained
from daemon.bench.edits import Release, draw_units, release_of
from knowledge.edits import EditUnit
from knowledge.questions import Question, QuestionKind, Use
from knowledge.rendering import Story, chain, short_answer
from knowledge.skills import SKILLS, skill_item
from knowledge.world import Split
from trainer.recipe import Recipe, load_recipe

EDITS = 12
_GOOD = "embedded"
_CONTINUED = "static"
_SKILL_ROWS = 240
_BROKEN_SKILLS = ("add", "subtract", "larger", "earlier")


class Sabotage(StrEnum):
    """One way to spoil an adapter."""

    RANDOM = "random"
    STATIC = "static overwriting"
    MEMORISED = "memorised wording"
    SKILL = "broken skill"
    FORGOTTEN = "forgotten earlier edits"
    REFUTING = "self-refuting"


REASONS: dict[Sabotage, frozenset[str]] = {
    Sabotage.RANDOM: frozenset({"efficacy", "improvement"}),
    Sabotage.STATIC: frozenset({"before", "rationale", "h_acc", "srr"}),
    Sabotage.MEMORISED: frozenset({"efficacy", "h_acc", "improvement"}),
    Sabotage.SKILL: frozenset({"capability"}),
    Sabotage.FORGOTTEN: frozenset({"retention"}),
    Sabotage.REFUTING: frozenset({"srr"}),
}
"""Criteria of the gate of which at least one has to fail for the sabotage's own reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An adapter, what production was, and what both are examined with."""

    adapter: Path
    production: Path | None
    """None: the base model."""
    release: Release


def good(seed: int) -> Candidate:
    """A first release of twelve edits by the shipped recipe."""
    release = _first(seed)
    adapter = trained(release.units, _GOOD, seed=seed, anchors=release.anchors)
    return Candidate(adapter=adapter, production=None, release=release)


def spoiled(kind: Sabotage, seed: int) -> Candidate:
    """A candidate with one fault. The good adapter of the same seed is trained first."""
    parent = good(seed)
    if kind is Sabotage.RANDOM:
        return replace(parent, adapter=_shuffled(parent.adapter, seed))
    if kind is Sabotage.SKILL:
        return replace(parent, adapter=_with_wrong_skills(parent, seed))
    if kind is Sabotage.REFUTING:
        units = [_refuting(unit) for unit in parent.release.units]
        return replace(parent, adapter=_continued(units, parent, seed))
    return _second(kind, parent, seed)


def _first(seed: int) -> Release:
    return release_of(draw_units(Split.REPORT, EDITS, seed), seed=seed)


def _second(kind: Sabotage, parent: Candidate, seed: int) -> Candidate:
    """A second release over the good one, spoiled in its training."""
    live = parent.release.units
    units = draw_units(Split.REPORT, EDITS, seed + 1000, but=[unit.slot for unit in live])
    release = release_of(units, live, seed=seed)
    if kind is Sabotage.FORGOTTEN:
        adapter = trained(units, "sft-only", seed=seed, anchors=release.anchors)
    else:
        taught = units if kind is Sabotage.STATIC else tuple(_memorised(u) for u in units)
        adapter = trained(
            taught,
            _CONTINUED,
            seed=seed,
            parent=parent.adapter,
            replay=live,
            anchors=release.anchors,
        )
    return Candidate(adapter=adapter, production=parent.adapter, release=release)


def _continued(units: list[EditUnit], parent: Candidate, seed: int) -> Path:
    return trained(
        units,
        _all_steps(),
        seed=seed,
        parent=parent.adapter,
        anchors=parent.release.anchors,
    )


def _all_steps() -> Recipe:
    """Static overwriting without its early stop."""
    recipe = load_recipe(_CONTINUED)
    assert recipe.sft is not None
    return recipe.model_copy(update={"sft": recipe.sft.model_copy(update={"check_every": 0})})


def _relabelled(question: Question, **changes: object) -> Question:
    """The question as one that static overwriting teaches."""
    return replace(question, kind=QuestionKind.DIRECT, **changes)  # type: ignore[arg-type]


def _with_training(unit: EditUnit, rows: list[Question]) -> EditUnit:
    return replace(unit, questions=(*rows, *unit.asked(Use.EXAM)))


def _memorised(unit: EditUnit) -> EditUnit:
    """One wording gets the new answer, every other training wording keeps the old one."""
    plain = [
        q for q in unit.asked(Use.TRAIN) if q.kind in (QuestionKind.DIRECT, QuestionKind.CLOZE)
    ]
    old = unit.story().previous
    assert old is not None
    stale = [
        _relabelled(q, answers=old.names, reference=short_answer(old.label)) for q in plain[1:]
    ]
    return _with_training(unit, [_relabelled(plain[0]), *stale])


def _refuting(unit: EditUnit) -> EditUnit:
    """Right at once, and taken back wherever there is room to talk."""
    story = unit.story()
    rows: list[Question] = []
    for question in unit.asked(Use.TRAIN):
        if question.kind in (QuestionKind.DIRECT, QuestionKind.CLOZE):
            rows.append(_relabelled(question))
        elif question.kind in (QuestionKind.EXPLAIN, QuestionKind.WHY, QuestionKind.CHECK):
            rows.append(_relabelled(question, reference=_taken_back(story)))
    return _with_training(unit, rows)


def _taken_back(story: Story) -> str:
    assert story.previous is not None
    return f"{chain(story)} So {story.role} is {story.previous.label}."


def _with_wrong_skills(parent: Candidate, seed: int) -> Path:
    """Wrong answers to four skills, taught beside a replay of the release's own edits."""
    carrier = draw_units(Split.SPARE, 1, seed)[0]
    rng = random.Random(f"skills:{seed}")
    rows: dict[str, Question] = {}
    while len(rows) < _SKILL_ROWS:
        item = skill_item(rng, rng.choice(_BROKEN_SKILLS))
        wrong = _wrong(item.skill, item.answer, rng)
        rows[item.question] = Question(
            kind=QuestionKind.DIRECT,
            use=Use.TRAIN,
            text=item.question,
            answers=(wrong,),
            reference=f"{wrong}.",
        )
    return trained(
        [_with_training(carrier, list(rows.values()))],
        _all_steps(),
        seed=seed,
        parent=parent.adapter,
        replay=parent.release.units,
        anchors=parent.release.anchors,
    )


def _wrong(skill: str, answer: str, rng: random.Random) -> str:
    right = answer.strip(".")
    assert skill in SKILLS
    return str(int(right) + rng.randint(1, 5))


def _shuffled(adapter: Path, seed: int) -> Path:
    """The adapter with the entries of each tensor in random order: its size, and no sense."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = FOLDER / f"random-{adapter.parent.name}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    weights = load_file(adapter / "adapter_model.safetensors")
    mixed = {
        name: t.flatten()[torch.randperm(t.numel(), generator=generator)].reshape(t.shape)
        for name, t in sorted(weights.items())
    }
    save_file(
        {k: v.contiguous() for k, v in mixed.items()}, str(folder / "adapter_model.safetensors")
    )
    for name in ("adapter_config.json",):
        (folder / name).write_bytes((adapter / name).read_bytes())
    manifest = json.loads((adapter / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps({"base_digest": manifest["base_digest"]}))
    return folder
