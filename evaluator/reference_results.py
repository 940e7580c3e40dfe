"""`metrics.json` of the reference implementation of CODE, read as a suite and its outputs.

Owns the mapping of its blocks to our kinds of question, and its own figures (H-Acc, M-Acc, SRR,
rationale) computed from a verdict table with its definitions, so that both implementations are
judged by one instrument. The shape: a list of cases, each with `requested_rewrite` and, under
`post`, `hop_wise_pred` (three outputs a hop), `accuracy_pred`, `conflict_probe` (eight outputs an
edit) and `old_knowledge_probe` (two an edit); each output has `prompt`, `ref` and `pred`. The
open-book control outputs are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluator.errors import SuiteError
from evaluator.examine import Output
from evaluator.judge import aligned
from evaluator.probes import Part, Probe, Suite
from evaluator.verdicts import Final, Verdict
from knowledge.answers import normalise
from knowledge.properties import CATALOGUE
from knowledge.questions import Question, QuestionKind, Use

CONFLICTS, EARLIER = 8, 2
"""Outputs an edit of the two blocks that are only told apart by their place."""
_SLOTS = (QuestionKind.CLOZE, QuestionKind.DIRECT, QuestionKind.EXPLAIN)
_BLOCKS = ("hop_wise_pred", "accuracy_pred", "conflict_probe", "old_knowledge_probe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an output stands in the reference's file."""

    case: str
    block: str
    hop: int | None
    """Of the hop-wise block."""
    edit: str | None
    """The rewrite that it is about (`case/index`); None for a hop that no edit changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceResults:
    """A file of the reference: probes, outputs and places, each in the order of the file."""

    suite: Suite
    outputs: tuple[Output, ...]
    places: tuple[Place, ...]


def is_reference(data: object) -> bool:
    """Whether JSON data looks like the reference's `metrics.json`, outputs included."""
    return (
        isinstance(data, list)
        and bool(data)
        and all(isinstance(c, dict) and "requested_rewrite" in c for c in data)
        and any(block in _predictions(c) for c in data for block in _BLOCKS)
    )


def read_reference(data: Sequence[Mapping[str, Any]]) -> ReferenceResults:
    """Raises SuiteError for data of another shape, naming the case."""
    probes: list[Probe] = []
    outputs: list[Output] = []
    places: list[Place] = []
    for number, case in enumerate(data):
        name = str(case.get("case_id", number))
        try:
            for place, kind, said in _outputs(name, case):
                probe = _probe(case, place, kind, said, len(probes))
                probes.append(probe)
                places.append(place)
                outputs.append(
                    Output(probe=probe.id, text=str(said["pred"]), finished=True, tokens=0)
                )
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise SuiteError(
                f"case {name} is not of the reference's metrics.json ({type(error).__name__}: "
                f"{error}); give the file that its runner wrote, outputs included"
            ) from error
    return ReferenceResults(
        suite=Suite(probes=tuple(probes)), outputs=tuple(outputs), places=tuple(places)
    )


def _predictions(case: Mapping[str, Any]) -> Mapping[str, Any]:
    after = case.get("post")
    return after if isinstance(after, dict) else case


def _outputs(
    name: str, case: Mapping[str, Any]
) -> Iterable[tuple[Place, QuestionKind, Mapping[str, Any]]]:
    said = _predictions(case)
    rewrites = case["requested_rewrite"]
    for hop, slots in enumerate(said.get("hop_wise_pred", ())):
        for slot, output in enumerate(slots):
            edit = _edit_of(rewrites, output)
            key = None if edit is None else f"{name}/{edit}"
            place = Place(case=name, block="hop_wise_pred", hop=hop, edit=key)
            yield place, QuestionKind.NEIGHBOUR if edit is None else _SLOTS[slot], output
    for output in said.get("accuracy_pred", ()):
        place = Place(case=name, block="accuracy_pred", hop=None, edit=f"{name}/0")
        yield place, QuestionKind.TWO_HOP, output
    for block, kind, each in (
        ("conflict_probe", QuestionKind.CONFLICT, CONFLICTS),
        ("old_knowledge_probe", QuestionKind.BEFORE, EARLIER),
    ):
        for index, output in enumerate(said.get(block, ())):
            place = Place(case=name, block=block, hop=None, edit=f"{name}/{index // each}")
            yield place, kind, output


def _edit_of(rewrites: Sequence[Mapping[str, Any]], output: Mapping[str, Any]) -> int | None:
    """The rewrite that a hop-wise output is about: its target among the gold answers, else its
    subject in the prompt; None for another hop."""
    gold = set(map(normalise, output["ref"]))
    for index, rewrite in enumerate(rewrites):
        if normalise(_name(rewrite["target_new"])) in gold:
            return index
    return None


def _name(target: Any) -> str:
    """The reference's runner writes targets as strings in place of records."""
    return str(target["str"]) if isinstance(target, Mapping) else str(target)


