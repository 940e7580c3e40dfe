"""Stage 1, first half: causal bootstrapping. What does the base say when it reads the narrative?

For each (unit, training question) the base, adapter off, answers with the narrative in its system
message: once greedily, which gates the pair, and some times sampled. Answers without a flaw
(`checks`) are ranked (`ranking`) and kept; they are what stage 1 learns closed-book (`sft`).
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from knowledge.answers import normalise
from knowledge.edits import EditUnit
from knowledge.questions import Question, QuestionKind
from trainer.checks import Flaw, flaw_of
from trainer.engines.decoding import Completion, Decoding
from trainer.errors import BadJob
from trainer.journal import write_atomic
from trainer.pairs import training_pairs
from trainer.ranking import Candidate, rank
from trainer.recipe import SamplingSettings
from trainer.session import Session
from trainer.teacher import SHORT_KINDS, is_causal, teacher_prompt

_UNITS_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """An accepted answer to one training question, to be learned closed-book."""

    unit: str
    question: int
    """Index among the unit's training questions."""
    text: str
    score: float
    derived: bool = False
    """The short answer of an accepted rationale, not itself a sample."""


@dataclass(slots=True)
class Bootstrap:
    """The outcome: accepted answers, the pairs whose teacher is right, and what was rejected."""

    trajectories: list[Trajectory] = field(default_factory=list)
    taught: set[tuple[str, int]] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)

    def merge(self, other: Bootstrap) -> None:
        self.trajectories += other.trajectories
        self.taught |= other.taught
        self.counts += other.counts


_Pair = tuple[EditUnit, int, Question]
"""A unit and a training question of it, with its index."""

_CAUSELESS = frozenset(QuestionKind) - {QuestionKind.WHY}
"""What can be asked where no cause is told."""


def bootstrap(session: Session) -> Bootstrap:
    """Sample, check and select for all units; finished groups of units are read back on resume.

    Raises BadJob for a unit with nothing to sample, or with fewer accepted samples than the recipe
    wants.
    """
    units = session.spec.units
    pairs = [_pairs(session, unit) for unit in units]
    folder = session.directory / "samples"
    folder.mkdir(exist_ok=True)
    whole = Bootstrap()
    for start in range(0, len(units), _UNITS_AT_ONCE):
        group = pairs[start : start + _UNITS_AT_ONCE]
        path = folder / f"{start:05d}.json"
        if path.is_file():
            part = _read(path)
        else:
            part = _sample(session, [pair for own in group for pair in own])
            write_atomic(path, _encode(part))
        whole.merge(part)
        sampled = int(part.counts["sampled_tokens"])
        done = min(start + _UNITS_AT_ONCE, len(units))
        session.journal.progress("bootstrap", done, len(units), tokens=sampled)
    _check_enough(units, whole, session.recipe.sampling)
    lines = [json.dumps(asdict(t), ensure_ascii=False) for t in whole.trajectories]
    write_atomic(session.directory / "trajectories.jsonl", ("\n".join(lines) + "\n").encode())
    session.metrics["bootstrap"] = _summary(units, whole)
    return whole


def _summary(units: tuple[EditUnit, ...], whole: Bootstrap) -> dict[str, Any]:
    accepted = {t.unit for t in whole.trajectories}
    return {
        **{name: whole.counts[name] for name in sorted(whole.counts)},
        "accepted": sum(not t.derived for t in whole.trajectories),
        "derived": sum(t.derived for t in whole.trajectories),
        "pairs_taught": len(whole.taught),
        "untaught_units": [u.id for u in units if u.id not in accepted],
    }


def _check_enough(
    units: tuple[EditUnit, ...], whole: Bootstrap, settings: SamplingSettings
) -> None:
    found = Counter(t.unit for t in whole.trajectories if not t.derived)
    for unit in units:
        if found[unit.id] < settings.min_accepted:
            raise BadJob(
                f"unit {unit.id}: {found[unit.id]} of the teacher's answers pass the checks, the "
                f"recipe wants {settings.min_accepted}: the base does not read its narrative; "
                "revise the narrative or take the unit out"
            )
    if not whole.trajectories:
        raise BadJob("no answer of the teacher passes the checks: the base reads no narrative")


def _pairs(session: Session, unit: EditUnit) -> list[_Pair]:
    """What is sampled of a unit. Raises BadJob when that is nothing."""
    settings = session.recipe.sampling
    kinds = set(settings.kinds or QuestionKind)
    if not is_causal(session):
        kinds &= _CAUSELESS
    asked = [(unit, i, q) for i, q in training_pairs(unit) if q.kind in kinds]
    if not asked:
        raise BadJob(
            f"unit {unit.id} has no training question of a kind that is sampled "
            f"({', '.join(sorted(kinds))}): make one, or change sampling.kinds"
        )
    return asked[: settings.most_questions or None]


