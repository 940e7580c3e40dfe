"""The page-change stream of the local Wikidata: events, resuming, cuts, canaries."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import pytest

from daemon.demo.wikidata.edits import EditKind
from daemon.demo.wikidata.scenario import Scenario, build_scenario
from knowledge.world import World
from tests.local_wikidata_server import LocalServer

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "wikidata"
STREAM = "/v2/stream/mediawiki.page_change.v1"


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build_scenario(World.load(), "it", successions=4, noise=60)


@pytest.fixture
def fresh_server(tmp_path: Path, scenario: Scenario) -> Iterator[LocalServer]:
    """A server that no other test has connected to."""
    made = LocalServer(tmp_path, "--successions", "4", "--noise", "60", "--retention-days", "60")
    made.set_clock(scenario.end)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, scenario: Scenario) -> Iterator[LocalServer]:
    folder = tmp_path_factory.mktemp("clock")
    flags = ("--successions", "4", "--noise", "60", "--retention-days", "60")
    made = LocalServer(folder, *flags)
    made.set_clock(scenario.end)
    yield made
    made.stop()


def read(
    server: LocalServer, count: int, *, since: str = "", last: str = ""
) -> list[tuple[str, dict[str, Any]]]:
    """Up to `count` events as (id, event); fewer when the connection is cut."""
    found: list[tuple[str, dict[str, Any]]] = []
    headers = {"Last-Event-ID": last} if last else {}
    params = {"since": since} if since else {}
    url = server.url + STREAM
    try:
        with httpx_sse.connect_sse(
            server.http, "GET", url, headers=headers, params=params
        ) as source:
            assert source.response.status_code == 200
            for event in source.iter_sse():
                found.append((event.id, json.loads(event.data)))
                if len(found) >= count:
                    break
    except httpx.RemoteProtocolError:
        pass
    return found


def everything(server: LocalServer, scenario: Scenario) -> list[tuple[str, dict[str, Any]]]:
    """The whole log; its last entry is the canary of the last hour."""
    found: list[tuple[str, dict[str, Any]]] = []
    final = scenario.end.strftime("%Y-%m-%dT%H:%M:%SZ")
    with httpx_sse.connect_sse(
        server.http, "GET", server.url + STREAM, params={"since": scenario.start.isoformat()}
    ) as source:
        for event in source.iter_sse():
            found.append((event.id, json.loads(event.data)))
            if found[-1][1]["dt"] == final:
                return found
    raise AssertionError("the stream ended")


def revisions(events: list[tuple[str, dict[str, Any]]]) -> list[int]:
    kept = [
        e for _, e in events if e["wiki_id"] == "wikidatawiki" and e["meta"]["domain"] != "canary"
    ]
    return [e["revision"]["rev_id"] for e in kept if e["page_change_kind"] != "delete"]


def test_every_edit_is_an_event_once_and_in_order(server: LocalServer, scenario: Scenario) -> None:
    events = everything(server, scenario)
    made = [e.revision for e in scenario.edits if e.kind is not EditKind.DELETE]
    assert revisions(events) == made
    deleted = [e for _, e in events if e["page_change_kind"] == "delete"]
    assert len(deleted) == sum(e.kind is EditKind.DELETE for e in scenario.edits)
    domains = {event["meta"]["domain"] for _, event in events}
    assert domains == {"www.wikidata.org", "en.wikipedia.org", "canary"}
    redirect = next(e for _, e in events if e["page"]["is_redirect"])
    assert redirect["prior_state"]["page"]["is_redirect"] is False


def test_resuming_gives_exactly_the_rest(server: LocalServer, scenario: Scenario) -> None:
    events = everything(server, scenario)
    for cut in (1, 40, len(events) // 2):
        rest = read(server, len(events) - cut, last=events[cut][0])
        assert rest[0][1]["meta"]["domain"] == "canary"  # said at each connect
        assert rest[1:] == events[cut + 1 :]


def test_the_id_names_both_data_centres(server: LocalServer, scenario: Scenario) -> None:
    (text, _), *_ = read(server, 1, since=scenario.start.isoformat())
    near, far = json.loads(text)
    assert near["topic"] == "eqiad.mediawiki.page_change.v1"
    assert isinstance(near["timestamp"], int)
    assert far == {"topic": "codfw.mediawiki.page_change.v1", "partition": 0, "offset": -1}


def test_a_cut_is_abrupt_and_nothing_is_lost_over_it(
    server: LocalServer, scenario: Scenario
) -> None:
    whole = everything(server, scenario)
    server.faults(cut_stream_after=300)
    try:
        got: list[tuple[str, dict[str, Any]]] = []
        events = read(server, 10**6, since=scenario.start.isoformat())
        while len(events) == 301:
            got += events[1:]
            events = read(server, min(10**6, len(whole) - len(got)), last=got[-1][0])
        got += events[1:]
    finally:
        server.faults(cut_stream_after=0)
    assert [e["meta"]["id"] for _, e in got] == [e["meta"]["id"] for _, e in whole[1:]]


def test_the_stream_repeats_reorders_jumps_and_falls_silent_on_request(
    server: LocalServer, scenario: Scenario
) -> None:
    since = scenario.start.isoformat()
    plain = [i for i, _ in read(server, 40, since=since)]
    server.faults(duplicate=2)
    assert [i for i, _ in read(server, 42, since=since)][1:] == [
        i for one in plain[1:3] for i in (one, one)
    ] + plain[3:]
    server.faults(reorder=1)
    backward = [i for i, _ in read(server, 40, since=since)][1:]
    assert backward == sorted(backward, reverse=True)
    server.faults(jump=1)
    assert read(server, 1, last=plain[1])[0][0] != plain[1]
    server.faults(silent=1)
    with pytest.raises(httpx.ReadTimeout):
        with httpx_sse.connect_sse(
            server.http, "GET", server.url + STREAM, params={"since": since}, timeout=0.5
        ) as source:
            next(source.iter_sse())
    assert server.status()["faults"]["silent"] == 0


def test_new_edits_arrive_when_the_clock_moves(server: LocalServer, scenario: Scenario) -> None:
    middle = scenario.edits[len(scenario.edits) // 2]
    server.set_clock(middle.time - dt.timedelta(seconds=1))
    with httpx_sse.connect_sse(server.http, "GET", server.url + STREAM) as source:
        events = source.iter_sse()
        assert json.loads(next(events).data)["meta"]["domain"] == "canary"
        server.set_clock(scenario.end)
        found = [json.loads(next(events).data) for _ in range(3)]
    assert middle.revision in [event["revision"]["rev_id"] for event in found]


def test_bad_cursors_and_unknown_streams_are_told(server: LocalServer) -> None:
    url = server.url + STREAM
    assert server.http.get(url, headers={"Last-Event-ID": "{broken"}).status_code == 400
    assert server.http.get(url, params={"since": "yesterday-ish"}).status_code == 400
    assert server.http.get(server.url + "/v2/stream/nonsense").status_code == 404


def test_lines_of_json_on_request(server: LocalServer, scenario: Scenario) -> None:
    with server.http.stream(
        "GET",
        server.url + STREAM,
        headers={"Accept": "application/json"},
        params={"since": scenario.start.isoformat()},
    ) as answer:
        line = next(answer.iter_lines())
    assert json.loads(line)["meta"]["stream"] == "mediawiki.page_change.v1"


def shape(value: Any) -> Any:
    """The keys and kinds of a JSON value."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    return type(value).__name__


