"""MQuAKE files as edit sets: records become units, cases and batches.

Owns the questions of a record (its own wordings, and frames around them that training and
examination do not share), the order and selection that users of the reference know, and batches
that never cut a record apart or hold two edits that contradict each other. Reading the format is
`knowledge.mquake`'s.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.bench.edit_sets import EditCase
from evaluator.probes import build_suite
from knowledge.edits import EditUnit
from knowledge.facts import ChangeKind, Entity, FactChange
from knowledge.mquake import Hop, Record, Rewrite, read_records
from knowledge.narrative import CausalNarrative
from knowledge.questions import Question, QuestionKind, Use

DRAFTER = "mquake"


class NoArticles(ValueError):
    """A record lacks the article that a causal method teaches from."""


def file_cases(
    path: Path,
    *,
    batch: int = 0,
    articles: bool = True,
    hop: int | None = None,
    seed: int = 70,
    most: int = 0,
    skip: int = 0,
) -> tuple[EditCase, ...]:
    """The cases of a file: one a record, or with `batch` one a batch of at most so many edits.

    Raises NoArticles when `articles` are wanted and a record has none; MquakeError and OSError for
    an unreadable file.
    """
    records = select(read_records(path), hop=hop, seed=seed, most=most, skip=skip)
    if articles:
        check_articles(records, path)
    groups = batches(records, batch) if batch else [[record] for record in records]
    return tuple(record_case(path.stem, group) for group in groups)


def check_articles(records: Sequence[Record], where: Path) -> None:
    bare = [record.case_id for record in records if not record.enhanced]
    if bare:
        raise NoArticles(
            f"{where}: case {bare[0]} has an edit without `article` ({len(bare)} such cases); "
            "causal methods teach from it: use a causally enhanced file, or code-noncausal"
        )


def select(
    records: Sequence[Record], *, hop: int | None, seed: int, most: int = 0, skip: int = 0
) -> list[Record]:
    """Records by number of hops, each number shuffled by `seed`, then in turn over the numbers
    (all of one number with `hop`); at most `most` of them (0: all), without the first `skip`."""
    groups: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        groups[len(record.new_single_hops)].append(record)
    rng = random.Random(seed)
    for group in groups.values():
        rng.shuffle(group)
    if hop is not None:
        chosen = groups.get(hop, [])
    else:
        kinds = sorted(groups)
        longest = max(map(len, groups.values()), default=0)
        chosen = [groups[k][i] for i in range(longest) for k in kinds if i < len(groups[k])]
    return (chosen[:most] if most else chosen)[skip:]


def batches(records: Sequence[Record], size: int) -> list[list[Record]]:
    """Records in batches of at most `size` distinct edits.

    A record is never cut apart; it joins the batch that has most of its edits already and room for
    the rest, and never one that holds another new object for the same fact. Raises ValueError for a
    record with more edits than that.
    """
    made: list[tuple[list[Record], dict[str, str]]] = []
    for record in records:
        edits = _edits(record)
        if len(edits) > size:
            raise ValueError(
                f"case {record.case_id} has {len(edits)} edits, more than --batch-edit {size}"
            )
        fitting = [m for m in made if _fits(m[1], edits, size)]
        if fitting:
            group, known = max(fitting, key=lambda m: len(m[1].keys() & edits.keys()))
            group.append(record)
            known.update(edits)
        else:
            made.append(([record], edits))
    return [group for group, _ in made]


def _edits(record: Record) -> dict[str, str]:
    """The new object of each fact of the record, by slot."""
    rewrites = enumerate(record.requested_rewrite)
    return {
        f"{_subject(record, place).id}:{r.relation_id}": r.target_new.str for place, r in rewrites
    }


def _fits(known: dict[str, str], fresh: dict[str, str], size: int) -> bool:
    agrees = all(known.get(slot, new) == new for slot, new in fresh.items())
    return agrees and len(known.keys() | fresh.keys()) <= size


def record_case(name: str, records: Sequence[Record]) -> EditCase:
    """The case of records that are edited together. Raises ValueError where two contradict."""
    units = merged([unit for record in records for unit in record_units(record)])
    first = records[0].case_id
    title = f"{name}-{first}" if len(records) == 1 else f"{name}-batch-{first}"
    return EditCase(name=title, units=units, anchors=(), suite=build_suite(units))


def merged(units: Sequence[EditUnit]) -> tuple[EditUnit, ...]:
    """One unit a fact, in order: the first one's change and narrative (another's where it has
    none), the questions and accepted names of all. Raises ValueError for a fact with two new
    objects."""
    found: dict[str, EditUnit] = {}
    for unit in units:
        known = found.get(unit.slot)
        found[unit.slot] = unit if known is None else _joined(known, unit)
    return tuple(found.values())


def _joined(known: EditUnit, other: EditUnit) -> EditUnit:
    new, further = known.change.new, other.change.new
    assert new is not None and further is not None  # MQuAKE's edits all have one
    if new.label != further.label:
        raise ValueError(
            f"{known.change.reason} and {other.change.reason} change {known.slot} to {new.label} "
            f"and to {further.label}: they cannot be edited together"
        )
    names = tuple(n for n in _union(new.aliases, further.aliases) if n != new.label)
    asked = {(q.kind, q.use, q.text): q for q in known.questions}
    for question in other.questions:
        key = (question.kind, question.use, question.text)
        asked[key] = _both(asked[key], question) if key in asked else question
    return replace(
        known,
        change=replace(known.change, new=replace(new, aliases=names)),
        narrative=known.narrative or other.narrative,
        questions=tuple(asked.values()),
    )


def _both(first: Question, second: Question) -> Question:
    """One question with the names that either accepts."""
    answers = _union(first.answers, second.answers)
    return replace(first, answers=answers, legacy=_union(first.legacy, second.legacy))


def _union(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def record_units(record: Record) -> list[EditUnit]:
    """One unit an edit; the multi-hop questions stand with the first."""
    units: list[EditUnit] = []
    for place, rewrite in enumerate(record.requested_rewrite):
        change = _change(record, rewrite, _subject(record, place))
        questions = [*_training(rewrite), *_examination(record, rewrite)]
        if place == 0:
            questions += _multi_hop(record)
        # an article tells the cause in prose alone, and without one there is none to agree with
        slotted = tuple(replace(q, item=change.slot, cause="") for q in questions)
        identity = hashlib.sha256(f"{record.case_id}/{place}/{change.key}".encode()).hexdigest()
        narrative = None
        if rewrite.article:
            narrative = CausalNarrative(
                claims=(), prose=rewrite.article, cause=None, drafter=DRAFTER
            )
        units.append(
            EditUnit(id=identity[:16], change=change, narrative=narrative, questions=slotted)
        )
    return units


def _subject(record: Record, place: int) -> Entity:
    """The subject of an edit: by its item where the record gives it, else by its label."""
    triples, label = record.orig.edit_triples, record.requested_rewrite[place].subject
    item = triples[place][0] if place < len(triples) else ""
    return Entity(id=item or f"label:{label}", label=label)


def _change(record: Record, rewrite: Rewrite, subject: Entity) -> FactChange:
    new = rewrite.target_new
    return FactChange(
        subject=subject,
        property=rewrite.relation_id,
        old=Entity(id=rewrite.target_true.id, label=rewrite.target_true.str),
        new=Entity(id=new.id, label=new.str, aliases=_aliases(record, rewrite)),
        kind=ChangeKind.SUCCESSION,
        reason=f"MQuAKE case {record.case_id}",
    )


def _aliases(record: Record, rewrite: Rewrite) -> tuple[str, ...]:
    """The other accepted names of the new object, from the hop that it answers."""
    wanted = rewrite.target_new.str
    hops: list[Hop] = [h for h in record.new_single_hops if wanted in (h.answer, *h.answer_alias)]
    names = (n for hop in hops[:1] for n in (hop.answer, *hop.answer_alias))
    return tuple(dict.fromkeys(n for n in names if n != wanted))


def _ask(kind: QuestionKind, use: Use, text: str, rewrite: Rewrite, **more: Any) -> Question:
    new, old = rewrite.target_new.str, rewrite.target_true.str
    values: dict[str, Any] = {"answers": (new,), "legacy": (old,), "reference": f"{new}.", **more}
    return Question(kind=kind, use=use, text=" ".join(text.split()), **values)


def _cloze(rewrite: Rewrite) -> str:
    return rewrite.prompt.replace("{}", rewrite.subject)


def _training(rewrite: Rewrite) -> Iterable[Question]:
    use, asked, cloze = Use.TRAIN, rewrite.question, _cloze(rewrite)
    yield _ask(QuestionKind.DIRECT, use, asked, rewrite)
    yield _ask(QuestionKind.DIRECT, use, f"{asked} Answer with the name alone.", rewrite)
    yield _ask(QuestionKind.CLOZE, use, f"Complete the sentence: {cloze} ...", rewrite)
    yield _ask(QuestionKind.EXPLAIN, use, f"{asked} What changed, and why?", rewrite)
    old, new = (rewrite.target_true.str,), rewrite.target_new.str
    before = f"Before it was {new}: {asked}"
    yield _ask(
        QuestionKind.BEFORE, use, before, rewrite, answers=old, legacy=(), reference=f"{old[0]}."
    )
    extra = rewrite.model_extra or {}
    for field in ("rephrase_prompt", "learning_prompt"):  # CaKE's own questions, where there
        for row in extra.get(field) or ():
            kind = QuestionKind.PARAPHRASE if field == "rephrase_prompt" else QuestionKind.TWO_HOP
            names = (new,) if new in row["answer"] else (str(row["answer"]).rstrip("."),)
            yield _ask(kind, use, row["question"], rewrite, answers=names, reference=row["answer"])


def _examination(record: Record, rewrite: Rewrite) -> Iterable[Question]:
    use, asked, cloze = Use.EXAM, rewrite.question, _cloze(rewrite)
    names = {"answers": (rewrite.target_new.str, *_aliases(record, rewrite))}
    yield _ask(QuestionKind.DIRECT, use, f"Now, {asked}", rewrite, **names)
    yield _ask(QuestionKind.CLOZE, use, f"Now, {cloze}", rewrite, **names)
    yield _ask(QuestionKind.EXPLAIN, use, f"{asked} Why? Think step by step.", rewrite, **names)
    old, new = rewrite.target_true.str, rewrite.target_new.str
    for a, b in ((old, new), (new, old)):
        for stem in (f"{asked} A) {a} or B) {b}", f"{cloze} {a} or {b}?"):
            for task in (
                f"First describe {rewrite.subject}, then answer.",
                f"Answer first, then describe {rewrite.subject}.",
            ):
                yield _ask(QuestionKind.CONFLICT, use, f"{stem} {task}", rewrite, **names)
    held = f"It is {new} now. What held before? {asked}"
    yield _ask(
        QuestionKind.BEFORE, use, held, rewrite, answers=(old,), legacy=(), reference=f"{old}."
    )


def _multi_hop(record: Record) -> Iterable[Question]:
    for text in record.questions:
        yield Question(
            kind=QuestionKind.TWO_HOP,
            use=Use.EXAM,
            text=text,
            answers=(record.new_answer, *record.new_answer_alias),
            legacy=(record.answer, *record.answer_alias),
            reference=f"{record.new_answer}.",
        )