def _sample(session: Session, pairs: list[_Pair]) -> Bootstrap:
    settings = session.recipe.sampling
    out = Bootstrap()
    survivors: list[list[list[Candidate]]] = [[] for _ in pairs]
    seen: list[set[str]] = [set() for _ in pairs]
    for replica in range(settings.replicas):
        rows = _open_book(session, pairs, greedy=replica == 0, replica=replica)
        for place, completions in enumerate(rows):
            unit, index, question = pairs[place]
            out.counts["sampled_tokens"] += sum(len(c.ids) for c in completions)
            if replica == 0 and _flaw(session, question, completions[0])[1] is None:
                out.taught.add((unit.id, index))
            kept = _clean(session, question, completions, seen[place], out.counts)
            survivors[place].append(kept)
    if settings.gate:
        out.counts["pairs_gated_out"] += len(pairs) - len(out.taught)
        survivors = [
            s if (u.id, i) in out.taught else []
            for (u, i, _), s in zip(pairs, survivors, strict=True)
        ]
    contested = [
        (question, candidate)
        for (_, _, question), draws in zip(pairs, survivors, strict=True)
        for draw in draws
        if len(draw) > settings.keep
        for candidate in draw
    ]
    rank(session, contested)
    for (unit, index, _), draws in zip(pairs, survivors, strict=True):
        for draw in draws:
            best = sorted(draw, key=lambda c: -c.score)[: settings.keep]
            out.trajectories += [
                Trajectory(unit=unit.id, question=index, text=c.text, score=round(c.score, 4))
                for c in best
            ]
    if settings.derive_short:
        out.trajectories += _derived(pairs, out.trajectories)
    return out


def _open_book(
    session: Session, pairs: list[_Pair], *, greedy: bool, replica: int
) -> list[list[Completion]]:
    """Answers of the base with the narrative in context; the first one greedy if asked for."""
    settings = session.recipe.sampling
    how = Decoding(
        max_new_tokens=settings.max_new_tokens,
        n=settings.samples + (1 if greedy else 0),
        temperature=settings.temperature,
        top_p=settings.top_p,
        greedy_first=greedy,
        batch_rows=session.recipe.engine.batch_rows,
    )
    prompts = [teacher_prompt(session, unit, q) for unit, _, q in pairs]
    return session.sample(prompts, how, session.seed("bootstrap", pairs[0][0].id, replica), None)


def _flaw(session: Session, question: Question, answer: Completion) -> tuple[str, Flaw | None]:
    text = session.engine.chat.text(answer.ids)
    limit, causal = session.recipe.sampling.repetition_limit, is_causal(session)
    return text, flaw_of(question, text, finished=answer.finished, limit=limit, causal=causal)


def _clean(
    session: Session,
    question: Question,
    completions: list[Completion],
    seen: set[str],
    counts: Counter[str],
) -> list[Candidate]:
    """The completions without a flaw; `seen` and `counts` are brought up to date."""
    kept: list[Candidate] = []
    for completion in completions:
        text, flaw = _flaw(session, question, completion)
        if flaw is None and session.recipe.sampling.deduplicate and normalise(text) in seen:
            flaw = Flaw.DUPLICATE
        counts["sampled"] += 1
        if flaw:
            counts[f"rejected_{flaw.value}"] += 1
            continue
        seen.add(normalise(text))
        mean = sum(completion.logprobs) / max(1, len(completion.logprobs))
        kept.append(Candidate(text, mean))
    return kept


def _derived(pairs: list[_Pair], accepted: list[Trajectory]) -> list[Trajectory]:
    """Short answers, from accepted rationales, for short questions that have none of their own."""
    answered = {(t.unit, t.question) for t in accepted}
    units = {t.unit for t in accepted}
    return [
        Trajectory(unit=u.id, question=i, text=q.reference, score=0.0, derived=True)
        for u, i, q in pairs
        if u.id in units and q.kind in SHORT_KINDS and (u.id, i) not in answered
    ]


def _encode(part: Bootstrap) -> bytes:
    data = {
        "trajectories": [asdict(t) for t in part.trajectories],
        "taught": sorted(part.taught),
        "counts": dict(part.counts),
    }
    return json.dumps(data, ensure_ascii=False).encode()


def _read(path: Path) -> Bootstrap:
    data = json.loads(path.read_text(encoding="utf-8"))
    return Bootstrap(
        trajectories=[Trajectory(**t) for t in data["trajectories"]],
        taught={(unit, index) for unit, index in data["taught"]},
        counts=Counter(data["counts"]),
    )
