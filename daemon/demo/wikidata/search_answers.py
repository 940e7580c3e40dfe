"""`list=search` for what is asked of statements: `haswbstatement:P6=Q42|P35=Q42`.

Owns that keyword over the current heads. There is no index of words here, and none of links: the
results stand in the order of their pages, whatever order is asked for.
"""

from __future__ import annotations

import re
from typing import Any

from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.action_api import Answer, ApiError, Params, iso
from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.edits import Edit

_STATEMENT = re.compile(r"(P\d+)=(Q\d+)")
_SORTS = ("relevance", "incoming_links_desc", "create_timestamp_asc", "none")


def search(params: Params, archive: Archive, body: Answer, following: Answer) -> None:
    """The items with one of the statements, at any rank but deprecated."""
    text = params.get("srsearch")
    if not text:
        raise ApiError("missingparam", 'The "srsearch" parameter must be set.')
    keyword, _, wanted = text.partition(":")
    pairs = [_STATEMENT.fullmatch(part) for part in wanted.split("|")]
    params.choice("srsort", "relevance", _SORTS)
    params.many("srnamespace", "0")
    shown = params.many("srprop", "size|wordcount|timestamp|snippet")
    limit = params.number("srlimit", 10, 500)
    start = params.number("sroffset", 0, 10_000) if params.get("sroffset", "0") != "0" else 0
    if keyword != "haswbstatement" or not all(pairs):
        found: list[Edit] = []  # as a search for words that stand nowhere
    else:
        asked = [(match[1], match[2]) for match in pairs if match]
        found = [head for head in archive.heads(params.now) if _has(head, asked)]
    if "totalhits" in params.many("srinfo", "totalhits|suggestion|rewrittenquery"):
        body["searchinfo"] = {"totalhits": len(found)}
    if len(found) > start + limit:
        following["sroffset"] = start + limit
    body["search"] = [_hit(head, shown) for head in found[start : start + limit]]


def _has(head: Edit, asked: list[tuple[str, str]]) -> bool:
    content = head.content or b""
    if not any(target.encode() in content for _, target in asked):
        return False
    claims = dict(snaks.decoded(content)["claims"])  # a list where there are none
    return any(
        statement["rank"] != "deprecated" and _item(statement["mainsnak"]) == target
        for property_id, target in asked
        for statement in claims.get(property_id, ())
    )


def _item(snak: dict[str, Any]) -> str | None:
    value = snak.get("datavalue", {}).get("value")
    return value.get("id") if isinstance(value, dict) else None


def _hit(head: Edit, shown: list[str]) -> Answer:
    hit: Answer = {"ns": 0, "title": head.item, "pageid": head.page_id}
    if "size" in shown:
        hit["size"] = len(head.content or b"")
    if "timestamp" in shown:
        hit["timestamp"] = iso(head.time)
    return hit
