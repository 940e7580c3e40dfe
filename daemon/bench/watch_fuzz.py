"""Mutated entity documents and events through everything that reads them.

Owns the mutations and the corpus: recorded documents where they are at hand, and documents and
events of the local Wikidata always. A document may be refused as `Malformed`, an event may be
unreadable; any other exception is a crash.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import random
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson

from agents.wikidata.classify import ItemHistory, classify_item
from agents.wikidata.diff import diff_entities
from agents.wikidata.entity import EntityDoc, base_document, parse_entity
from agents.wikidata.errors import Malformed
from agents.wikidata.history import Revision
from agents.wikidata.side import SideFacts
from agents.wikidata.stream import PageChange, StreamSettings, event_time, read_message, rewound
from agents.wikidata.view import current_view, phase
from daemon.bench.rows import Op, Row
from daemon.bench.watch_data import recorded
from daemon.bench.watch_faults import story
from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.events import EventLog, event_id
from knowledge.properties import WATCHED

_FULL, _QUICK = 100_000, 3_000
_NOW = dt.datetime(2026, 4, 20, tzinfo=dt.UTC)
_ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e400,
    10**40,
    "",
    "Q",
    "Q0",
    "Q99999999999999999999",
    "+99999999999-13-45T00:00:00Z",
    "-0001-00-00T00:00:00Z",
    "\ud800",
    "somevalue",
    [],
    {},
    [[]],
    {"id": None},
    [{"value": []}],
)


def fuzz_rows(quick: bool) -> list[Row]:
    """Half of the trials are documents, half events."""
    trials = _QUICK if quick else _FULL
    rng = random.Random(2026)
    crashes: Counter[str] = Counter()
    results: Counter[str] = Counter()
    documents, events = _documents(), _events()
    for _ in range(trials // 2):
        _try(lambda: _document(rng, documents), results, crashes)
        _try(lambda: _event(rng, events), results, crashes)
    told = ", ".join(f"{name} {count}" for name, count in sorted(results.items()))
    where = "; ".join(f"{count}x {what}" for what, count in crashes.most_common(3))
    return [
        Row(
            what=f"fuzz: crashes in {trials:,} mutated documents and events",
            value=crashes.total(),
            unit="",
            bar=0,
            op=Op.EQUAL,
            detail=f"{told}; {where}" if where else told,
        )
    ]


def _try(trial: Callable[[], str], results: Counter[str], crashes: Counter[str]) -> None:
    try:
        results[trial()] += 1
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        crashes[f"{error!r} at {last.filename.rsplit('/', 1)[-1]}:{last.lineno}"[:160]] += 1


# -- documents -----------------------------------------------------------------------------------


def _documents() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in recorded("entities/*.json"):
        raw = json.loads(path.read_text(encoding="utf-8"))
        entities = raw.get("entities", {raw.get("id", ""): raw})
        found += [_trimmed(one) for one in entities.values() if isinstance(one, dict)]
    archive = Archive(story())
    heads = (archive.head(item, _NOW) for item in archive.scenario.initial)
    return found + [orjson.loads(h.content) for h in heads if h and h.content]


def _trimmed(entity: dict[str, Any]) -> dict[str, Any]:
    """A few properties of a recorded item: a trial is to mutate what matters, not sitelinks."""
    claims = entity.get("claims")
    if not isinstance(claims, dict):
        return entity
    chosen = [p for p in claims if p in WATCHED][:6] or list(claims)[:3]
    parts = ("id", "type", "labels", "aliases", "lastrevid", "modified")
    kept = {k: v for k, v in entity.items() if k in parts}
    for terms in ("labels", "aliases"):
        if isinstance(kept.get(terms), dict):
            kept[terms] = {k: v for k, v in kept[terms].items() if k in ("en", "mul", "de")}
    return {**kept, "claims": {p: claims[p] for p in chosen}}


def _document(rng: random.Random, corpus: list[dict[str, Any]]) -> str:
    """Parse, view, diff and classify one mutated document beside the one that it was made of."""
    good = rng.choice(corpus)
    bad = copy.deepcopy(good)
    for _ in range(rng.randrange(1, 5)):
        bad = _mutated(rng, bad)
    try:
        head = parse_entity(bad, item="Q1", revision=3)
        base = parse_entity(good, item="Q1", revision=1)
    except Malformed:
        return "malformed"
    for doc in (base, head):
        for group in doc.claims.values():
            current_view(group, _NOW.date(), dated=rng.random() < 0.3)
            for statement in group:
                phase(statement, _NOW.date())
    diff_entities(base, head)
    judgement = classify_item(
        _history(base, head), _side(rng, base, head), _NOW, properties=WATCHED
    )
    json.dumps(base_document(head, WATCHED, {}, {}))
    kinds = {r.change.kind for slot in judgement.slots for r in slot.results}
    return "difference" if kinds else "no difference"


def _history(base: EntityDoc, head: EntityDoc) -> ItemHistory:
    revisions = [
        Revision(id=n, time=_NOW, user="198.51.100.7", comment="/* undo:0||1|x */", doc=doc)
        for n, doc in ((2, head), (3, base), (4, head))
    ]
    return ItemHistory(
        base=base, base_revision=1, head=head, revisions=revisions, base_day=dt.date(2021, 12, 1)
    )


def _side(rng: random.Random, *docs: EntityDoc) -> SideFacts:
    """Side knowledge in which the items themselves stand for what they name."""
    found = {
        value: rng.choice(docs) for d in docs for value in d.items(*d.claims) if rng.random() < 0.5
    }
    return SideFacts(found, {"Q5": "Q5"})


# -- events --------------------------------------------------------------------------------------


def _events() -> list[dict[str, Any]]:
    log = EventLog(Archive(story()))
    told = [e for e in log.entries if e.edit is not None]
    canaries = [e for e in log.entries if e.edit is None][:3]
    found = [orjson.loads(log.event(entry)) for entry in (*told, *canaries)]
    paths = recorded("events/page_change*.json", "events/recentchange-canary*.json")
    return found + [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _event(rng: random.Random, corpus: list[dict[str, Any]]) -> str:
    bad: Any = copy.deepcopy(rng.choice(corpus))
    for _ in range(rng.randrange(1, 4)):
        bad = _mutated(rng, bad)
    text = json.dumps(bad)
    if rng.random() < 0.15:
        text = text[: rng.randrange(len(text) + 1)]
    ident: Any = json.loads(event_id(rng.randrange(10**13)))
    if rng.random() < 0.5:
        ident = _mutated(rng, ident)
    event_time(json.dumps(ident))
    rewound(json.dumps(ident), 300.0)
    found = read_message(text, StreamSettings())
    return "change" if isinstance(found, PageChange) else str(found)


# -- mutations -----------------------------------------------------------------------------------


def _mutated(rng: random.Random, tree: Any) -> Any:
    """The tree with one place of it removed, doubled, or replaced by something odd."""
    place, key = _somewhere(rng, tree)
    if place is None:
        return rng.choice(_ODD)
    match rng.randrange(5):
        case 0:
            del place[key]
        case 1 if isinstance(place, list):
            place.append(copy.deepcopy(place[key]))
        case 2 if isinstance(place[key], str) and place[key]:
            text = place[key]
            at = rng.randrange(len(text))
            place[key] = text[:at] + rng.choice("-+0Q\x00é9 ") + text[at + 1 :]
        case 3 if isinstance(place[key], int) and not isinstance(place[key], bool):
            place[key] = place[key] * rng.choice((-1, 0, 10**9)) + rng.choice((-1, 0, 1))
        case _:
            place[key] = copy.deepcopy(rng.choice(_ODD))
    return tree


def _somewhere(rng: random.Random, tree: Any) -> tuple[Any, Any]:
    """A container and a key of it, anywhere in the tree; nothing where there is none."""
    place, key = None, None
    while isinstance(tree, dict | list) and tree:
        key = rng.choice(list(tree)) if isinstance(tree, dict) else rng.randrange(len(tree))
        place = tree
        if rng.random() < 0.15:
            break
        tree = tree[key]
    return place, key
