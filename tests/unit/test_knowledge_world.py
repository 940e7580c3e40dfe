"""The table of the world: what it promises to those who use it."""

from __future__ import annotations

from collections import Counter

import pytest

from knowledge.facts import LOCAL_ID_START, is_local_id
from knowledge.properties import CATALOGUE
from knowledge.world import LEGACY_DATE, Split, World


@pytest.fixture(scope="module")
def world() -> World:
    return World.load()


def test_there_are_enough_successions_and_no_property_rules(world: World) -> None:
    by_property = Counter(s.property for s in world.successions)
    assert len(world.successions) >= 220
    assert max(by_property.values()) <= 0.4 * len(world.successions)
    assert len(by_property) >= 8


def test_splits_have_their_sizes_and_share_no_fact(world: World) -> None:
    sizes = Counter(s.split for s in world.successions)
    assert sizes[Split.SCENARIO] == 40
    assert sizes[Split.TUNE] == 48
    assert sizes[Split.REPORT] == 120
    slots = [s.slot for s in world.successions]
    assert len(slots) == len(set(slots))
    scenario = {s.subject.id for s in world.split(Split.SCENARIO)}
    others = {s.subject.id for s in world.successions if s.split is not Split.SCENARIO}
    assert not scenario & others


def test_the_scenario_is_dated_to_the_day(world: World) -> None:
    for succession in world.split(Split.SCENARIO):
        assert succession.new.start is not None and succession.new.start.day, succession.slot


def test_legacy_holders_had_not_ended_by_the_legacy_date(world: World) -> None:
    for succession in world.successions:
        if succession.old.end:
            assert succession.old.end.latest() >= LEGACY_DATE, succession.slot
        if succession.new.start:
            assert succession.new.start.latest() >= LEGACY_DATE, succession.slot


def test_one_id_has_one_label_and_a_local_id_is_told_from_wikidatas(world: World) -> None:
    labels: dict[str, str] = {}
    for fact in world.facts:
        for entity in (fact.subject, fact.object):
            assert labels.setdefault(entity.id, entity.label) == entity.label
            number = int(entity.id[1:])
            assert is_local_id(entity.id) == (number >= LOCAL_ID_START)
    assert len(set(labels.values())) == len(labels)


def test_stable_facts_are_single_valued_and_known_properties(world: World) -> None:
    slots = Counter((f.subject.id, f.property) for f in world.stable)
    assert max(slots.values()) == 1
    assert {f.property for f in world.facts} <= set(CATALOGUE)


def test_the_legacy_world_states_no_later_holder(world: World) -> None:
    later = {(s.subject.id, s.property, s.new.object.id) for s in world.successions}
    stated = {(f.subject.id, f.property, f.object.id) for f in world.legacy}
    assert not later & stated
