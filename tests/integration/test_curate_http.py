"""The curator over real HTTP on loopback: Wikidata's entities, Wikipedia's extracts, faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from agents.curate import Curator
from agents.errors import Retryable
from agents.evidence.fetch import FetchLimits, FetchRefused, GuardedFetcher
from agents.evidence.pointing import SearchedPointers
from agents.evidence.sources import Extracts, FetchedEntities, WikimediaEvidence, WikiUnready
from agents.proposals import Proposal
from daemon.bench.curator_wiki import NOW, Wiki, curator, moldova
from knowledge.codec import to_json
from knowledge.facts import FactChange

ARTICLE = "Natalia Gavrilița led the government of Moldova. She resigned on 16 February 2023."


class Api:
    """The two API endpoints over a wiki in memory, with faults on demand."""

    def __init__(self, server: HTTPServer, wiki: Wiki) -> None:
        self.wiki = wiki
        self.faults: list[Response] = []
        self.asked: list[Request] = []
        server.expect_request("/w/api.php").respond_with_handler(self.entities)
        server.expect_request("/wikipedia/w/api.php").respond_with_handler(self.extracts)

    def entities(self, request: Request) -> Response:
        self.asked.append(request)
        if self.faults:
            return self.faults.pop(0)
        assert "almanac" in request.user_agent.string
        if request.args["action"] == "query":
            return self.search(request)
        assert request.args["action"] == "wbgetentities"
        ids = request.args["ids"].split("|")
        assert len(ids) <= 50
        found = {i: self.wiki.items.get(i, {"id": i, "missing": ""}) for i in ids}
        return Response(json.dumps({"entities": found}), content_type="application/json")

    def search(self, request: Request) -> Response:
        assert request.args["list"] == "search" and request.args["srnamespace"] == "0"
        assert request.args["srsort"] == "incoming_links_desc"
        keyword, _, wanted = request.args["srsearch"].partition(":")
        assert keyword == "haswbstatement"
        pairs = [part.split("=") for part in wanted.split("|")]
        found = asyncio.run(self.wiki.pointing_at(pairs[0][1], [p for p, _ in pairs]))
        hits = [{"ns": 0, "title": one.entity.id} for one in found]
        return Response(json.dumps({"query": {"search": hits}}), content_type="application/json")

    def extracts(self, request: Request) -> Response:
        assert request.args["prop"] == "extracts" and request.args["explaintext"]
        title = request.args["titles"]
        text = self.wiki.articles.get(title)
        pages = [{"title": title, "extract": text} if text else {"title": title, "missing": True}]
        return Response(json.dumps({"query": {"pages": pages}}), content_type="application/json")


@asynccontextmanager
async def wired(server: HTTPServer, wiki: Wiki, *, local: bool = True) -> AsyncIterator[Curator]:
    host = f"127.0.0.1:{server.port}"
    limits = FetchLimits(local_endpoints=frozenset({host} if local else ()), total_s=2.0)
    async with GuardedFetcher("almanac/0.1 (test@example.org)", limits=limits) as fetcher:
        entities = FetchedEntities(fetcher, f"http://{host}/w/api.php")
        source = WikimediaEvidence(
            entities,
            Extracts(fetcher, f"http://{host}/wikipedia/w/api.php", f"http://{host}/wiki/"),
            clock=lambda: NOW,
        )
        pointers = SearchedPointers(fetcher, f"http://{host}/w/api.php", entities)
        yield curator(wiki, InMemorySaver(), evidence=source, pointers=pointers)


def propose(server: HTTPServer, wiki: Wiki, change: FactChange, *, local: bool = True) -> Proposal:
    async def run() -> Proposal:
        async with wired(server, wiki, local=local) as made:
            return await made.propose(change)

    return asyncio.run(run())


def test_a_proposal_over_http_is_the_same_as_in_memory(httpserver: HTTPServer) -> None:
    wiki, change = moldova(end_cause=False, old_article=ARTICLE)
    wiki.item("Q9003", "Purcari Wineries")
    wiki.state("Q9003", "P17", "Q217")
    Api(httpserver, wiki)
    proposal = propose(httpserver, wiki, change)
    asked = [q for q in proposal.unit.questions if "Purcari" in q.text or q.kind == "reverse"]
    assert [q.kind for q in asked] == ["two_hop", "reverse", "reverse"]
    in_memory = asyncio.run(curator(wiki, InMemorySaver()).propose(change))
    assert proposal.clean and to_json(proposal.unit) == to_json(in_memory.unit)
    assert proposal.unit.narrative and proposal.unit.narrative.cause == "resignation"
    assert {e.source for e in proposal.evidence} == {
        "wikidata:Q217",
        "wikidata:Q4492965",
        "wikidata:Q21095068",
        "wikipedia:Natalia Gavrilița",
    }


LAG = {"error": {"code": "maxlag", "info": "waiting"}}


@pytest.mark.parametrize(
    "fault",
    [
        Response("busy", status=503, headers={"Retry-After": "0"}),
        Response("slow down", status=429),
        Response(json.dumps(LAG), content_type="application/json"),
        Response('{"entities": {"Q21', content_type="application/json"),
    ],
    ids=["503", "429", "maxlag", "cut"],
)
def test_a_fault_of_the_moment_is_waited_out(httpserver: HTTPServer, fault: Response) -> None:
    wiki, change = moldova()
    api = Api(httpserver, wiki)
    api.faults = [fault]
    assert propose(httpserver, wiki, change).clean
    assert len(api.asked) >= 3


def test_a_source_that_stays_down_is_told_as_retryable(httpserver: HTTPServer) -> None:
    wiki, change = moldova()
    api = Api(httpserver, wiki)
    api.faults = [Response(json.dumps(LAG), content_type="application/json") for _ in range(9)]
    with pytest.raises(WikiUnready) as error:
        propose(httpserver, wiki, change)
    assert isinstance(error.value, Retryable)


def test_loopback_needs_to_be_named_in_the_settings(httpserver: HTTPServer) -> None:
    wiki, change = moldova()
    Api(httpserver, wiki)
    with pytest.raises(FetchRefused):
        propose(httpserver, wiki, change, local=False)


def test_a_merged_item_is_answered_under_its_target(httpserver: HTTPServer) -> None:
    wiki, change = moldova()
    merged = dict(wiki.items.pop("Q4492965"), id="Q99")
    merged["redirects"] = {"from": "Q4492965", "to": "Q99"}
    api = Api(httpserver, wiki)

    def entities(request: Request) -> Response:
        ids = request.args["ids"].split("|")
        found = {("Q99" if i == "Q4492965" else i): wiki.items.get(i, merged) for i in ids}
        return Response(json.dumps({"entities": found}), content_type="application/json")

    httpserver.clear()
    httpserver.expect_request("/w/api.php").respond_with_handler(entities)
    httpserver.expect_request("/wikipedia/w/api.php").respond_with_handler(api.extracts)
    proposal = propose(httpserver, wiki, change)
    assert proposal.clean and proposal.unit.change.key == change.key
