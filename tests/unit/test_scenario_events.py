"""The local page_change events against what is recorded of the published schema.

Recorded are the top of `mediawiki/page/change` and one real-shape event of each kind, not the
fragments that hold most rules: those are listed here, so that a record of them is not overlooked.
Until then a local event may have no field, and no type, that no recorded event (or the schema's own
example) has, and must have every field that all recorded events of its kind have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.events import EventLog, canary
from daemon.demo.wikidata.scenario import build_scenario
from knowledge.world import World

RECORDED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "wikidata"
SCHEMA = RECORDED / "schemas" / "page_change-current.yaml"
pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason="no recorded Wikidata at hand")

NOT_RECORDED = {
    "/fragment/common/2.0.0#",
    "/fragment/mediawiki/state/change/page/1.3.0",
    "/fragment/mediawiki/state/entity/revision_slots/1.0.0",
}
OPTIONAL = re.compile(r"\.(user_id|registration_dt|edit_count)$|^page\.revision_count$")
"""Fields that only accounts have, and what MediaWiki itself leaves out."""


BY_FRAGMENT = {("prior_state.page.is_redirect", "bool")}
"""Fields that the missing fragments define (what a page was before), in no recorded event."""


def paths(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Every field with its JSON type; slots are a map, so their names do not count."""
    if isinstance(value, dict):
        for key, part in value.items():
            name = "*" if at.endswith("content_slots") else key
            yield from paths(part, f"{at}.{name}" if at else name)
    else:
        yield at, type(value).__name__


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "$ref":
                yield part
            else:
                yield from refs(part)
    elif isinstance(value, list):
        for part in value:
            yield from refs(part)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, Any]]:
    files = sorted((RECORDED / "events").glob("page_change-*.json"))
    assert files
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


@pytest.fixture(scope="module")
def local() -> list[dict[str, Any]]:
    log = EventLog(Archive(build_scenario(World.load(), "events", successions=4, noise=120)))
    events = [json.loads(log.event(entry)) for entry in log.entries]
    assert {e["page_change_kind"] for e in events} >= {"create", "edit", "delete"}
    return events


def test_what_is_not_recorded_of_the_schema(schema: dict[str, Any]) -> None:
    outside = set(refs({k: v for k, v in schema.items() if k != "examples"}))
    assert {ref for ref in outside if not ref.startswith("#")} == NOT_RECORDED


def test_local_events_have_no_field_or_type_that_no_recorded_event_has(
    schema: dict[str, Any], recorded: list[dict[str, Any]], local: list[dict[str, Any]]
) -> None:
    example = {k: v for k, v in schema["examples"][0].items() if k != "$schema"}
    known = {path for event in (*recorded, example) for path in paths(event)}
    strange = {p for event in (*local, canary_event()) for p in paths(event)}
    strange -= known | BY_FRAGMENT
    assert not strange


def test_local_events_have_all_that_events_of_their_kind_have(
    recorded: list[dict[str, Any]], local: list[dict[str, Any]]
) -> None:
    for kind in ("create", "edit", "delete"):
        of_kind = [set(paths(e)) for e in recorded if _is(e, kind)]
        assert of_kind, kind
        needed = {p for p in reduce(set.intersection, of_kind) if not OPTIONAL.search(p[0])}
        for event in (e for e in local if e["page_change_kind"] == kind and _is(e, kind)):
            lacking = needed - set(paths(event))
            if event["page"].get("revision_count") == 1:  # a first revision has no parent
                lacking -= {("revision.rev_parent_id", "int")}
            assert not lacking, kind


def test_values_that_the_recorded_events_fix(
    recorded: list[dict[str, Any]], local: list[dict[str, Any]]
) -> None:
    pairs = {(e["page_change_kind"], e["changelog_kind"]) for e in recorded}
    kinds = {kind for kind, _ in pairs}
    for event in (*local, canary_event()):
        if event["page_change_kind"] in kinds:
            assert (event["page_change_kind"], event["changelog_kind"]) in pairs
        assert re.fullmatch(r"/mediawiki/page/change/1\.\d+\.\d+", event["$schema"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", event["dt"])
        sha1 = event["revision"].get("rev_sha1", "0" * 31)
        assert re.fullmatch(r"[0-9a-z]{31}", sha1)


def canary_event() -> dict[str, Any]:
    scenario = build_scenario(World.load(), "events", successions=4, noise=120)
    return canary(scenario.start)


def _is(event: dict[str, Any], kind: str) -> bool:
    """An event of that kind of an item whose performer is visible; canaries are of none."""
    wikidata = event["meta"]["domain"] in ("www.wikidata.org", "test.wikidata.org")
    item = event["page"]["namespace_id"] == 0 and "performer" in event
    return event["page_change_kind"] == kind and wikidata and item