def _probe(
    case: Mapping[str, Any],
    place: Place,
    kind: QuestionKind,
    said: Mapping[str, Any],
    number: int,
) -> Probe:
    answers = tuple(dict.fromkeys(str(r) for r in said["ref"]))
    rewrite = case["requested_rewrite"][int(place.edit.split("/")[-1])] if place.edit else None
    new: tuple[str, ...] = answers
    old: tuple[str, ...] = ()
    if rewrite is not None:
        target = _name(rewrite["target_new"])
        new = answers if kind in _SLOTS else (target,)
        old = (_name(rewrite["target_true"]),) if rewrite.get("target_true") else ()
    right = old if kind is QuestionKind.BEFORE and old else answers
    known = CATALOGUE.get(str(rewrite.get("relation_id", ""))) if rewrite else None
    question = Question(
        kind=kind,
        use=Use.EXAM,
        text=str(said["prompt"]),
        answers=right,
        legacy=() if kind is QuestionKind.BEFORE else old,
        reference=right[0] if right else "",
        cause=str(rewrite["article"]) if rewrite and rewrite.get("article") else None,
    )
    return Probe(
        id=f"{place.case}:{place.block}:{number}",
        part=Part.EDIT if place.edit else Part.NEIGHBOUR,
        cluster=place.edit or f"{place.case}/hop{place.hop}",
        question=question,
        new=new,
        old=old,
        subject=str(rewrite.get("subject", "")) if rewrite else "",
        persons=known is not None and known.wording.wh == "Who",
    )


# ---------------------------------------------------------------------------------------------
# The reference's own figures
# ---------------------------------------------------------------------------------------------


def reference_summary(
    results: ReferenceResults, rows: Sequence[Verdict], *, refute: bool, why: bool
) -> dict[str, Any]:
    """The reference's figures under its names. Rows without a verdict count in none of them; how
    many there are is told."""
    table = [
        (place, row) for place, row in zip(results.places, rows, strict=True) if row.error is None
    ]
    summary: dict[str, Any] = {
        "total_cases": len({place.case for place in results.places}),
        "judged": len(table),
        "errors": len(rows) - len(table),
        **_accuracies(table),
    }
    if refute:
        summary["self_refutation"] = _self_refutation(table)
    if why:
        summary["rewrite_why"] = _rationale(table)
    return summary


Placed = Sequence[tuple[Place, Verdict]]


def _accuracies(table: Placed) -> dict[str, Any]:
    hops: dict[str, dict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    multi: dict[str, list[bool]] = defaultdict(list)
    for place, row in table:
        passed = row.final is Final.RIGHT
        if place.block == "hop_wise_pred" and place.hop is not None:
            hops[place.case][place.hop].append(passed)
        elif place.block == "accuracy_pred":
            multi[place.case].append(passed)
    by_case = [_mean([_mean(p) for p in case.values()]) for case in hops.values()]
    return {
        "overall_hop_wise_average": _mean(by_case),
        "accuracy_averages": {"qa": _mean([_mean(p) for p in multi.values()])},
        "any_right_accuracy": _mean([float(any(p)) for p in multi.values()]),
    }


def _refutes(row: Verdict) -> bool:
    """The reference's rule: asserted, explicitly negated, and not affirmed again."""
    return row.asserts_new and row.negates_new and not row.reaffirms_new


def _self_refutation(table: Placed) -> dict[str, Any]:
    probed = [
        (place.edit, place.block, row)
        for place, row in table
        if place.edit and place.block in ("hop_wise_pred", "conflict_probe")
    ]
    recalled = {e for e, block, row in probed if block == "hop_wise_pred" and row.asserts_new}

    def share(counts: Callable[[str], bool], among: Container[str] | None) -> dict[str, Any]:
        flags: dict[str, bool] = {}
        for edit, block, row in probed:
            if edit is not None and counts(block) and (among is None or edit in among):
                flags[edit] = flags.get(edit, False) or _refutes(row)
        found = sum(flags.values())
        return {"rate": found / len(flags) if flags else None, "edits": len(flags), "true": found}

    both: Callable[[str], bool] = lambda block: True  # noqa: E731
    return {
        "Combined (any source), among recalled hop-wise": share(both, recalled),
        "Combined (any source)": share(both, None),
        "By conflict_probe only": share(lambda b: b == "conflict_probe", None),
        "By hop_wise_pred only": share(lambda b: b == "hop_wise_pred", None),
    }


def _rationale(table: Placed) -> dict[str, Any]:
    by_edit: dict[str, list[bool]] = defaultdict(list)
    for place, row in table:
        if place.edit and row.kind is QuestionKind.EXPLAIN and row.cause_known:
            by_edit[place.edit].append(aligned(row))
    return {"consistency": _mean([_mean(p) for p in by_edit.values()]), "edits": len(by_edit)}


def _mean(values: Sequence[float | bool | None]) -> float | None:
    known = [float(v) for v in values if v is not None]
    return sum(known) / len(known) if known else None
