"""The steps of the curate graph: what each one reads of the state, does, and leaves behind.

Owns the state of a run and its steps. Their order, retries and time limits are `agents.curate`'s.
Each step leaves a record of what went in and came out, which is stored with the proposal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NotRequired, TypedDict

from agents.drafting.draft import Drafter, DraftRequest
from agents.drafting.paraphrase import Paraphraser
from agents.drafting.template import TemplateDrafter
from agents.errors import AgentError
from agents.evidence.extract import Extraction, extract
from agents.evidence.pointing import Pointers
from agents.evidence.sources import Dossier, EvidenceSource, EvidenceStore
from agents.knowing import Probe, Production, probe
from agents.proposals import VACANT, Proposal, dated, lineage_of, withheld
from agents.questions import (
    HopWithLegacy,
    Neighbours,
    build_questions,
    build_unit,
    can_be_turned_round,
    false_names,
    has_one_subject,
    hops_of,
    pointing_hops,
    story_of_change,
)
from agents.verifying.rules import check, label_findings
from agents.verifying.verdict import RULES, Finding, Judge, Verdict, disagreement
from knowledge.codec import from_json, to_data, to_json
from knowledge.edits import Known
from knowledge.facts import FactChange
from knowledge.narrative import CausalNarrative, digest_of
from knowledge.questions import Question
from knowledge.rendering import HOP_POINTING


class CurateState(TypedDict):
    """What is kept between the steps: JSON texts of the vocabulary, so that a checkpoint holds
    nothing but plain values."""

    change: str
    version: int
    probe: NotRequired[str]
    dossier: NotRequired[str]
    extraction: NotRequired[str]
    narrative: NotRequired[str]
    around: NotRequired[str]
    findings: NotRequired[list[str]]
    verdicts: NotRequired[list[str]]
    attempt: int
    drafts: list[dict[str, str]]
    questions: NotRequired[str]
    paraphrasing: NotRequired[dict[str, str]]
    proposal: NotRequired[str]
    steps: list[dict[str, Any]]


Update = dict[str, Any]
"""What a step changes of the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All that the steps talk to."""

    evidence: EvidenceSource
    store: EvidenceStore
    drafter: Drafter
    neighbours: Neighbours
    clock: Callable[[], dt.datetime]
    judge: Judge | None = None
    production: Production | None = None
    pointers: Pointers | None = None
    paraphraser: Paraphraser | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What items that point at the subject and at the new object let one ask."""

    hops: tuple[HopWithLegacy, ...] = ()
    turned: bool = False
    """The new object has one subject: the question can be turned round."""


