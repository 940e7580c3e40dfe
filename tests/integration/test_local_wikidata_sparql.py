"""The query service of the local Wikidata: a real Oxigraph at the same moment as the rest."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from SPARQLWrapper import JSON, POST, SPARQLWrapper

from daemon.demo.wikidata.scenario import Scenario, build_scenario
from knowledge.world import World
from tests.local_wikidata_server import AGENT, LocalServer

PREFIXES = """
PREFIX wd: <http://www.wikidata.org/entity/> PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX p: <http://www.wikidata.org/prop/> PREFIX ps: <http://www.wikidata.org/prop/statement/>
PREFIX pq: <http://www.wikidata.org/prop/qualifier/> PREFIX wikibase: <http://wikiba.se/ontology#>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> PREFIX schema: <http://schema.org/>
"""


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build_scenario(World.load(), "it", successions=4, noise=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, scenario: Scenario) -> Iterator[LocalServer]:
    folder = tmp_path_factory.mktemp("clock")
    made = LocalServer(folder, "--successions", "4", "--noise", "60")
    yield made
    made.stop()


def ask(server: LocalServer, query: str) -> list[dict[str, str]]:
    client = SPARQLWrapper(f"{server.url}/sparql", agent=AGENT)
    client.setReturnFormat(JSON)
    client.setMethod(POST)
    client.setQuery(PREFIXES + query)
    answer = client.queryAndConvert()
    assert isinstance(answer, dict)
    return [
        {name: cell["value"] for name, cell in row.items()} for row in answer["results"]["bindings"]
    ]


def running(server: LocalServer, item: str, property_id: str) -> set[str]:
    """Holders whose statement has no end, by item id."""
    rows = ask(
        server,
        f"""SELECT ?v WHERE {{ wd:{item} p:{property_id} ?st . ?st ps:{property_id} ?v ;
        wikibase:rank ?rank . FILTER NOT EXISTS {{ ?st pq:P582 ?end }}
        OPTIONAL {{ ?st pq:P580 ?start }} FILTER(!BOUND(?start) || ?start < NOW()) }}""",
    )
    return {row["v"].rpartition("/")[2] for row in rows}


def test_a_succession_moves_the_graph_forth_and_back(
    server: LocalServer, scenario: Scenario
) -> None:
    for now, place in ((scenario.start, 0), (scenario.end, 1), (scenario.start, 0)):
        server.set_clock(now)
        for slot, holders in scenario.expected.items():
            item, property_id = slot.split(":")
            assert running(server, item, property_id) == {holders[place]}


def test_labels_and_versions_are_those_of_the_items(
    server: LocalServer, scenario: Scenario
) -> None:
    server.set_clock(scenario.end)
    item = next(iter(scenario.expected)).split(":")[0]
    rows = ask(
        server,
        f"""SELECT ?label ?version WHERE {{ wd:{item} schema:version ?version .
        OPTIONAL {{ wd:{item} rdfs:label ?a FILTER(LANG(?a) = "en") }}
        OPTIONAL {{ wd:{item} rdfs:label ?b FILTER(LANG(?b) = "mul") }}
        BIND(COALESCE(?a, ?b) AS ?label) }}""",
    )
    entity = server.api(action="wbgetentities", ids=item)["entities"][item]
    names = {term["value"] for term in entity["labels"].values()}
    assert [int(row["version"]) for row in rows] == [entity["lastrevid"]]
    assert {row["label"] for row in rows} <= names


def test_a_killed_child_comes_back(server: LocalServer) -> None:
    query = "SELECT (COUNT(*) AS ?n) WHERE { ?s wdt:P36 ?o }"
    before = ask(server, query)
    assert int(before[0]["n"]) > 100
    pid = server.status()["sparql_pid"]
    os.kill(pid, signal.SIGKILL)
    server.eventually(lambda: server.status()["sparql_pid"] is None)
    assert ask(server, query) == before
    assert server.status()["sparql_pid"] not in (None, pid)


def test_a_bad_query_is_a_400(server: LocalServer) -> None:
    answer = server.http.post(f"{server.url}/sparql", data={"query": "SELECT nonsense"})
    assert answer.status_code == 400


def test_a_truncated_answer_is_a_200_that_does_not_parse(server: LocalServer) -> None:
    server.faults(truncate=1)
    answer = server.http.post(f"{server.url}/sparql", data={"query": "ASK {}"})
    assert answer.status_code == 200
    with pytest.raises(ValueError):
        answer.json()
