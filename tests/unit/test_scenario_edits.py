"""The scenario as a whole: what it promises for any seed."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.demo.wikidata.edits import NOISE_KINDS, Edit, EditKind, Kind, Pattern
from daemon.demo.wikidata.errors import ScenarioError
from daemon.demo.wikidata.scenario import Scenario, build_scenario
from daemon.demo.wikidata.snaks import Json, content_sha1, decoded, value_of
from knowledge.facts import Date
from knowledge.world import LEGACY_DATE, Split, World

SEEDS = st.integers(min_value=0, max_value=10**9)
FEW = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def world() -> World:
    return World.load()


@pytest.fixture(scope="module")
def full(world: World) -> Scenario:
    return build_scenario(world, "unit")


def heads(scenario: Scenario) -> dict[str, Edit]:
    return scenario.initial | {edit.item: edit for edit in scenario.edits}


def day_of(made: Json, qualifier: str) -> Date | None:
    snaks = made.get("qualifiers", {}).get(qualifier)
    if not snaks or snaks[0]["snaktype"] != "value":
        return None
    value = snaks[0]["datavalue"]["value"]
    return Date.from_wikibase(value["time"], value["precision"])


def is_current(made: Json, today: dt.date) -> bool:
    if "P582" in made.get("qualifiers", {}):
        ended = day_of(made, "P582")
        if ended is None or ended.earliest() <= today:
            return False
    started = day_of(made, "P580")
    return started is None or started.earliest() <= today


def view(head: Edit, property_id: str, today: dt.date) -> list[Json]:
    """Who holds it: by time first, then by rank."""
    claims = decoded(head.content or b"{}").get("claims", {})
    running = [s for s in claims.get(property_id, []) if is_current(s, today)]
    return [s for s in running if s["rank"] == "preferred"] or running


def values(head: Edit, property_id: str, today: dt.date) -> set[str]:
    return {value for made in view(head, property_id, today) if (value := value_of(made))}


def resolved(item: str, now: dict[str, Edit]) -> str:
    while redirect := now[item].redirect:
        item = redirect
    return item


def around(item: str, now: dict[str, Edit]) -> set[str]:
    """The item and every place above it."""
    found, todo = set(), [item]
    while todo:
        item = todo.pop()
        if item in found or item not in now:
            continue
        found.add(item)
        claims = decoded(now[item].content or b"{}").get("claims", {})
        for property_id in ("P131", "P361"):
            todo += [v for made in claims.get(property_id, []) if (v := value_of(made))]
    return found


def assert_world_is_told(scenario: Scenario) -> None:
    """At the end each expected slot has its new holder, each other one says what it always said."""
    now, today = heads(scenario), scenario.end.date()
    acting = {e.truth.slot for e in scenario.edits if e.truth and e.truth.kind is Kind.ACTING}
    doubled = {e.truth.slot for e in scenario.edits if e.truth and e.truth.kind is Kind.DUPLICATE}
    for slot, (old, new) in scenario.expected.items():
        item, property_id = slot.split(":")
        assert values(scenario.initial[item], property_id, LEGACY_DATE) == {old}
        assert values(now[item], property_id, today) == {new}, slot
    legacy: dict[tuple[str, str], set[str]] = defaultdict(set)
    for fact in scenario.world.legacy:
        legacy[fact.subject.id, fact.property].add(fact.object.id)
    for (item, property_id), told in legacy.items():
        slot = f"{item}:{property_id}"
        if slot in scenario.expected:
            continue
        at_end = {resolved(v, now) for v in values(now[item], property_id, today)}
        same = {v for v in at_end for t in told if t in around(v, now) or v in around(t, now)}
        assert same, slot
        assert slot in acting | doubled or same == at_end, (slot, at_end, told)


def test_a_full_scenario_has_forty_successions_among_two_thousand_noise_edits(
    full: Scenario,
) -> None:
    assert len(full.expected) == 40
    assert full.noise_edits >= 2000
    assert min(full.counts[kind] for kind in NOISE_KINDS) >= 50
    used = Counter(full.patterns.values())
    assert set(used) == set(Pattern)
    assert min(used.values()) >= 5


def test_at_the_end_the_world_is_told_as_the_table_has_it(full: Scenario) -> None:
    assert_world_is_told(full)


@FEW
@given(seed=SEEDS)
def test_any_seed_keeps_the_promises_of_noise(seed: int) -> None:
    scenario = build_scenario(World.load(), seed, successions=6, noise=200)
    assert_world_is_told(scenario)
    assert scenario.noise_edits >= 200
    assert all(scenario.counts[kind] >= 5 for kind in NOISE_KINDS)


@FEW
@given(seed=SEEDS)
def test_revisions_rise_with_time_and_know_their_parents(seed: int) -> None:
    scenario = build_scenario(World.load(), seed, successions=4, noise=120)
    revisions = [edit.revision for edit in scenario.edits]
    assert revisions == sorted(set(revisions))
    times = [edit.time for edit in scenario.edits]
    assert times == sorted(times)
    assert scenario.start <= times[0]
    assert times[-1] <= scenario.end
    head = {item: edit.revision for item, edit in scenario.initial.items()}
    for edit in scenario.edits:
        assert edit.parent_revision == head.get(edit.item, 0)
        head[edit.item] = edit.revision
        if edit.content is not None:
            assert edit.sha1 == content_sha1(edit.content)


@FEW
@given(seed=SEEDS)
def test_a_revert_brings_back_the_very_text_and_marks_what_it_undid(seed: int) -> None:
    scenario = build_scenario(World.load(), seed, successions=4, noise=120)
    texts: dict[str, list[str]] = defaultdict(list)
    for item, edit in scenario.initial.items():
        texts[item].append(edit.sha1)
    reverts = 0
    for edit in scenario.edits:
        if {"mw-rollback", "mw-undo"} & set(edit.tags):
            reverts += 1
            assert edit.sha1 in texts[edit.item][:-1]
        texts[edit.item].append(edit.sha1)
    assert reverts
    for edit in scenario.edits:
        vandal = edit.truth and edit.truth.kind is Kind.VANDALISM
        if vandal and edit.tags != ("mw-rollback",):
            assert edit.reverted_at is not None
            assert edit.reverted_at - edit.time <= dt.timedelta(hours=30)
            assert edit.editor.is_anonymous or (edit.editor.edit_count or 0) < 50


def test_wars_flip_at_least_four_times_and_end_where_they_began(full: Scenario) -> None:
    stories: dict[int, list[Edit]] = defaultdict(list)
    for edit in full.edits:
        if edit.truth and edit.truth.kind is Kind.EDIT_WAR:
            stories[edit.truth.story].append(edit)
    for edits in stories.values():
        assert len(edits) >= 4
        assert len({edit.editor.name for edit in edits}) == 2
        assert edits[-1].sha1 == full.by_revision[edits[0].parent_revision].sha1


def test_bulk_runs_touch_more_than_fifty_items_within_the_hour(full: Scenario) -> None:
    runs: dict[int, list[Edit]] = defaultdict(list)
    for edit in full.edits:
        if edit.truth and edit.truth.kind is Kind.BULK_RUN:
            runs[edit.truth.story].append(edit)
    for edits in runs.values():
        assert len({edit.item for edit in edits}) > 50
        assert len({(edit.editor.name, edit.comment) for edit in edits}) == 1
        assert edits[-1].time - edits[0].time < dt.timedelta(hours=1)


def test_expected_slots_are_left_in_peace_for_the_last_week(full: Scenario) -> None:
    quiet = full.end - dt.timedelta(days=9)
    touching = {Kind.LABEL, Kind.REFERENCE, Kind.BULK_RUN, Kind.TERMS}
    late = [
        edit
        for edit in full.edits
        if edit.time > quiet
        and edit.truth
        and edit.truth.slot in full.expected
        and edit.truth.kind not in touching
    ]
    assert late == []


def test_some_vandalism_hits_successions_after_they_were_entered(full: Scenario) -> None:
    after = [
        edit
        for edit in full.edits
        if edit.truth
        and edit.truth.kind is Kind.VANDALISM
        and edit.truth.slot in full.expected
        and edit.time > full.begun[edit.truth.slot]
    ]
    assert len(after) >= 5


def test_the_same_seed_builds_the_same_revisions(world: World) -> None:
    one = build_scenario(world, 7, successions=4, noise=60)
    two = build_scenario(world, 7, successions=4, noise=60)
    other = build_scenario(world, 8, successions=4, noise=60)
    assert [(e.revision, e.sha1) for e in one.edits] == [(e.revision, e.sha1) for e in two.edits]
    assert [e.sha1 for e in one.edits] != [e.sha1 for e in other.edits]


def test_slots_can_be_named(world: World) -> None:
    slots = tuple(s.slot for s in world.split(Split.SCENARIO)[:3])
    assert set(build_scenario(world, 1, slots, noise=30).expected) == set(slots)


def test_a_slot_that_the_table_does_not_have_is_told(world: World) -> None:
    with pytest.raises(ScenarioError, match="no succession of Q1:P6"):
        build_scenario(world, 1, ("Q1:P6",), noise=30)


def test_more_successions_than_the_table_has_is_told(world: World) -> None:
    with pytest.raises(ScenarioError, match="ask for fewer"):
        build_scenario(world, 1, 10_000)


def test_items_are_told_with_what_decides_about_noise(full: Scenario) -> None:
    """Namesakes and homonyms share a label and differ in class or description."""
    now = heads(full)
    for edit in full.edits:
        if not edit.truth or edit.truth.kind is not Kind.LINK_FIX:
            continue
        _, property_id = (edit.truth.slot or ":").split(":")
        before = full.by_revision[edit.parent_revision]
        old = {value_of(s) for s in orjson.loads(before.content or b"{}")["claims"][property_id]}
        new = {value_of(s) for s in orjson.loads(edit.content or b"{}")["claims"][property_id]}
        (wrong,), (right,) = old - new, new - old
        assert wrong and right
        a, b = decoded(now[wrong].content or b""), decoded(now[right].content or b"")
        assert {t["value"] for t in full_labels(full, wrong)} & {
            t["value"] for t in full_labels(full, right)
        }
        assert a["claims"]["P31"] != b["claims"]["P31"]


def full_labels(scenario: Scenario, item: str) -> list[Json]:
    return list(decoded(scenario.initial[item].content or b"")["labels"].values())


def test_junk_is_created_and_deleted(full: Scenario) -> None:
    kinds = [e.kind for e in full.edits if e.truth and e.truth.kind is Kind.JUNK_ITEM]
    assert kinds.count(EditKind.CREATE) == kinds.count(EditKind.DELETE) >= 25
