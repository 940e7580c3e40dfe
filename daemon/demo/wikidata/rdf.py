"""Items as RDF, in the shape of Wikidata's query service, one triple a line (N-Triples).

Owns the triples of one item. No blank nodes: unknown values and references have names of their own,
so that two states of an item can be compared and the difference be applied.
"""

from __future__ import annotations

import orjson

from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.action_api import iso
from daemon.demo.wikidata.edits import Edit
from daemon.demo.wikidata.snaks import Json

_WD = "http://www.wikidata.org/"
_WIKIBASE = "http://wikiba.se/ontology#"
_SCHEMA = "http://schema.org/"
_A = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
_XSD = "http://www.w3.org/2001/XMLSchema#"
_RANKS = {"preferred": "PreferredRank", "normal": "NormalRank", "deprecated": "DeprecatedRank"}


def triples(edit: Edit) -> set[str]:
    """The lines that describe an item after this edit; a deleted item has none."""
    if edit.content is None:
        return set()
    if edit.redirect:
        same = "<http://www.w3.org/2002/07/owl#sameAs>"
        return {f"{_entity(edit.item)} {same} {_entity(edit.redirect)} ."}
    entity = snaks.decoded(edit.content)
    subject = _entity(edit.item)
    data = f"<https://www.wikidata.org/wiki/Special:EntityData/{edit.item}>"
    modified = f'"{iso(edit.time)}"^^<{_XSD}dateTime>'
    lines = {
        f"{subject} {_A} <{_WIKIBASE}Item> .",
        f"{data} <{_SCHEMA}about> {subject} .",
        f"{data} <{_SCHEMA}dateModified> {modified} .",
        f'{data} <{_SCHEMA}version> "{edit.revision}"^^<{_XSD}integer> .',
        f"{subject} <{_SCHEMA}dateModified> {modified} .",
        f'{subject} <{_SCHEMA}version> "{edit.revision}"^^<{_XSD}integer> .',
        f'{subject} <{_WIKIBASE}sitelinks> "{len(entity["sitelinks"])}"^^<{_XSD}integer> .',
    }
    lines |= _terms(subject, entity)
    for property_id, statements in entity["claims"].items():
        lines |= _statements(subject, property_id, statements)
    return lines


def _terms(subject: str, entity: Json) -> set[str]:
    label = "<http://www.w3.org/2000/01/rdf-schema#label>"
    alias = "<http://www.w3.org/2004/02/skos/core#altLabel>"
    lines = {f"{subject} {label} {_text(t)} ." for t in entity["labels"].values()}
    lines |= {
        f"{subject} <{_SCHEMA}description> {_text(t)} ." for t in entity["descriptions"].values()
    }
    for terms in entity["aliases"].values():
        lines |= {f"{subject} {alias} {_text(t)} ." for t in terms}
    for link in entity["sitelinks"].values():
        language = link["site"].removesuffix("wiki")
        name = link["title"].replace(" ", "_").replace('"', "%22")
        page = f"<https://{language}.wikipedia.org/wiki/{name}>"
        site = f"<https://{language}.wikipedia.org/>"
        lines |= {
            f"{page} {_A} <{_SCHEMA}Article> .",
            f"{page} <{_SCHEMA}about> {subject} .",
            f"{page} <{_SCHEMA}isPartOf> {site} .",
        }
    return lines


def _statements(subject: str, property_id: str, statements: list[Json]) -> set[str]:
    lines: set[str] = set()
    ranks = {made["rank"] for made in statements}
    best = "preferred" if "preferred" in ranks else "normal"
    for made in statements:
        node = f"<{_WD}entity/statement/{made['id'].replace('$', '-')}>"
        lines.add(f"{subject} <{_WD}prop/{property_id}> {node} .")
        lines.add(f"{node} {_A} <{_WIKIBASE}Statement> .")
        lines.add(f"{node} <{_WIKIBASE}rank> <{_WIKIBASE}{_RANKS[made['rank']]}> .")
        value = _value(made["mainsnak"])
        lines.add(f"{node} <{_WD}prop/statement/{property_id}> {value} .")
        if made["rank"] == best:
            lines.add(f"{subject} <{_WD}prop/direct/{property_id}> {value} .")
            lines.add(f"{node} {_A} <{_WIKIBASE}BestRank> .")
        for snak in (s for many in made.get("qualifiers", {}).values() for s in many):
            lines.add(f"{node} <{_WD}prop/qualifier/{snak['property']}> {_value(snak)} .")
        for ref in made.get("references", ()):
            lines.add(
                f"{node} <http://www.w3.org/ns/prov#wasDerivedFrom> "
                f"<{_WD}reference/{ref['hash']}> ."
            )
    return lines


def reference_triples(edit: Edit) -> set[str]:
    """The lines of the item's references. Items may share them, so they are never taken away."""
    if edit.content is None or edit.redirect:
        return set()
    lines: set[str] = set()
    for statements in snaks.decoded(edit.content)["claims"].values():
        for ref in (r for made in statements for r in made.get("references", ())):
            node = f"<{_WD}reference/{ref['hash']}>"
            lines.add(f"{node} {_A} <{_WIKIBASE}Reference> .")
            for snak in (s for many in ref["snaks"].values() for s in many):
                lines.add(f"{node} <{_WD}prop/reference/{snak['property']}> {_value(snak)} .")
    return lines


def _entity(item_id: str) -> str:
    return f"<{_WD}entity/{item_id}>"


def _text(term: Json) -> str:
    return f"{orjson.dumps(term['value']).decode()}@{term['language']}"


def _value(snak: Json) -> str:
    if snak["snaktype"] != "value":
        return f"<{_WD}.well-known/genid/{snak['hash']}>"
    value = snak["datavalue"]["value"]
    if isinstance(value, str):
        return f"<{value}>"
    if "id" in value:
        return _entity(value["id"])
    time = value["time"].removeprefix("+").replace("-00", "-01")
    return f'"{time}"^^<{_XSD}dateTime>'
