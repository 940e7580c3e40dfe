"""Discovery of subjects to watch, by SPARQL.

Owns the query, one request at a time, and distrust of its answer: cut-off JSON is a failure, and a
shrunken answer never shrinks the watch list. A change is never detected here.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from SPARQLWrapper import JSON, POST, SPARQLWrapper
from SPARQLWrapper.SPARQLExceptions import (
    EndPointInternalError,
    QueryBadFormed,
    SPARQLWrapperException,
)

from agents.wikidata.api import check_user_agent, default_limiter
from agents.wikidata.errors import BrokenAnswer, Refused, Throttled, Unreachable, retry_after_s
from agents.wikidata.limiter import Limiter

_ITEM = re.compile(r"/entity/(Q\d+)$")
_QUERY = """\
PREFIX wd: <http://www.wikidata.org/entity/>
PREFIX p: <http://www.wikidata.org/prop/>
PREFIX ps: <http://www.wikidata.org/prop/statement/>
PREFIX wdt: <http://www.wikidata.org/prop/direct/>
SELECT DISTINCT ?item WHERE {{
{where}
}} ORDER BY ?item LIMIT {limit}"""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a query found. `items` never lack one of the previous list; `shrunk` says that the
    answer did, beyond what is usual, and was therefore not believed."""

    items: tuple[str, ...]
    new: tuple[str, ...]
    shrunk: bool


class SparqlEndpoint:
    """One SPARQL 1.1 endpoint. `limiter` is what all clients share; it defaults as the Action API's
    does. Raises NoContact for a remote one without a contact."""

    def __init__(
        self, url: str, *, user_agent: str, limiter: Limiter | None = None, timeout_s: int = 55
    ) -> None:
        self._url = url
        self._host = urlsplit(url).netloc
        self._agent = check_user_agent(user_agent, url)
        self._limiter = limiter or default_limiter(url)
        self._timeout_s = timeout_s
        self._one_at_a_time = asyncio.Lock()

    async def items(self, query: str) -> list[str]:
        """The item ids that a query binds to `?item`, in its order.

        Raises Throttled, Unreachable or BrokenAnswer (try later), or Refused (a bad query)."""
        async with self._one_at_a_time, self._limiter.slot(self._host):
            try:
                return await asyncio.to_thread(self._ask, query)
            except (Throttled, Unreachable) as error:
                if error.retry_after_s:
                    await self._limiter.cool(self._host, error.retry_after_s)
                raise

    async def subjects(
        self, property_id: str, *, of_class: str | None = None, limit: int = 50_000
    ) -> list[str]:
        """Items with a statement of the property, of the class or a subclass if one is given."""
        lines = [f"  ?item p:{property_id} ?statement ."]
        if of_class is not None:
            lines.append(f"  ?item wdt:P31/wdt:P279* wd:{of_class} .")
        return await self.items(_QUERY.format(where="\n".join(lines), limit=limit))

    def _ask(self, query: str) -> list[str]:
        wrapper = SPARQLWrapper(self._url, agent=self._agent)
        wrapper.setMethod(POST)
        wrapper.setReturnFormat(JSON)
        wrapper.setTimeout(self._timeout_s)
        wrapper.setQuery(query)
        try:
            raw = wrapper.query().response.read()
        except QueryBadFormed as error:
            raise Refused(f"{self._url} refused the query: {str(error)[:300]}") from error
        except HTTPError as error:
            wait = retry_after_s(error.headers.get("Retry-After"))
            if error.code == 429:
                raise Throttled(f"{self._url} answered 429", retry_after_s=wait) from error
            if error.code < 500:
                raise Refused(f"{self._url} answered {error.code}") from error
            raise Unreachable(f"{self._url} answered {error.code}", retry_after_s=wait) from error
        except (EndPointInternalError, SPARQLWrapperException, URLError, OSError) as error:
            raise Unreachable(f"{self._url} gave no answer: {str(error)[:300]}") from error
        return read_items(raw)


def read_items(raw: bytes) -> list[str]:
    """Item ids of a whole SPARQL JSON answer. Raises BrokenAnswer on a cut or foreign one: an
    endpoint that runs out of time sends 200 and half a document."""
    try:
        rows = json.loads(raw)["results"]["bindings"]
        found = [_ITEM.search(row["item"]["value"]) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenAnswer(f"the SPARQL answer is cut off or no answer: {error!r}") from error
    return [match.group(1) for match in found if match]


def grow(known: list[str], answer: list[str], *, least: float = 0.8) -> Discovery:
    """The watch list after a discovery: items are added, never dropped; an answer with less than
    the share `least` of the known ones is marked as not believed, and adds nothing."""
    have = dict.fromkeys(known)
    kept = sum(1 for i in dict.fromkeys(answer) if i in have)
    if known and kept < least * len(have):
        return Discovery(tuple(have), (), shrunk=True)
    new = tuple(i for i in dict.fromkeys(answer) if i not in have)
    return Discovery((*have, *new), new, shrunk=False)
