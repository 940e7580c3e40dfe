"""The Action API of the local Wikidata, over HTTP."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Iterator

import httpx
import orjson
import pytest

from agents.evidence.fetch import FetchLimits, GuardedFetcher
from agents.evidence.pointing import Pointing, SearchedPointers
from agents.evidence.sources import FetchedEntities
from daemon.demo.wikidata.__main__ import main
from daemon.demo.wikidata.edits import EditKind, Kind
from daemon.demo.wikidata.scenario import Scenario, build_scenario
from knowledge.world import World
from tests.local_wikidata_server import AGENT, LocalServer

FLAGS = ("--successions", "6", "--noise", "200")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build_scenario(World.load(), "it", successions=6, noise=200)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, scenario: Scenario) -> Iterator[LocalServer]:
    made = LocalServer(tmp_path_factory.mktemp("clock"), *FLAGS)
    made.set_clock(scenario.end)
    yield made
    made.stop()


def a_slot(scenario: Scenario) -> tuple[str, str, str, str]:
    slot, (old, new) = next(iter(scenario.expected.items()))
    item, property_id = slot.split(":")
    return item, property_id, old, new


def held(answer: dict, item: str, property_id: str) -> set[str]:
    statements = answer["entities"][item]["claims"][property_id]
    return {made["mainsnak"]["datavalue"]["value"]["id"] for made in statements}


def test_entities_are_as_of_the_clock(server: LocalServer, scenario: Scenario) -> None:
    item, property_id, old, new = a_slot(scenario)
    server.set_clock(scenario.start)
    before = server.api(action="wbgetentities", ids=item, props="claims|info")
    server.set_clock(scenario.end)
    after = server.api(action="wbgetentities", ids=item, props="claims|info")
    assert old in held(before, item, property_id)
    assert new not in held(before, item, property_id)
    assert {old, new} <= held(after, item, property_id)
    assert after["entities"][item]["lastrevid"] > before["entities"][item]["lastrevid"]
    snak = after["entities"][item]["claims"][property_id][0]["mainsnak"]
    assert snak["datatype"] == "wikibase-item"
    assert "labels" not in after["entities"][item]


def test_languages_and_missing_items(server: LocalServer, scenario: Scenario) -> None:
    item, *_ = a_slot(scenario)
    ids = f"{item}|Q999999999"
    answer = server.api(action="wbgetentities", ids=ids, props="labels", languages="en|mul")
    assert set(answer["entities"][item]["labels"]) <= {"en", "mul"}
    assert answer["entities"]["Q999999999"] == {"id": "Q999999999", "missing": ""}
    assert answer["success"] == 1


def test_errors_are_those_of_the_real_api(server: LocalServer) -> None:
    bogus = server.api(action="wbgetentities", ids="bogus")
    assert bogus["error"]["code"] == "no-such-entity"
    many = "|".join(f"Q{n}" for n in range(1, 52))
    assert server.api(action="wbgetentities", ids=many)["error"]["code"] == "toomanyvalues"
    assert server.api(action="query", prop="info", titles=many)["error"]["limit"] == 50
    assert server.api(action="nonsense")["error"]["code"] == "badvalue"
    warned = server.api(action="query", prop="info", titles="Q1", strange="1")
    assert "strange" in warned["warnings"]["main"]["*"]


def test_redirects_and_deletions_are_states(server: LocalServer, scenario: Scenario) -> None:
    merged = next(e for e in scenario.edits if e.redirect)
    answer = server.api(action="wbgetentities", ids=merged.item)
    entity = answer["entities"][merged.redirect]
    assert entity["redirects"] == {"from": merged.item, "to": merged.redirect}
    kept = server.api(action="wbgetentities", ids=merged.item, redirects="no")
    assert "missing" in kept["entities"][merged.item]
    gone = next(e for e in scenario.edits if e.kind is EditKind.DELETE)
    titles = f"{merged.item}|{gone.item}"
    pages = server.api(action="query", prop="info", titles=titles, formatversion=2)["query"][
        "pages"
    ]
    assert pages[0]["redirect"] is True
    assert pages[1]["missing"] is True


def test_history_tells_reverts_by_hash_and_by_tag(server: LocalServer, scenario: Scenario) -> None:
    edit = next(e for e in scenario.edits if e.tags == ("mw-rollback",))
    server.set_clock(edit.time - dt.timedelta(seconds=1))
    props = "ids|tags|sha1|user|comment|timestamp|content"
    asked = {"prop": "revisions", "rvprop": props, "rvslots": "main", "formatversion": 2}
    bad = server.api(action="query", revids=edit.parent_revision, **asked)
    assert "mw-reverted" not in bad["query"]["pages"][0]["revisions"][0]["tags"]
    server.set_clock(scenario.end)
    answer = server.api(action="query", titles=edit.item, rvlimit=50, rvdir="newer", **asked)
    rows = {row["revid"]: row for row in answer["query"]["pages"][0]["revisions"]}
    assert "mw-reverted" in rows[edit.parent_revision]["tags"]
    assert rows[edit.revision]["sha1"] in {
        row["sha1"] for revid, row in rows.items() if revid < edit.parent_revision
    }
    content = rows[edit.revision]["slots"]["main"]["content"].encode()
    assert hashlib.sha1(content).hexdigest() == rows[edit.revision]["sha1"]
    assert "lastrevid" not in orjson.loads(content)


def test_revisions_between_two_continue(server: LocalServer, scenario: Scenario) -> None:
    item, *_ = a_slot(scenario)
    edits = [scenario.initial[item], *(e for e in scenario.edits if e.item == item)]
    seen: list[int] = []
    more: dict[str, object] = {}
    while True:
        answer = server.api(
            action="query",
            prop="revisions",
            titles=item,
            rvdir="newer",
            rvstartid=edits[0].revision,
            rvendid=edits[-1].revision,
            rvlimit=2,
            **more,
        )
        page = next(iter(answer["query"]["pages"].values()))
        seen += [row["revid"] for row in page["revisions"]]
        if "continue" not in answer:
            break
        more = answer["continue"]
    assert seen == [edit.revision for edit in edits]


def test_recent_changes_continue_to_the_last_row(server: LocalServer, scenario: Scenario) -> None:
    seen: list[int] = []
    more: dict[str, object] = {}
    rc = {"list": "recentchanges", "rcdir": "newer", "rclimit": 70, "rcnamespace": 0}
    while True:
        answer = server.api(action="query", rcprop="ids|title|tags", **rc, **more)
        seen += [row["rcid"] for row in answer["query"]["recentchanges"]]
        if "continue" not in answer:
            break
        more = answer["continue"]
    oldest = scenario.end - dt.timedelta(days=30)
    assert len(seen) == len(set(seen)) == sum(e.time >= oldest for e in scenario.edits)
    assert seen == sorted(seen)


def test_library_agents_are_refused(server: LocalServer) -> None:
    for agent in ("python-httpx/0.28.1", "python-requests/2.32", ""):
        answer = httpx.get(f"{server.url}/w/api.php", headers={"User-Agent": agent})
        assert answer.status_code == 403
        assert "user-agent" in answer.text


def test_faults_come_as_often_as_asked(server: LocalServer) -> None:
    url = f"{server.url}/w/api.php?action=query&prop=info&titles=Q5&format=json&maxlag=5"
    headers = {"User-Agent": AGENT}
    server.faults(maxlag=2)
    for _ in range(2):
        answer = httpx.get(url, headers=headers)
        assert answer.status_code == 200
        assert answer.json()["error"]["code"] == "maxlag"
        assert answer.headers["retry-after"]
        assert answer.headers["x-database-lag"]
    assert "query" in httpx.get(url, headers=headers).json()
    server.faults(**{"429": 1, "503": 1, "truncate": 1})
    refused = [httpx.get(url, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in refused] == [429, 503]
    assert all(float(answer.headers["retry-after"]) > 0 for answer in refused)
    broken = httpx.get(url, headers=headers)
    assert broken.status_code == 200
    with pytest.raises(ValueError):
        broken.json()
    assert httpx.get(url, headers=headers).json()["query"]
    unknown = server.http.post(f"{server.url}/_control/faults", json={"oops": 1})
    assert unknown.status_code == 400
    assert "oops" in unknown.text


def test_extracts_follow_the_scenario(server: LocalServer, scenario: Scenario) -> None:
    succession = next(s for s in scenario.successions if s.property != "P54" and s.old.end_cause)

    def extract() -> str:
        values = {"action": "query", "prop": "extracts", "explaintext": "1", "format": "json"}
        values |= {"titles": succession.subject.label, "formatversion": "2"}
        answer = server.http.get(f"{server.url}/wikipedia/w/api.php", params=values).json()
        return answer["query"]["pages"][0]["extract"]

    server.set_clock(scenario.start)
    before = extract()
    server.set_clock(scenario.end)
    after = extract()
    assert succession.old.object.label in before
    assert succession.new.object.label not in before
    assert succession.new.object.label in after
    assert (succession.old.end.text() if succession.old.end else "") in after


def test_a_restart_after_a_kill_shows_the_same(server: LocalServer, scenario: Scenario) -> None:
    item, *_ = a_slot(scenario)
    before = server.api(action="wbgetentities", ids=item)
    server.kill()
    server.start()
    assert server.api(action="wbgetentities", ids=item) == before


def test_users_tell_how_young_an_account_is(server: LocalServer, scenario: Scenario) -> None:
    vandals = [e.editor for e in scenario.edits if e.truth and e.truth.kind is Kind.VANDALISM]
    young = next(editor for editor in vandals if editor.user_id and not editor.is_temp)
    answer = server.api(
        action="query",
        list="users",
        ususers=f"{young.name}|Nobody Of That Name",
        usprop="editcount|registration|groups",
    )
    known, unknown = answer["query"]["users"]
    assert known["userid"] == young.user_id
    assert known["editcount"] == young.edit_count
    assert known["registration"].startswith("20")
    assert unknown == {"name": "Nobody Of That Name", "missing": ""}


def test_a_busy_port_is_one_clear_line(
    server: LocalServer, capsys: pytest.CaptureFixture[str]
) -> None:
    port = server.url.rpartition(":")[2]
    code = main(["--port", port, "--successions", "1", "--noise", "15"])
    assert code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert port in line and "cannot listen" in line


def test_items_are_found_by_what_their_statements_say(
    server: LocalServer, scenario: Scenario
) -> None:
    item, property_id, _, new = a_slot(scenario)
    asked = {"action": "query", "list": "search", "srnamespace": "0", "formatversion": "2"}
    found = server.api(
        **asked, srsearch=f"haswbstatement:{property_id}={new}|P31={new}", srlimit="20", srprop=""
    )
    assert item in [hit["title"] for hit in found["query"]["search"]]
    assert set(found["query"]["search"][0]) == {"ns", "title", "pageid"}
    humans = {**asked, "srsearch": "haswbstatement:P31=Q5", "srlimit": "2"}
    first = server.api(**humans)
    total = first["query"]["searchinfo"]["totalhits"]
    assert len(first["query"]["search"]) == 2 < total and first["continue"]["sroffset"] == 2
    second = server.api(**humans, sroffset="2")
    titles = [hit["title"] for part in (first, second) for hit in part["query"]["search"]]
    assert len(set(titles)) == 4
    server.set_clock(scenario.start)
    before = server.api(**asked, srsearch=f"haswbstatement:{property_id}={new}")
    server.set_clock(scenario.end)
    assert item not in [hit["title"] for hit in before["query"]["search"]]
    assert server.api(**asked, srsearch="mayor")["query"]["search"] == []


def test_the_curators_search_finds_who_points_at_what(
    server: LocalServer, scenario: Scenario
) -> None:
    url = f"{server.url}/w/api.php"
    limits = FetchLimits(local_endpoints=frozenset({server.url.removeprefix("http://")}))

    async def pointing(item: str, *properties: str) -> list[Pointing]:
        async with GuardedFetcher(AGENT, limits=limits) as fetcher:
            pointers = SearchedPointers(fetcher, url, FetchedEntities(fetcher, url))
            return await pointers.pointing_at(item, properties)

    item, property_id, _, new = a_slot(scenario)
    found = asyncio.run(pointing(new, property_id))
    assert item in [one.entity.id for one in found]
    (own,) = (one for one in found if one.entity.id == item)
    assert new in [s.mainsnak.value for s in own.of(property_id)]
    assert all(one.entity.label != one.entity.id for one in found)
    assert asyncio.run(pointing("Q999999999", "P6", "P35")) == []
