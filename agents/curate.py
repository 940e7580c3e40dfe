"""The curate graph: from a settled change to a proposal that a reviewer can decide on.

Owns the order of the steps (ask, ground, draft, verify, judge, revise, look around, questions,
paraphrase, propose), their retries and timeouts within one run, and resuming a run that was cut.
The steps themselves are `agents.steps`. Does not review, store proposals, or retry over runs: the
caller commits the proposal and then calls `Curator.forget`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite
from langgraph.cache.base import BaseCache
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.errors import GraphDrained, NodeError, NodeTimeoutError
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import RunControl
from langgraph.types import CachePolicy, Command, RetryPolicy, TimeoutPolicy
from langsmith import tracing_context

from agents.drafting.draft import Drafter
from agents.drafting.paraphrase import Paraphraser
from agents.drafting.template import TemplateDrafter
from agents.errors import AgentError, Drained, Retryable
from agents.evidence.pointing import Pointers
from agents.evidence.sources import EvidenceSource, EvidenceStore
from agents.knowing import Probe, Production
from agents.proposals import Proposal
from agents.questions import Neighbours, NoNeighbours
from agents.steps import CurateState, Ports, Steps, findings_of, probe_of
from agents.verifying.verdict import Judge
from knowledge.codec import from_json, to_json
from knowledge.edits import Known
from knowledge.facts import FactChange

CACHE_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class CurateSettings:
    """Bounds of a run and of the runs beside it."""

    max_revisions: int = 3
    max_concurrent: int = 4
    neighbours: int = 3
    false_names: int = 1
    pointing: int = 2
    """Two-hop questions through items that point at the subject."""
    ground_timeout_s: float = 120.0
    draft_timeout_s: float = 600.0
    verify_timeout_s: float = 600.0
    node_attempts: int = 3
    first_pause_s: float = 0.5


class Curator:
    """Proposes an edit unit for a change. One instance serves many changes at once.

    The thread of a run is the key of its change, so a run that was cut goes on where it stood.
    """

    def __init__(
        self,
        *,
        evidence: EvidenceSource,
        store: EvidenceStore,
        checkpointer: BaseCheckpointSaver[Any],
        drafter: Drafter | None = None,
        judge: Judge | None = None,
        neighbours: Neighbours | None = None,
        production: Production | None = None,
        pointers: Pointers | None = None,
        paraphraser: Paraphraser | None = None,
        cache: BaseCache[Any] | None = None,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        settings: CurateSettings | None = None,
    ) -> None:
        """`cache` keeps the drafts of a drafter with a model behind it, by content; the template
        costs less than looking it up. Without `judge` the rules alone decide, without `production`
        no model is asked first, without `pointers` nothing is asked through items that point
        at the subject, nor the other way round, and without `paraphraser` all wordings are ours."""
        self._settings = settings or CurateSettings()
        self._drafts_cost = drafter is not None
        self._judged = judge is not None
        self._asks = production is not None
        self._looks, self._paraphrases = pointers is not None, paraphraser is not None
        self._cache = cache or InMemoryCache()
        ports = Ports(
            evidence=evidence,
            store=store,
            drafter=drafter or TemplateDrafter(),
            judge=judge,
            neighbours=neighbours or NoNeighbours(),
            production=production,
            pointers=pointers,
            paraphraser=paraphraser,
            clock=clock,
        )
        self._steps = Steps(
            ports,
            neighbours=self._settings.neighbours,
            false_names=self._settings.false_names,
            pointing=self._settings.pointing,
        )
        self._checkpointer = checkpointer
        self._slots = asyncio.Semaphore(self._settings.max_concurrent)
        self._running: set[RunControl] = set()
        self._graph = self._build().compile(
            checkpointer=checkpointer, cache=self._cache, name="curate"
        )

    async def propose(self, change: FactChange, *, version: int = 0) -> Proposal:
        """Run or resume the graph for a change. Another `version` is drafted anew.

        Raises Retryable or Permanent of a step whose retries are used up, and Drained after
        `drain`; either way the next call goes on from the last finished step.
        """
        config = self._config(change.key)
        text = to_json(change)
        async with self._slots:
            state = await self._graph.aget_state(config)
            resumes = bool(state.values) and (
                state.values.get("change") == text and state.values.get("version") == version
            )
            if state.values and not resumes:
                # the change was read again, or another draft is asked for: the run is of another
                await self.forget(change.key)
            elif resumes and not state.next and "proposal" in state.values:
                return from_json(Proposal, state.values["proposal"])
            start: CurateState | None = None
            if not resumes:
                start = {
                    "change": text,
                    "version": version,
                    "attempt": 0,
                    "drafts": [],
                    "steps": [],
                }
            control = RunControl()
            self._running.add(control)
            try:
                with tracing_context(enabled=False):
                    values = await self._graph.ainvoke(
                        start, config, durability="sync", control=control
                    )
            except GraphDrained as error:
                raise Drained(str(error)) from None
            finally:
                self._running.discard(control)
        return from_json(Proposal, values["proposal"])

    async def forget(self, change_key: str) -> None:
        """Delete the run of a change, once its proposal is committed (or to draft it anew)."""
        await self._checkpointer.adelete_thread(change_key)

    async def steps(self, change_key: str) -> list[dict[str, Any]]:
        """The stored steps of a run, first to last: `next` nodes and the state before them."""
        found = [
            {"next": list(s.next), "at": s.created_at, "state": dict(s.values)}
            async for s in self._graph.aget_state_history(self._config(change_key))
        ]
        return found[::-1]

    def drain(self, reason: str = "shutdown") -> None:
        """Ask every run to stop after the step that it is in."""
        for control in list(self._running):
            control.request_drain(reason)

    def _config(self, change_key: str) -> Any:
        return {"configurable": {"thread_id": change_key}, "recursion_limit": 40}

    def _build(self) -> StateGraph[CurateState]:
        settings, steps = self._settings, self._steps
        retry = RetryPolicy(
            initial_interval=settings.first_pause_s,
            max_attempts=settings.node_attempts,
            jitter=False,
            retry_on=Retryable,
        )
        kept = CachePolicy(key_func=steps.draft_key, ttl=CACHE_DAYS * 86_400)
        graph: StateGraph[CurateState] = StateGraph(CurateState)

        def limit(seconds: float) -> TimeoutPolicy:
            return TimeoutPolicy(run_timeout=seconds)

        # Langgraph hands a handler the error too, which its annotation leaves out.
        unasked: Any = _unasked
        drafter_failed: Any = self._drafter_failed
        ground_s, model_s = settings.ground_timeout_s, settings.draft_timeout_s
        if self._asks:
            graph.add_node("ask", steps.ask, timeout=limit(ground_s), error_handler=unasked)
            graph.add_conditional_edges("ask", _after_ask, ["ground", "propose"])
        graph.add_node("ground", steps.ground, retry_policy=retry, timeout=limit(ground_s))
        graph.add_node(  # no retries: the chat has its own, and then the template steps in
            "draft",
            steps.draft,
            timeout=limit(model_s),
            cache_policy=kept if self._drafts_cost else None,
            error_handler=drafter_failed,
        )
        graph.add_node("verify", steps.verify, timeout=limit(ground_s))
        if self._judged:
            graph.add_node("judge", steps.judge, timeout=limit(settings.verify_timeout_s))
            graph.add_conditional_edges("judge", self._after_verdicts, ["revise", self._asking])
        graph.add_node("revise", steps.revise)
        if self._looks:
            unseen: Any = self._without("look_around", "questions")
            graph.add_node(
                "look_around",
                steps.look_around,
                retry_policy=retry,
                timeout=limit(ground_s),
                error_handler=unseen,
            )
            graph.add_edge("look_around", "questions")
        graph.add_node("questions", steps.questions, retry_policy=retry, timeout=limit(ground_s))
        if self._paraphrases:
            ours: Any = self._without("paraphrase", "propose")
            graph.add_node(
                "paraphrase", steps.paraphrase, timeout=limit(model_s), error_handler=ours
            )
            graph.add_edge("paraphrase", "propose")
        graph.add_node("propose", steps.propose, timeout=limit(ground_s))
        graph.add_edge(START, "ask" if self._asks else "ground")
        graph.add_conditional_edges("ground", _after_ground, ["draft", "propose"])
        graph.add_edge("draft", "verify")
        after_rules = ["revise", "judge" if self._judged else self._asking]
        graph.add_conditional_edges("verify", self._after_rules, after_rules)
        graph.add_edge("revise", "draft")
        graph.add_edge("questions", "paraphrase" if self._paraphrases else "propose")
        graph.add_edge("propose", END)
        return graph

    async def _drafter_failed(self, state: CurateState, error: NodeError) -> Command[str]:
        if not isinstance(error.error, (AgentError, NodeTimeoutError)):
            raise error.error  # a fault of ours is not to be papered over
        update = await self._steps.draft_again(state, error.error)
        return Command(update=update, goto="verify")

    def _after_rules(self, state: CurateState) -> str:
        """The judge sees what the rules pass, and the last draft whatever they say of it."""
        if findings_of(state) and state["attempt"] < self._settings.max_revisions:
            return "revise"
        return "judge" if self._judged else self._asking

    def _after_verdicts(self, state: CurateState) -> str:
        exhausted = state["attempt"] >= self._settings.max_revisions
        return self._asking if exhausted or not findings_of(state) else "revise"

    @property
    def _asking(self) -> str:
        """Where the making of questions begins."""
        return "look_around" if self._looks else "questions"

    def _without(self, step: str, then: str) -> Callable[..., Any]:
        """A handler for a step that only adds questions: they are left out, the record says why,
        and the edit goes on."""

        async def handler(state: CurateState, error: NodeError) -> Command[str]:
            if not isinstance(error.error, (AgentError, NodeTimeoutError)):
                raise error.error
            return Command(update=self._steps.left_out(state, step, error.error), goto=then)

        return handler


@asynccontextmanager
async def checkpoint_store(path: Path) -> AsyncIterator[AsyncSqliteSaver]:
    """The checkpoint file of the curate graph. A power cut may cost its last commits: a run can be
    made again, unlike the ledger, so `synchronous=NORMAL` is enough."""
    async with aiosqlite.connect(path) as connection:
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=NORMAL")
        await connection.execute("PRAGMA busy_timeout=10000")
        saver = AsyncSqliteSaver(connection)
        await saver.setup()
        yield saver


def stored_steps(
    store: AbstractAsyncContextManager[BaseCheckpointSaver[Any]], change_key: str
) -> tuple[dict[str, Any], ...]:
    """The steps that a run has finished so far, out of its checkpoint store; none when there is no
    such run. Blocking, and safe beside a process that is at work on the store."""

    async def read() -> tuple[dict[str, Any], ...]:
        async with store as saver:
            found = await saver.aget_tuple({"configurable": {"thread_id": change_key}})
            return tuple(found.checkpoint["channel_values"].get("steps", ())) if found else ()

    return asyncio.run(read())


async def _unasked(state: CurateState, error: NodeError) -> Command[str]:
    """A model that takes too long to answer is not asked; the edit goes on."""
    if not isinstance(error.error, NodeTimeoutError):
        raise error.error
    found = Probe(known=Known.UNASKED, reason=f"{type(error.error).__name__}: {error.error}")
    return Command(update={"probe": to_json(found)}, goto="ground")


def _after_ask(state: CurateState) -> str:
    """What production says already needs no evidence and no draft."""
    return "propose" if probe_of(state).known is Known.NEW else "ground"


def _after_ground(state: CurateState) -> str:
    """A change with nothing to teach, or with labels that are no names, is never drafted."""
    return "propose" if findings_of(state) else "draft"
