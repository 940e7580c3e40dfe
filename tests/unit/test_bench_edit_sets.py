"""Edit sets of the benches: made of the table of the world as the product makes units."""

from __future__ import annotations

from daemon.bench.edit_sets import case_of, world_cases, world_units
from evaluator.probes import Part
from knowledge.questions import QuestionKind, Use
from knowledge.world import Split


def test_a_split_is_cut_into_whole_batches_of_units_that_do_not_contradict() -> None:
    cases = world_cases(Split.REPORT, 12)
    assert len(cases) == 10
    units = [unit for case in cases for unit in case.units]
    assert len({unit.slot for unit in units}) == len(units) == 120
    assert [c.digest for c in world_cases(Split.REPORT, 12, most=2)] == [
        c.digest for c in cases[:2]
    ]


def test_what_is_anchored_is_not_examined() -> None:
    (case,) = world_cases(Split.TUNE, 12, most=1)
    probes = [p.question for part in (Part.NEIGHBOUR, Part.UNRELATED) for p in case.suite.of(part)]
    assert len(probes) > 80
    assert not {q.item for q in probes} & {q.item for q in case.anchors}
    assert not {q.item for q in case.anchors} & {u.slot for u in case.units}


def test_units_have_their_narrative_and_every_kind_of_question() -> None:
    units = world_units(Split.TUNE)
    assert len(units) == 48
    asked = {q.kind for unit in units for q in unit.asked(Use.EXAM)}
    assert asked >= {QuestionKind.TWO_HOP, QuestionKind.CONFLICT, QuestionKind.BEFORE}
    for unit in units:
        assert unit.narrative and unit.change.new
        assert unit.change.new.label in unit.narrative.prose


def test_a_case_over_earlier_edits_examines_them_too() -> None:
    earlier, later = world_units(Split.TUNE)[:2], world_units(Split.TUNE)[2:4]
    case = case_of("second", later, live=earlier)
    assert {p.cluster for p in case.suite.of(Part.RETENTION)} == {u.id for u in earlier}
    assert not {q.item for q in case.anchors} & {u.slot for u in earlier}


def test_a_stored_outcome_is_of_this_code_and_these_weights() -> None:
    from daemon.bench.weights import EMBEDDED, _files, code_digest, weight_digest

    files = {path.name for path in _files()}
    assert {"sft.py", "internalize.py", "judge.py", "rendering.py", "world.csv"} <= files
    assert {"known_facts.py", "edit_sets.py"} <= files
    assert not {"pretrain.py", "methods.py", "embedded.toml"} & files
    assert len(code_digest()) == len(weight_digest(EMBEDDED)) == 64