class Steps:
    """The steps over their ports. Pure but for the ports."""

    def __init__(
        self, ports: Ports, *, neighbours: int, false_names: int, pointing: int = 0
    ) -> None:
        self._ports = ports
        self._fallback = TemplateDrafter()
        self._neighbours = neighbours
        self._false_names = false_names
        self._pointing = pointing

    async def ask(self, state: CurateState) -> Update:
        """Ask the model in production what it knows of the fact. A model that cannot be asked
        leaves the matter open, with the reason."""
        assert self._ports.production is not None
        try:
            found = await probe(self._ports.production, from_json(FactChange, state["change"]))
        except AgentError as error:
            found = Probe(known=Known.UNASKED, reason=str(error))
        record = {"known": found.known.value, "asked": found.asked, "reason": found.reason}
        return {"probe": to_json(found), **self._record(state, "ask", {}, record)}

    async def ground(self, state: CurateState) -> Update:
        """Fetch and store the evidence; read it under quarantine."""
        dossier = await self._ports.evidence.gather(from_json(FactChange, state["change"]))
        extraction = extract(dossier)
        await self._ports.store.put(*dossier.evidence)
        dossier = replace(dossier, change=dated(dossier.change, extraction))
        found = list(label_findings(dossier))
        if dossier.change.new is None:
            found.append(Finding(rule="vacant", message=VACANT))
        given = {"change": dossier.change.key}
        left = {
            "evidence": [{"id": e.id, "source": e.source, "url": e.url} for e in dossier.evidence],
            "not_fetched": list(dossier.not_fetched),
            "facts": [f.model_dump(mode="json", exclude={"span"}) for f in extraction.facts],
            "findings": [f.text for f in found],
        }
        return {
            "dossier": to_json(dossier),
            "extraction": extraction.to_json(),
            "findings": [to_json(f) for f in found],
            **self._record(state, "ground", given, left),
        }

    async def draft(self, state: CurateState) -> Update:
        """Raises AgentError when the drafter has no usable answer; `draft_again` follows."""
        request = _request(state)
        draft = await self._ports.drafter.draft(request)
        return self._drafted(state, request, draft.narrative, draft.usage)

    async def draft_again(self, state: CurateState, error: BaseException) -> Update:
        """The template in the place of a drafter that failed; the lineage says so."""
        request = _request(state)
        draft = await self._fallback.draft(request)
        told = {"fallback": f"{type(error).__name__}: {error}"}
        return self._drafted(state, request, draft.narrative, {**draft.usage, **told})

    def draft_key(self, state: CurateState) -> str:
        """Identity of a draft by content: equal requests to equal drafters are answered alike."""
        return digest_of([self._ports.drafter.identity, to_data(_request(state))])

    async def verify(self, state: CurateState) -> Update:
        """The rules; they always run."""
        found = check(narrative_of(state), dossier_of(state), extraction_of(state))
        verdict = Verdict(source=RULES, findings=found)
        given = {"prose": narrative_of(state).prose}
        return {
            "findings": [to_json(f) for f in found],
            "verdicts": [to_json(verdict)],
            **self._record(state, "verify", given, {"findings": [f.text for f in found]}),
        }

    async def judge(self, state: CurateState) -> Update:
        """A model's verdict beside that of the rules. A missing one is shown, never taken for a
        yes."""
        judge = self._ports.judge
        assert judge is not None
        narrative = narrative_of(state)
        try:
            verdict = await judge.judge(narrative, version=100 * state["version"])
        except AgentError as error:
            verdict = Verdict(source=judge.name, missing=f"{type(error).__name__}: {error}")
        verdicts = [from_json(Verdict, t) for t in state.get("verdicts", [])]
        verdicts = [*verdicts, verdict]
        found = [*findings_of(state), *verdict.objections()]
        if apart := disagreement(verdicts):
            found = [apart, *found]
        left = {"verdict": verdict.told(), "findings": [f.text for f in verdict.objections()]}
        return {
            "findings": [to_json(f) for f in found],
            "verdicts": [to_json(v) for v in verdicts],
            **self._record(state, "judge", {"prose": narrative.prose}, left),
        }

    async def revise(self, state: CurateState) -> Update:
        given = {"findings": [f.text for f in findings_of(state)]}
        left = {"attempt": state["attempt"] + 1}
        return {**left, **self._record(state, "revise", given, left)}

    async def look_around(self, state: CurateState) -> Update:
        """Search for items that point at the subject and at the new object. Raises Retryable."""
        pointers, change = self._ports.pointers, dossier_of(state).change
        assert pointers is not None
        hops: tuple[HopWithLegacy, ...] = ()
        if self._pointing and change.new is not None:
            found = await pointers.pointing_at(change.subject.id, tuple(HOP_POINTING))
            hops = pointing_hops(change, found, self._pointing)
        turned = False
        if change.new is not None and can_be_turned_round(change):
            found = await pointers.pointing_at(change.new.id, (change.property,))
            turned = has_one_subject(change, found)
        left = {"hops": [hop.clue() for hop, _ in hops], "one_subject": turned}
        around = to_json(Around(hops=hops, turned=turned))
        return {"around": around, **self._record(state, "look_around", {}, left)}

    def left_out(self, state: CurateState, step: str, error: BaseException) -> Update:
        """The record of a step that was tried and left out; what it would add is not asked."""
        left = {"left_out": f"{type(error).__name__}: {error}"}
        return self._record(state, step, {}, left)

    async def questions(self, state: CurateState) -> Update:
        dossier = dossier_of(state)
        change = dossier.change
        around = from_json(Around, state["around"]) if "around" in state else Around()
        found = await self._ports.neighbours.neighbours(
            change.property, change.subject, self._neighbours
        )
        questions = build_questions(
            change,
            narrative_of(state),
            (*hops_of(dossier), *around.hops),
            found,
            false_names(change, found, self._false_names),
            known=probe_of(state).known,
            turned=around.turned,
        )
        counts: dict[str, int] = {}
        for question in questions:
            key = f"{question.use.value}/{question.kind.value}"
            counts[key] = counts.get(key, 0) + 1
        given = {"neighbours": [n.subject.label for n in found]}
        return {
            "questions": to_json(questions, tuple[Question, ...]),
            **self._record(state, "questions", given, counts),
        }

    async def paraphrase(self, state: CurateState) -> Update:
        """More wordings to train with, from a model. Raises AgentError when it has no usable
        answer."""
        paraphraser = self._ports.paraphraser
        assert paraphraser is not None
        asked = questions_of(state)
        story = story_of_change(dossier_of(state).change, narrative_of(state))
        found = await paraphraser.more(story, asked, version=state["version"])
        given = {"wanted": paraphraser.wanted}
        left = {"taken": [q.text for q in found.questions], "refused": list(found.refused)}
        return {
            "questions": to_json((*found.questions, *asked), tuple[Question, ...]),
            "paraphrasing": dict(found.usage),
            **self._record(state, "paraphrase", given, left),
        }

    async def propose(self, state: CurateState) -> Update:
        known = probe_of(state).known
        if known is Known.NEW:
            change = from_json(FactChange, state["change"])
            proposal = Proposal(
                unit=replace(build_unit(change, None, ()), known=known),
                findings=(),
                evidence=(),
                steps=tuple(state["steps"]),
            )
            return {"proposal": to_json(proposal)}
        dossier, findings = dossier_of(state), findings_of(state)
        if "narrative" in state and "questions" in state:
            unit = build_unit(dossier.change, narrative_of(state), questions_of(state), known=known)
        else:
            unit = build_unit(withheld(dossier.change, findings), None, (), known=known)
        verdicts = tuple(from_json(Verdict, text) for text in state.get("verdicts", []))
        proposal = Proposal(
            unit=unit,
            findings=findings,
            evidence=dossier.evidence,
            facts=extraction_of(state).facts,
            verdicts=verdicts,
            lineage=lineage_of(
                state["drafts"],
                dossier,
                extraction_of(state),
                verdicts,
                state.get("paraphrasing", {}),
            ),
            steps=tuple(state["steps"]),
        )
        return {"proposal": to_json(proposal)}

    def _drafted(
        self,
        state: CurateState,
        request: DraftRequest,
        narrative: CausalNarrative,
        usage: Mapping[str, str],
    ) -> Update:
        given = {
            "attempt": request.attempt,
            "facts": [f"{f.kind.value}: {f.value} {f.date}".strip() for f in request.facts],
            "findings": list(request.findings),
        }
        left = {claim.kind.value: claim.text for claim in narrative.claims}
        return {
            "narrative": to_json(narrative),
            "drafts": [*state["drafts"], dict(usage)],
            **self._record(state, "draft", given, {**left, "usage": dict(usage)}),
        }

    def _record(
        self, state: CurateState, step: str, given: Mapping[str, Any], left: Mapping[str, Any]
    ) -> Update:
        at = self._ports.clock().astimezone(dt.UTC).isoformat(timespec="milliseconds")
        one = {"step": step, "at": at, "in": dict(given), "out": dict(left)}
        return {"steps": [*state["steps"], one]}


def _request(state: CurateState) -> DraftRequest:
    return DraftRequest(
        change=dossier_of(state).change,
        extraction=extraction_of(state),
        findings=tuple(f.text for f in findings_of(state)),
        attempt=state["attempt"],
        version=state["version"],
        known=probe_of(state).known,
    )


def dossier_of(state: CurateState) -> Dossier:
    return from_json(Dossier, state.get("dossier", ""))


def narrative_of(state: CurateState) -> CausalNarrative:
    return from_json(CausalNarrative, state.get("narrative", ""))


def extraction_of(state: CurateState) -> Extraction:
    return Extraction.from_json(state.get("extraction", ""))


def findings_of(state: CurateState) -> tuple[Finding, ...]:
    return tuple(from_json(Finding, text) for text in state.get("findings", []))


def questions_of(state: CurateState) -> tuple[Question, ...]:
    return from_json(tuple[Question, ...], state.get("questions", ""))


def probe_of(state: CurateState) -> Probe:
    """What production knows; `unasked` in a graph that asks nobody."""
    stored = state.get("probe")
    return from_json(Probe, stored) if stored else Probe(known=Known.UNASKED)
