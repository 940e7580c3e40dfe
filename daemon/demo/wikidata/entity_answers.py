"""`action=wbgetentities`: items as Wikibase's API shows them.

Owns choosing parts and languages, redirects and missing items. Storage shapes are `snaks`.
"""

from __future__ import annotations

import re

from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.action_api import Answer, ApiError, Params, iso
from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.edits import Edit
from daemon.demo.wikidata.properties import property_entity

_PROPS = "info|sitelinks|aliases|labels|descriptions|claims|datatype"


def wbgetentities(params: Params, archive: Archive) -> Answer:
    """Entities by `ids`, or by `sites` and `titles`; at most 50."""
    ids = params.many("ids")
    titles, sites = params.many("titles"), params.many("sites")
    if not ids and not (titles and sites):
        raise ApiError(
            "param-missing", 'Either provide the item "ids" or pairs of "sites" and "titles"'
        )
    props = params.many("props", _PROPS)
    languages = params.many("languages")
    follow = params.choice("redirects", "yes", ("yes", "no")) == "yes"
    found: Answer = {}
    for item in ids:
        if not re.fullmatch(r"[QPLqpl][1-9]\d*", item):
            raise ApiError(
                "no-such-entity", f"Could not find such an entity (Invalid id: {item})", id=item
            )
        _add(found, item.upper(), params, archive, props, languages, follow)
    absent = 0
    for title in titles:
        item = archive.by_sitelink(title, params.now) if "enwiki" in sites else None
        if item:
            _add(found, item, params, archive, props, languages, follow)
        else:
            absent += 1
            found[str(-absent)] = {"site": sites[0], "title": title, "missing": ""}
    return {"entities": found, "success": 1}


def _add(
    found: Answer,
    item: str,
    params: Params,
    archive: Archive,
    props: list[str],
    languages: list[str],
    follow: bool,
) -> None:
    of_property = property_entity(item, props, languages)
    if of_property is not None:
        found[item] = of_property
        return
    head = archive.head(item, params.now)
    source: str | None = None
    if head and head.redirect:
        source, head = item, archive.head(head.redirect, params.now) if follow else None
    if head is None:
        found[item] = {"id": item, "missing": ""}
        return
    shown = entity(head, props, languages)
    if source:
        shown["redirects"] = {"from": source, "to": head.item}
    found[head.item] = shown


def entity(head: Edit, props: list[str], languages: list[str]) -> Answer:
    """One entity with the wanted parts, in API form."""
    stored = snaks.decoded(head.content or b"{}")
    shown: Answer = {}
    if "info" in props:
        shown |= {
            "pageid": head.page_id,
            "ns": 0,
            "title": head.item,
            "lastrevid": head.revision,
            "modified": iso(head.time),
        }
    shown |= {"type": "item", "id": head.item}
    for part in ("labels", "descriptions", "aliases"):
        if part in props:
            terms = stored[part]
            shown[part] = {k: v for k, v in terms.items() if not languages or k in languages}
    if "claims" in props:
        shown["claims"] = snaks.with_datatypes(stored["claims"])
    if any(prop.startswith("sitelinks") for prop in props):
        shown["sitelinks"] = stored["sitelinks"]
        if "sitelinks/urls" in props:
            for link in stored["sitelinks"].values():
                language = link["site"].removesuffix("wiki")
                name = link["title"].replace(" ", "_")
                link["url"] = f"https://{language}.wikipedia.org/wiki/{name}"
    return shown
