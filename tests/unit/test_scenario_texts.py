"""What the local Wikidata's articles, events and graph say, as functions of the scenario."""

from __future__ import annotations

import datetime as dt
import json

import orjson
import pytest

from daemon.demo.wikidata import rdf, snaks
from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.events import EventLog, cursor_of, event_id
from daemon.demo.wikidata.extracts import Encyclopaedia
from daemon.demo.wikidata.scenario import Scenario, build_scenario
from knowledge.facts import Date
from knowledge.world import World

STATED = {"resignation": "resign", "death": "die", "dismissal": "dismiss"}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build_scenario(World.load(), "texts", successions=20, noise=200)


def test_articles_state_each_known_cause_once_it_has_happened(scenario: Scenario) -> None:
    articles = Encyclopaedia(scenario)
    seen = 0
    for succession in scenario.successions:
        cause = succession.old.end_cause
        if not cause:
            continue
        seen += 1
        before = articles.extract(succession.subject.id, scenario.start)
        after = articles.extract(succession.subject.id, scenario.end)
        words = {cause, STATED.get(cause, cause)}
        assert any(word in after for word in words), (cause, after)
        assert succession.new.object.label in after
        assert succession.new.object.label not in before
    assert seen


def test_the_successor_has_no_article_about_the_post_beforehand(scenario: Scenario) -> None:
    articles = Encyclopaedia(scenario)
    for succession in scenario.successions:
        text = articles.extract(succession.new.object.id, scenario.start)
        assert succession.old.object.label not in text


def test_titles_of_articles_are_unique(scenario: Scenario) -> None:
    titles = Archive(scenario).titles
    assert titles
    assert all(len(items) == 1 for items in titles.values())


def test_storage_json_round_trips_and_writes_empty_maps_as_lists() -> None:
    item = snaks.item("Q2000000001")
    item["claims"]["P6"] = [snaks.statement("Q1$A", snaks.item_snak("P6", "Q5"))]
    content = snaks.encoded(item)
    assert orjson.loads(content)["labels"] == []
    assert "datatype" not in content.decode()
    assert snaks.decoded(content) == item
    typed = snaks.with_datatypes(snaks.decoded(content)["claims"])
    assert typed["P6"][0]["mainsnak"]["datatype"] == "wikibase-item"


def test_the_same_date_in_two_spellings_is_the_same_date() -> None:
    year = snaks.time_snak("P580", Date(2019))
    filled = snaks.time_snak("P580", Date(2019), filled=True)
    assert year["datavalue"]["value"]["time"] == "+2019-00-00T00:00:00Z"
    assert filled["datavalue"]["value"]["time"] == "+2019-01-01T00:00:00Z"
    snaks.fill_date(year)
    assert year == filled


def test_hashes_in_base_36_have_31_digits() -> None:
    assert snaks.base36(snaks.content_sha1(b"")) == "phoiac9h4m842xq45sp7s6u21eteeq1"
    assert len(snaks.base36("0" * 39 + "1")) == 31


def test_a_cursor_is_read_back_and_never_guessed() -> None:
    assert cursor_of(event_id(1_700_000_000_000)) == 1_700_000_000_001
    assert cursor_of('[{"topic": "t", "partition": 0, "offset": 5}]') is None
    for bad in ("", "nonsense", "{}", "[1]"):
        with pytest.raises(ValueError):
            cursor_of(bad)


def test_the_log_has_unique_rising_times_and_an_hourly_canary(scenario: Scenario) -> None:
    log = EventLog(Archive(scenario))
    stamps = [entry.timestamp_ms for entry in log.entries]
    assert stamps == sorted(set(stamps))
    canaries = [entry for entry in log.entries if entry.edit is None]
    assert len(canaries) == 40 * 24 + 1
    event = json.loads(log.event(canaries[0]))
    assert event["meta"]["domain"] == "canary"
    assert log.end(scenario.start - dt.timedelta(seconds=1)) == 0


def test_best_rank_is_what_truthy_shows(scenario: Scenario) -> None:
    slot = next(s for s, p in scenario.patterns.items() if p == "stale_preferred")
    item, property_id = slot.split(":")
    old, new = scenario.expected[slot]
    head = [e for e in scenario.edits if e.item == item][-1]
    direct = {line for line in rdf.triples(head) if f"prop/direct/{property_id}>" in line}
    assert [line for line in direct if f"entity/{old}>" in line]
    assert not [line for line in direct if f"entity/{new}>" in line]