@pytest.mark.skipif(not DATA.exists(), reason="the recorded Wikidata events are not here")
def test_an_edit_event_has_the_shape_of_a_recorded_one(
    fresh_server: LocalServer, scenario: Scenario
) -> None:
    recorded = json.loads((DATA / "events" / "page_change-item-edit.json").read_text())
    recorded_delete = json.loads((DATA / "events" / "page_change-item-delete.json").read_text())
    events = [e for _, e in everything(fresh_server, scenario) if e["wiki_id"] == "wikidatawiki"]
    named = [e for e in events if "user_id" in e["performer"] and not e["page"]["is_redirect"]]
    edits = [e for e in named if e["page_change_kind"] == "edit" and "edit_count" in e["performer"]]
    want = shape(recorded)
    want["prior_state"]["revision"].pop("rev_parent_id", None)
    for event in edits:
        got = shape(event)
        got["prior_state"]["revision"].pop("rev_parent_id", None)
        got["prior_state"].pop("page", None)
        if "user_id" in got["prior_state"]["revision"]["editor"]:
            assert got == want
    deletes = [e for e in named if e["page_change_kind"] == "delete"]
    assert deletes
    for event in deletes:
        assert set(event) == set(recorded_delete)
        assert shape(event["page"]) == shape(recorded_delete["page"])
