"""The local Wikidata as a web application: the real paths over one scenario and one clock.

Owns routing, the edge (User-Agent policy, faults) and the control paths. It keeps no state of its
own: what it shows follows from the scenario's seed and the clock file, so a restart is harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import html
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qsl

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from daemon.demo.wikidata.action_api import Answer, ApiError, Params, add_warnings, iso
from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.clock import Clock
from daemon.demo.wikidata.entity_answers import wbgetentities
from daemon.demo.wikidata.errors import SparqlUnavailable
from daemon.demo.wikidata.events import EventLog
from daemon.demo.wikidata.extracts import Encyclopaedia
from daemon.demo.wikidata.faults import Faults, policy_refusal
from daemon.demo.wikidata.query_answers import query
from daemon.demo.wikidata.scenario import Scenario
from daemon.demo.wikidata.sparql import SparqlService
from daemon.demo.wikidata.streaming import EventStreams

Handler = Callable[[Request], Awaitable[Response]]
DEFAULT_RETENTION = dt.timedelta(days=31)


class LocalWikidata:
    """One scenario served up to the clock. `app()` is the ASGI application."""

    def __init__(
        self,
        scenario: Scenario,
        clock_file: Path | None,
        *,
        retention: dt.timedelta = DEFAULT_RETENTION,
        cut_stream_after: int = 0,
    ) -> None:
        self.scenario = scenario
        self.archive = Archive(scenario)
        self.clock = Clock(clock_file, scenario.start, scenario.end)
        self.faults = Faults(cut_stream_after=cut_stream_after)
        self.sparql = SparqlService(self.archive)
        self.encyclopaedia = Encyclopaedia(scenario)
        self.streams = EventStreams(EventLog(self.archive), self.clock, self.faults, retention)

    def app(self) -> Starlette:
        both = ["GET", "POST"]
        return Starlette(
            routes=[
                Route("/w/api.php", self._edge(self._wikidata_api), methods=both),
                Route("/wikipedia/w/api.php", self._edge(self._wikipedia_api), methods=both),
                Route("/v2/stream/{streams}", self._edge(self.streams.respond)),
                Route("/sparql", self._edge(self._sparql), methods=both),
                Route("/_control/status", self._status),
                Route("/_control/faults", self._control_faults, methods=both),
            ],
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        follower = asyncio.create_task(self.clock.run())
        try:
            await self.sparql.start(self.clock.now)
            yield
        finally:
            follower.cancel()
            await self.sparql.stop()

    # -- the edge ----------------------------------------------------------------------------

    def _edge(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            refused = policy_refusal(request.headers.get("user-agent"))
            if refused is None and not request.url.path.startswith("/v2/"):
                refused = self.faults.refusal()
            return refused or await handler(request)

        return guarded

    # -- the Action API ----------------------------------------------------------------------

    async def _wikidata_api(self, request: Request) -> Response:
        return await self._api(request, self._wikidata_answer)

    async def _wikipedia_api(self, request: Request) -> Response:
        return await self._api(request, self._wikipedia_answer)

    async def _api(self, request: Request, answer: Callable[[Params], Answer]) -> Response:
        values = dict(request.query_params)
        if request.method == "POST":
            values |= await _form(request)
        params = Params(values, self.clock.now)
        lagged = self.faults.lagged(_number(values.get("maxlag")))
        if lagged:
            return lagged
        headers: dict[str, str] = {}
        try:
            body = answer(params)
            add_warnings(params, body)
        except ApiError as error:
            body, headers = error.body(), {"MediaWiki-API-Error": error.code}
        text = orjson.dumps(body)
        if params.get("format", "jsonfm") != "json":
            shown = html.escape(text.decode())
            page = f"<!DOCTYPE html><title>MediaWiki API result</title><pre>{shown}</pre>"
            return HTMLResponse(page, headers=headers)
        return Response(
            self.faults.cut_short(text),
            media_type="application/json; charset=utf-8",
            headers=headers,
        )

    def _wikidata_answer(self, params: Params) -> Answer:
        match action := params.get("action"):
            case "wbgetentities":
                return wbgetentities(params, self.archive)
            case "query":
                return query(params, self.archive)
        raise _unknown_action(action)

    def _wikipedia_answer(self, params: Params) -> Answer:
        if (action := params.get("action")) != "query":
            raise _unknown_action(action)
        params.choice("prop", "extracts", ("extracts",))
        for name in ("explaintext", "exintro", "redirects", "exlimit", "exsentences"):
            params.get(name)
        pages: list[Answer] = []
        for title in params.many("titles", limit=20):
            item = self.archive.by_sitelink(title.replace("_", " "), params.now)
            page: Answer = {"ns": 0, "title": title}
            if item is None:
                params.flag(page, "missing", True)
            else:
                page["pageid"] = self.scenario.initial[item].page_id
                page["extract"] = self.encyclopaedia.extract(item, params.now)
            pages.append(page)
        body: Answer = {}
        params.flag(body, "batchcomplete", True)
        if params.version == 2:
            return body | {"query": {"pages": pages}}
        keyed = {str(page.get("pageid", -1 - i)): page for i, page in enumerate(pages)}
        return body | {"query": {"pages": keyed}}

    # -- SPARQL ------------------------------------------------------------------------------

    async def _sparql(self, request: Request) -> Response:
        text = request.query_params.get("query", "")
        accept = request.headers.get("accept", "application/sparql-results+json")
        if request.query_params.get("format") == "json" or accept == "*/*":
            accept = "application/sparql-results+json"
        if request.method == "POST":
            kind = request.headers.get("content-type", "")
            if kind.startswith("application/sparql-query"):
                text = (await request.body()).decode()
            else:
                text = (await _form(request)).get("query", text)
        if not text:
            return PlainTextResponse("no query\n", 400)
        try:
            answer = await self.sparql.query(self.clock.now, text, accept)
        except SparqlUnavailable as error:
            return PlainTextResponse(f"{error}\n", 503, {"Retry-After": "1"})
        return Response(
            self.faults.cut_short(answer.content),
            answer.status_code,
            media_type=answer.headers.get("content-type"),
        )

    # -- control -----------------------------------------------------------------------------

    async def _status(self, request: Request) -> Response:
        return JSONResponse(
            {
                "now": self.clock.now.isoformat(),
                "start": iso(self.scenario.start),
                "end": iso(self.scenario.end),
                "edits_visible": self.archive.visible(self.clock.now),
                "edits": len(self.scenario.edits),
                "seed": self.scenario.seed,
                "successions": len(self.scenario.successions),
                "faults": self.faults.state(),
                "clock_error": self.clock.error,
                "sparql_pid": self.sparql.pid,
            }
        )

    async def _control_faults(self, request: Request) -> Response:
        if request.method == "POST":
            try:
                asked = await request.json()
                if not isinstance(asked, dict):
                    raise ValueError('send a JSON object such as {"maxlag": 3}')
                self.faults.update(asked)
            except ValueError as error:
                return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(self.faults.state())


def _unknown_action(action: str) -> ApiError:
    if not action:
        return ApiError("missingparam", 'The "action" parameter must be set.')
    return ApiError("badvalue", f'Unrecognized value for parameter "action": {action}.')


async def _form(request: Request) -> dict[str, str]:
    """The fields of an urlencoded body."""
    body = (await request.body()).decode("utf-8", "replace")
    return dict(parse_qsl(body, keep_blank_values=True))


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
