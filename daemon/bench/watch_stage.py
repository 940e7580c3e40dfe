"""A stage for the benches of the watch: items and edits of their own, served as Wikidata serves.

Owns putting items and edits together into a scenario of the local Wikidata, and an `ActionApi` that
speaks to it without a socket. What is edited is decided by the benches.
"""

from __future__ import annotations

import copy
import datetime as dt
import random
from collections.abc import Callable, Sequence

import httpx

from agents.wikidata.api import ActionApi
from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.editors import Cast, Editor
from daemon.demo.wikidata.edits import EditKind, Kind, Step, Truth
from daemon.demo.wikidata.scenario import Scenario
from daemon.demo.wikidata.server import LocalWikidata
from daemon.demo.wikidata.snaks import Json
from daemon.demo.wikidata.timeline import Timeline, initial_edits
from knowledge.facts import Date
from knowledge.world import World

AGENT = "almanac-bench/1.0 (https://almanac.example; bench@almanac.example)"
HUMAN = "Q5"

Change = Callable[[Json], None]


class Stage:
    """Items before `start`, and edits after it. Times of edits are aware."""

    def __init__(self, start: dt.datetime, seed: str) -> None:
        self.start = start
        self.rng = random.Random(seed)
        self.cast = Cast(random.Random(f"{seed}:cast"), start)
        self._seed = seed
        self._items: dict[str, Json] = {}
        self._steps: list[Step] = []
        self._stories = 0
        self._guids = 0

    def item(self, item: str, label: str, kind: str) -> Json:
        """The item, made if it is not there yet. `kind` is the item id of its class."""
        if item not in self._items:
            made = snaks.item(item)
            made["labels"] = {"en": snaks.term("en", label)}
            self._items[item] = made
            made["claims"]["P31"] = [self.statement(item, "P31", kind)]
        return self._items[item]

    def statement(
        self,
        item: str,
        property_id: str,
        value: str,
        *,
        start: Date | None = None,
        end: Date | None = None,
        rank: str = "normal",
    ) -> Json:
        """A statement of an item value with its dates."""
        self._guids += 1
        dated = [snaks.time_snak(p, d) for p, d in (("P580", start), ("P582", end)) if d]
        return snaks.statement(
            f"{item}$00000000-0000-4000-8000-{self._guids:012x}",
            snaks.item_snak(property_id, value),
            rank=rank,
            qualifiers=tuple(dated),
        )

    def has(self, item: str, *statements: Json) -> None:
        """Statements that the item has before the first edit."""
        for made in statements:
            property_id = made["mainsnak"]["property"]
            self._items[item]["claims"].setdefault(property_id, []).append(made)

    def story(self) -> Truth:
        self._stories += 1
        return Truth(kind=Kind.SUCCESSION, slot=None, story=self._stories)

    def edit(
        self,
        at: dt.datetime,
        item: str,
        comment: str,
        change: Change | None,
        *,
        by: Editor | None = None,
        truth: Truth | None = None,
        restores: int | None = None,
        redirect: str | None = None,
        kind: EditKind = EditKind.EDIT,
        tags: tuple[str, ...] = (),
    ) -> None:
        """Plan one edit; with `restores` it brings back the text after so many edits of `truth`."""
        self._steps.append(
            Step(
                at=int((at - self.start).total_seconds()),
                item=item,
                editor=by or self.cast.regular(),
                comment=comment,
                truth=truth or self.story(),
                change=change,
                restores=restores,
                redirect=redirect,
                kind=kind,
                tags=tags,
            )
        )

    def undo(self, at: dt.datetime, item: str, truth: Truth) -> None:
        """Bring back what the item was before the story of `truth`."""
        comment = "Reverted edits by {bad_user} to last revision by {good_user}"
        self.edit(
            at,
            item,
            comment,
            None,
            by=self.cast.patroller(),
            truth=truth,
            restores=0,
            tags=("mw-rollback",),
        )

    def scenario(self, end: dt.datetime) -> Scenario:
        """Everything that was planned, as the local Wikidata serves it."""
        initial = initial_edits(self._items, self.cast.regulars, self.start, self._seed)
        edits = Timeline(initial, self.start, self._seed).apply(self._steps)
        return Scenario(
            seed=self._seed,
            start=self.start,
            end=end,
            initial=initial,
            edits=edits,
            successions=(),
            expected={},
            patterns={},
            begun={},
            world=World([]),
        )


def served(scenario: Scenario) -> tuple[LocalWikidata, ActionApi]:
    """A local Wikidata in this process and a client of it; its clock is set by hand."""
    wikidata = LocalWikidata(scenario, None)
    transport = httpx.ASGITransport(app=wikidata.app())
    client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
    return wikidata, ActionApi("http://127.0.0.1/w/api.php", user_agent=AGENT, client=client)


def set_qualifier(property_id: str, guid: str, snak: Json) -> Change:
    """An edit of one statement: it gets the qualifier."""
    return _on(property_id, guid, lambda made: snaks.set_qualifier(made, snak))


def set_rank(property_id: str, guid: str, rank: str) -> Change:
    return _on(property_id, guid, lambda made: made.update(rank=rank))


def set_value(property_id: str, guid: str, value: str) -> Change:
    """Overwrite the value in place: the statement keeps its id and its qualifiers."""
    snak = snaks.item_snak(property_id, value)
    return _on(property_id, guid, lambda made: made.update(mainsnak=snak))


def add(*statements: Json) -> Change:
    def change(entity: Json) -> None:
        for made in statements:
            property_id = made["mainsnak"]["property"]
            entity["claims"].setdefault(property_id, []).append(copy.deepcopy(made))

    return change


def all_of(changes: Sequence[Change]) -> Change:
    def change(entity: Json) -> None:
        for one in changes:
            one(entity)

    return change


def _on(property_id: str, guid: str, work: Callable[[Json], None]) -> Change:
    def change(entity: Json) -> None:
        for made in entity["claims"].get(property_id, ()):
            if made["id"] == guid:
                work(made)

    return change
