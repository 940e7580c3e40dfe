"""The watch: a scheduled LangGraph graph over a bounded batch of dirty items.

Owns the way of an item from a mark to a committed look: fetch, view, diff, classify, gate, emit.
Has no memory of its own: all that a later look needs is in the ledger (the item's base carries what
is still open). Does not listen to streams (`agents.wikidata.stream`) or draft (`curate`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypedDict

from agents.bulk import with_runs, without_dismissed
from agents.demands import Demands, with_demands
from agents.errors import Permanent, Retryable
from agents.ledger import Base, EditVerdict, ItemOutcome, WatchLedger
from agents.loading import loaded
from agents.looks import Look, alone, early, is_of_the_source, still_open, told, unknown
from agents.signals import Risks, relabelled, with_signals
from agents.surroundings import learn, survey
from agents.wikidata.api import Fetched, RecentChange
from agents.wikidata.classify import ItemHistory, classify_item
from agents.wikidata.editors import Profile
from agents.wikidata.entity import EntityDoc, base_document, parse_entity
from agents.wikidata.errors import BrokenAnswer
from agents.wikidata.gate import WatchSettings, accept, dismissals, gate, verdicts
from agents.wikidata.history import Revision
from agents.wikidata.memory import Memory
from agents.wikidata.reasoning import classify_explain
from agents.wikidata.side import STORED_HELPERS, SideFacts
from agents.wikidata.turnstile import WINDOW, Turnstile
from knowledge.facts import ChangeKind
from knowledge.properties import WATCHED

__all__ = ["Source", "WatchSettings", "Watcher"]

_STORED = (*WATCHED, *STORED_HELPERS)


class Source(Protocol):
    """What the watcher asks of Wikidata; `agents.wikidata.api.ActionApi` answers it."""

    async def entities(self, items: Iterable[str]) -> Fetched: ...

    async def history(
        self, item: str, after_revision: int, until_revision: int | None = None
    ) -> list[Revision]: ...

    def recentchanges(
        self, since: dt.datetime, until: dt.datetime, *, user: str | None = None
    ) -> AsyncIterator[RecentChange]: ...

    async def users(self, names: Iterable[str]) -> dict[str, Profile]: ...


class _Batch(TypedDict):
    items: list[str]
    looks: list[Look]
    facts: SideFacts
    handled: int


class Watcher:
    """Looks at dirty items and settles what has stood long enough.

    `clock` is the watcher's time, also that against which start and end dates are read. One
    instance may run one `reconcile` at a time."""

    def __init__(
        self,
        api: Source,
        ledger: WatchLedger,
        clock: Callable[[], dt.datetime],
        settings: WatchSettings | None = None,
        risks: Risks | None = None,
    ) -> None:
        self._api = api
        self._risks = risks
        self._ledger = ledger
        self._clock = clock
        self._settings = settings or WatchSettings()
        self._demands = Demands(api, clock)
        self._graph: Any = None

    async def reconcile(self, limit: int | None = None) -> int:
        """Look at up to `limit` items that are dirty or due; the number that were handled.

        Items that could not be judged stay dirty and are not counted. Raises Retryable when
        Wikidata cannot be asked at all."""
        await self._ledger.close_runs(self._clock(), self._settings.caps.sample)
        items = await self._ledger.dirty(limit or self._settings.batch, self._clock())
        if not items:
            return 0
        if self._graph is None:
            self._graph = await loaded(self._build)
        start: _Batch = {"items": items, "looks": [], "facts": SideFacts(), "handled": 0}
        done = await self._graph.ainvoke(start)
        return done["handled"]

    async def explain(self, item: str) -> list[str]:
        """The reasoning on one watched item as it stands now, without recording anything."""
        state: _Batch = {"items": [item], "looks": [], "facts": SideFacts(), "handled": 0}
        for step in (self._fetch, self._view, self._diff, self._classify):
            state |= await step(state)  # type: ignore[assignment]
        look = state["looks"][0]
        if look.history is None or look.judgement is None:
            return [f"{item}: {look.outcome.reason if look.outcome else 'nothing to explain'}"]
        properties, today = self._settings.properties, self._clock().date()
        return classify_explain(look.history, look.judgement, properties, today)

    def _build(self) -> Any:
        from langgraph.graph import END, START, StateGraph  # late: see `agents.loading`

        graph = StateGraph(_Batch)
        steps = {
            "fetch": self._fetch,
            "view": self._view,
            "diff": self._diff,
            "classify": self._classify,
            "gate": self._gate,
            "emit": self._emit,
        }
        previous = START
        for name, step in steps.items():
            graph.add_node(name, step)
            graph.add_edge(previous, name)
            previous = name
        graph.add_edge(previous, END)
        return graph.compile()

    async def _fetch(self, state: _Batch) -> dict[str, Any]:
        """Bases and candidates from the ledger, heads from Wikidata."""
        items = state["items"]
        bases = await self._ledger.bases(items)
        settling = await self._ledger.settling(items)
        fetched = await self._ask(items)
        looks = []
        for item in items:
            base = bases.get(item) or Base(item=item, revision=0, entity=None)
            waiting, head = settling.get(item, []), fetched.docs.get(item)
            look = Look(item, base, base.identity, waiting, head)
            await alone(look, partial(self._begin, fetched=fetched))
            looks.append(look)
        return {"looks": looks}

    async def _begin(self, look: Look, fetched: Fetched) -> None:
        """What is remembered of the item, and whether it is there at all."""
        look.memory = Memory.read(look.base.entity)
        if look.item in fetched.redirects:
            await self._merged(look, fetched.redirects[look.item])
        elif look.head is None:
            reason = fetched.broken.get(look.item, "no answer for the item")
            look.outcome = unknown(look.item, reason)
        elif look.head.missing:
            look.outcome = ItemOutcome(
                item=look.item,
                status="changed",
                deleted=True,
                stands_for=self._standing(look),
                reason="the item was deleted",
            )

    async def _ask(self, items: Sequence[str]) -> Fetched:
        """Heads of the items. One id that is refused, or that no answer is whole with, takes none
        of the others with it: they are asked for one at a time, and it comes back as broken.
        Raises when several were asked for and none is answered, because then it is not the ids
        that are at fault."""
        try:
            return await self._api.entities(items)
        except (Permanent, BrokenAnswer) as error:
            if len(items) == 1:
                return Fetched(broken={items[0]: str(error)})
            refusal = error
        found = Fetched()
        for item in items:
            try:
                single = await self._api.entities([item])
            except (Permanent, BrokenAnswer) as error:
                found.broken[item] = str(error)
                continue
            found.docs |= single.docs
            found.redirects |= single.redirects
            found.broken |= single.broken
        if all(item in found.broken for item in items):
            raise refusal
        return found

    async def _view(self, state: _Batch) -> dict[str, Any]:
        """The history between base and head, and both states as documents."""
        await asyncio.gather(*(alone(look, self._read) for look in still_open(state["looks"])))
        return {"looks": state["looks"]}

    async def _read(self, look: Look) -> None:
        now, head = self._clock(), look.head
        assert head is not None
        if look.base.entity is None:
            look.outcome = self._first(look, head, now)
            return
        try:
            base = parse_entity(look.base.entity, item=look.item)
            since = look.memory.since(look.base.revision)
            if head.revision > since:
                look.revisions = await self._api.history(look.item, since, head.revision)
        except (Permanent, Retryable) as error:
            look.outcome = unknown(look.item, str(error))
            return
        rests = self._rests_at(look)
        if rests is not None and rests > now:
            look.outcome = early(look.item, rests)
            return
        look.history = ItemHistory(
            base=base,
            base_revision=look.base.revision,
            head=head,
            revisions=tuple(look.revisions),
            starts=look.memory.starts,
            accepted_on=look.memory.days,
            base_day=look.memory.day or now.date(),
            emitted=look.memory.emitted,
            legacy=look.memory.legacy is not None,
        )

    async def _diff(self, state: _Batch) -> dict[str, Any]:
        """Other items that must be known to judge what differs: all at once, or, where that
        fails, for one look after the other."""
        facts, looks = SideFacts({}, {}), still_open(state["looks"])
        try:
            await self._survey(facts, looks)
        except Exception as error:
            if is_of_the_source(error):
                raise
            for look in looks:
                await alone(look, lambda one: self._survey(facts, [one]))
        return {"facts": facts}

    async def _survey(self, facts: SideFacts, looks: Sequence[Look]) -> None:
        histories = [look.history for look in looks if look.history is not None]
        await survey(self._api, facts, histories, self._settings.properties)

    async def _classify(self, state: _Batch) -> dict[str, Any]:
        for look in still_open(state["looks"]):
            await alone(look, partial(self._judge, facts=state["facts"]))
        return {"looks": state["looks"]}

    async def _judge(self, look: Look, facts: SideFacts) -> None:
        now, history = self._clock(), look.history
        assert history is not None
        judgement = classify_item(
            history,
            facts,
            now,
            properties=self._settings.properties,
            cutoff=look.memory.legacy or self._settings.cutoff,
        )
        bulk = self._settings.bulk_items
        judgement = await with_runs(history, judgement, look.settling, self._api, bulk)
        judgement = await with_demands(
            history, judgement, self._demands, facts, partial(learn, self._api), now.date()
        )
        judgement = await with_signals(history, judgement, self._api, self._risks)
        look.judgement = relabelled(judgement)

    async def _gate(self, state: _Batch) -> dict[str, Any]:
        now, looks = self._clock(), still_open(state["looks"])
        editors, runs = _at_work(looks)
        caps = self._settings.caps
        traffic = await self._ledger.traffic(editors, runs, now - WINDOW, caps.sample)
        turnstile = Turnstile(traffic, caps)

        async def pass_through(look: Look) -> None:
            assert look.judgement is not None
            look.judgement = relabelled(without_dismissed(look.judgement, traffic))
            look.outcome = self._outcome(look, now, turnstile)

        for look in looks:
            await alone(look, pass_through)
        return {"looks": state["looks"]}

    async def _emit(self, state: _Batch) -> dict[str, Any]:
        """Commit each look for itself; a crash in between loses nothing."""
        handled = 0
        for look in state["looks"]:
            assert look.outcome is not None
            outcome = replace(look.outcome, started_from=look.started_from)
            handled += await self._commit(outcome)
        return {"handled": handled}

    async def _commit(self, outcome: ItemOutcome) -> bool:
        """Whether something was judged and is stored. An outcome that cannot be stored is unknown;
        raises if not even that can be, because then it is the database's trouble."""
        try:
            await self._ledger.record(outcome)
        except Exception as error:
            await self._ledger.record(unknown(outcome.item, told(error)))
            return False
        return outcome.status in ("changed", "unchanged")

    def _outcome(self, look: Look, now: dt.datetime, turnstile: Turnstile) -> ItemOutcome:
        history, judgement, head = look.history, look.judgement, look.head
        assert history is not None and judgement is not None and head is not None
        result = gate(judgement, look.settling, now, self._settings, turnstile)
        accepted = accept(judgement, result, history, now, self._settings)
        found = dismissals(judgement, frozenset())
        memory = Memory(
            day=now.date(),
            starts=accepted.starts,
            days=accepted.days,
            emitted=accepted.emitted,
            told=tuple(sorted(found)),
            legacy=look.memory.legacy if accepted.starts else None,
        )
        differs = any(s.results for s in judgement.slots) or bool(result.candidates)
        return ItemOutcome(
            item=look.item,
            status="changed" if differs else "unchanged",
            base=Base(
                item=look.item,
                revision=head.revision,
                entity=base_document(head, _STORED, accepted.keep, memory.write()),
            ),
            edits=verdicts(look.item, judgement, result.settled_keys),
            candidates=result.candidates,
            dismissals=tuple(d for k, d in found.items() if k not in look.memory.told),
            runs=tuple(r.run for s in judgement.slots for r in s.results if r.run),
            look_again_at=accepted.wakes_at,
            reason=f"{len(judgement.edits)} edits, {len(result.candidates)} candidates moved",
        )

    def _first(self, look: Look, head: EntityDoc, now: dt.datetime) -> ItemOutcome:
        memory = Memory(day=now.date())
        return ItemOutcome(
            item=look.item,
            status="unchanged",
            base=Base(
                item=look.item,
                revision=head.revision,
                entity=base_document(head, _STORED, {}, memory.write()),
            ),
            reason="first look: this state is the base",
        )

    def _rests_at(self, look: Look) -> dt.datetime | None:
        """When the unseen edits may be looked at: some time after the last of them, but not longer
        after the first than anybody should wait for an item that never rests."""
        unseen = [r.time for r in look.revisions if r.id > look.base.revision]
        if not unseen:
            return None
        rest = dt.timedelta(minutes=self._settings.debounce_min)
        longest = dt.timedelta(minutes=self._settings.longest_wait_min)
        return min(max(unseen) + rest, min(unseen) + longest)

    def _standing(self, look: Look) -> dt.timedelta:
        """How long a merge or a deletion must stand; an item without a base has nothing to lose."""
        return dt.timedelta(hours=self._settings.gone_h if look.base.entity is not None else 0.0)

    async def _merged(self, look: Look, target: str) -> None:
        """The item is a redirect now: its last edits are the merge."""
        try:
            revisions = await self._api.history(look.item, look.base.revision)
        except (Permanent, Retryable) as error:
            look.outcome = unknown(look.item, str(error))
            return
        look.outcome = ItemOutcome(
            item=look.item,
            status="changed",
            edits=tuple(
                EditVerdict(
                    item=look.item,
                    revision=r.id,
                    time=r.time,
                    user=r.user,
                    kind=ChangeKind.MERGE,
                    kept=False,
                    reason=f"the item was merged into {target}",
                )
                for r in revisions
                if r.id > look.base.revision
            ),
            redirect_to=target,
            stands_for=self._standing(look),
            reason=f"merged into {target}",
        )


def _at_work(looks: Sequence[Look]) -> tuple[list[str], list[str]]:
    """Editors and bulk runs of the changes that go on."""
    found = [
        r
        for look in looks
        if look.judgement is not None
        for s in look.judgement.slots
        for r in s.results
        if r.goes_on
    ]
    return sorted({r.editor for r in found if r.editor}), sorted({r.run.id for r in found if r.run})
