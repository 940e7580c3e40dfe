"""The curate graph: from a settled change to a proposal that a reviewer can decide on.

Owns the order of the steps (ground, draft, verify, revise, questions, propose), their retries and
timeouts within one run, and resuming a run that was cut. Does not review, store proposals, or retry
over runs: the caller commits the proposal and then calls `Curator.forget`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NotRequired, TypedDict

# Both are read while langgraph is imported; nothing of a run may leave the machine unasked, and a
# checkpoint file must not be able to name classes to load.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
os.environ.setdefault("LANGSMITH_TRACING", "false")

import aiosqlite
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import RunControl
from langgraph.types import RetryPolicy, TimeoutPolicy
from langsmith import tracing_context

from agents.drafting.draft import Drafter, DraftRequest
from agents.drafting.template import TemplateDrafter
from agents.errors import AgentError, Retryable
from agents.evidence.extract import Extraction, extract
from agents.evidence.sources import Dossier, EvidenceSource, EvidenceStore
from agents.proposals import VACANT, Proposal, dated, lineage_of, withheld
from agents.questions import (
    Neighbours,
    NoNeighbours,
    build_questions,
    build_unit,
    false_names,
    hops_of,
)
from agents.verifying.rules import RuleVerifier, check, label_findings
from agents.verifying.verdict import Finding, Verifier
from knowledge.codec import from_json, to_json
from knowledge.facts import FactChange
from knowledge.narrative import CausalNarrative
from knowledge.questions import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class CurateSettings:
    """Bounds of a run and of the runs beside it."""

    max_revisions: int = 3
    max_concurrent: int = 4
    neighbours: int = 3
    false_names: int = 1
    ground_timeout_s: float = 120.0
    draft_timeout_s: float = 600.0
    verify_timeout_s: float = 600.0
    node_attempts: int = 3
    first_pause_s: float = 0.5


class CurateState(TypedDict):
    """What is kept between the steps: JSON texts of the vocabulary, so that a checkpoint holds
    nothing but plain values."""

    change: str
    dossier: NotRequired[str]
    extraction: NotRequired[str]
    narrative: NotRequired[str]
    findings: NotRequired[list[str]]
    attempt: int
    drafts: list[dict[str, str]]
    questions: NotRequired[str]
    proposal: NotRequired[str]


Update = dict[str, Any]
"""What a step changes of the state."""


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
        verifier: Verifier | None = None,
        neighbours: Neighbours | None = None,
        settings: CurateSettings | None = None,
    ) -> None:
        self._evidence = evidence
        self._store = store
        self._drafter = drafter or TemplateDrafter()
        self._fallback = TemplateDrafter()
        self._verifier = verifier or RuleVerifier()
        self._neighbours = neighbours or NoNeighbours()
        self._settings = settings or CurateSettings()
        self._checkpointer = checkpointer
        self._slots = asyncio.Semaphore(self._settings.max_concurrent)
        self._running: set[RunControl] = set()
        self._graph = self._build().compile(checkpointer=checkpointer, name="curate")

    async def propose(self, change: FactChange) -> Proposal:
        """Run or resume the graph for a change.

        Raises Retryable or Permanent of a step whose retries are used up, and langgraph's
        `GraphDrained` after `drain`; either way the next call goes on from the last finished step.
        """
        config = self._config(change.key)
        text = to_json(change)
        async with self._slots:
            state = await self._graph.aget_state(config)
            if state.values and state.values.get("change") != text:
                await self.forget(
                    change.key
                )  # the change was re-read: the old run is of another one
            elif state.values and not state.next and "proposal" in state.values:
                return from_json(Proposal, state.values["proposal"])
            resumes = bool(state.values) and state.values.get("change") == text
            start: CurateState | None = (
                None if resumes else {"change": text, "attempt": 0, "drafts": []}
            )
            control = RunControl()
            self._running.add(control)
            try:
                with tracing_context(enabled=False):
                    values = await self._graph.ainvoke(
                        start, config, durability="sync", control=control
                    )
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
        settings = self._settings
        retry = RetryPolicy(
            initial_interval=settings.first_pause_s,
            max_attempts=settings.node_attempts,
            jitter=False,
            retry_on=Retryable,
        )
        graph: StateGraph[CurateState] = StateGraph(CurateState)
        steps = (
            ("ground", self._ground, settings.ground_timeout_s),
            ("draft", self._draft, settings.draft_timeout_s),
            ("verify", self._verify, settings.verify_timeout_s),
            ("revise", self._revise, settings.ground_timeout_s),
            ("questions", self._questions, settings.ground_timeout_s),
            ("propose", self._propose, settings.ground_timeout_s),
        )
        for name, step, limit_s in steps:
            graph.add_node(
                name, step, retry_policy=retry, timeout=TimeoutPolicy(run_timeout=limit_s)
            )
        graph.add_edge(START, "ground")
        graph.add_conditional_edges("ground", _after_ground, ["draft", "propose"])
        graph.add_edge("draft", "verify")
        graph.add_conditional_edges("verify", self._after_verify, ["revise", "questions"])
        graph.add_edge("revise", "draft")
        graph.add_edge("questions", "propose")
        graph.add_edge("propose", END)
        return graph

    # -- the steps -------------------------------------------------------------------------------

    async def _ground(self, state: CurateState) -> Update:
        """Fetch and store the evidence; read it under quarantine."""
        dossier = await self._evidence.gather(from_json(FactChange, state["change"]))
        extraction = extract(dossier)
        for evidence in dossier.evidence:
            await self._store.put(evidence)
        dossier = replace(dossier, change=dated(dossier.change, extraction))
        found = list(label_findings(dossier))
        if dossier.change.new is None:
            found.append(Finding(rule="vacant", message=VACANT))
        return {
            "dossier": to_json(dossier),
            "extraction": extraction.to_json(),
            "findings": [to_json(f) for f in found],
        }

    async def _draft(self, state: CurateState) -> Update:
        request = DraftRequest(
            change=_dossier(state).change,
            extraction=_extraction(state),
            findings=tuple(f.text for f in _findings(state)),
            attempt=state["attempt"],
        )
        try:
            draft = await self._drafter.draft(request)
            usage = dict(draft.usage)
        except AgentError as error:
            draft = await self._fallback.draft(request)
            usage = {**draft.usage, "fallback": f"{type(error).__name__}: {error}"}
        return {
            "narrative": to_json(draft.narrative),
            "drafts": [*state["drafts"], usage],
        }

    async def _verify(self, state: CurateState) -> Update:
        narrative = _narrative(state)
        dossier, extraction = _dossier(state), _extraction(state)
        try:
            found = await self._verifier.verify(narrative, dossier, extraction)
        except AgentError as error:  # a missing second verdict is shown, never taken for a yes
            missing = Finding(
                rule="entailment", message=f"no second verdict: {error}", source="model"
            )
            found = (*check(narrative, dossier, extraction), missing)
        return {"findings": [to_json(f) for f in found]}

    def _after_verify(self, state: CurateState) -> str:
        exhausted = state["attempt"] >= self._settings.max_revisions
        return "questions" if exhausted or not _findings(state) else "revise"

    async def _revise(self, state: CurateState) -> Update:
        return {"attempt": state["attempt"] + 1}

    async def _questions(self, state: CurateState) -> Update:
        dossier, settings = _dossier(state), self._settings
        change = dossier.change
        found = await self._neighbours.neighbours(
            change.property, change.subject, settings.neighbours
        )
        questions = build_questions(
            change,
            _narrative(state),
            hops_of(dossier),
            found,
            false_names(change, found, settings.false_names),
        )
        return {"questions": to_json(questions, tuple[Question, ...])}

    async def _propose(self, state: CurateState) -> Update:
        dossier, findings = _dossier(state), _findings(state)
        if "narrative" in state and "questions" in state:
            narrative = _narrative(state)
            questions = from_json(tuple[Question, ...], state["questions"])
            unit = build_unit(dossier.change, narrative, questions)
        else:
            unit = build_unit(withheld(dossier.change, findings), None, ())
        proposal = Proposal(
            unit=unit,
            findings=findings,
            evidence=dossier.evidence,
            lineage=lineage_of(state["drafts"], dossier, _extraction(state)),
            facts=_extraction(state).facts,
        )
        return {"proposal": to_json(proposal)}


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


def _after_ground(state: CurateState) -> str:
    """A change with nothing to teach, or with labels that are no names, is never drafted."""
    return "propose" if _findings(state) else "draft"


def _dossier(state: CurateState) -> Dossier:
    return from_json(Dossier, state.get("dossier", ""))


def _narrative(state: CurateState) -> CausalNarrative:
    return from_json(CausalNarrative, state.get("narrative", ""))


def _extraction(state: CurateState) -> Extraction:
    return Extraction.from_json(state.get("extraction", ""))


def _findings(state: CurateState) -> tuple[Finding, ...]:
    return tuple(from_json(Finding, text) for text in state.get("findings", []))
