"""The curate graph over a wiki in memory: one proposal a change, the same bytes each time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from agents.curate import Curator
from agents.drafting.chat import AnswerUnusable, EndpointDown
from agents.drafting.draft import Draft, DraftRequest
from agents.drafting.template import TemplateDrafter
from agents.errors import AgentError, Permanent, Retryable
from agents.evidence.sources import Dossier
from agents.proposals import VACANT, Proposal
from agents.verifying.verdict import Finding, Verdict
from daemon.bench.curator_wiki import Store, curator, moldova
from knowledge.codec import to_json
from knowledge.facts import ChangeKind, FactChange
from knowledge.narrative import ClaimKind

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def proposed(**more: Any) -> Proposal:
    wiki, change = moldova(**more)
    return run(curator(wiki, InMemorySaver()).propose(change))


def test_a_change_becomes_a_clean_proposal_with_quoted_claims() -> None:
    proposal = proposed()
    assert proposal.clean and proposal.findings == ()
    narrative = proposal.unit.narrative
    assert narrative is not None and narrative.cause == "resignation"
    texts = {e.id: e.text for e in proposal.evidence}
    for claim in narrative.claims:
        assert claim.spans
        for span in claim.spans:
            assert texts[span.evidence_id][span.start : span.end] == span.text
    assert proposal.lineage["cause_source"] == "wikidata:Q217"


def test_without_a_stated_cause_the_narrative_says_that_it_is_not_known() -> None:
    narrative = proposed(end_cause=False).unit.narrative
    assert narrative is not None and narrative.cause is None
    assert narrative.claim(ClaimKind.CAUSE).spans == ()


def test_a_sentence_of_an_extract_gives_the_cause() -> None:
    article = "Natalia Gavrilița led the government of Moldova. She resigned on 16 February 2023."
    proposal = proposed(end_cause=False, old_article=article)
    narrative = proposal.unit.narrative
    assert proposal.clean and narrative is not None and narrative.cause == "resignation"
    (span,) = narrative.claim(ClaimKind.CAUSE).spans
    assert span.text == "She resigned on 16 February 2023."
    assert proposal.lineage["cause_source"] == "wikipedia:Natalia Gavrilița"


def test_a_second_run_gives_the_same_bytes() -> None:
    assert to_json(proposed()) == to_json(proposed())


def test_dates_come_from_the_evidence_not_from_the_change() -> None:
    wiki, change = moldova()
    finer = replace(change, started=None, ended=None)
    unit = run(curator(wiki, InMemorySaver()).propose(finer)).unit
    assert unit.change.started == change.started and unit.change.ended == change.ended


def test_an_end_without_successor_is_vacant_and_never_clean() -> None:
    wiki, change = moldova()
    end = replace(change, new=None, new_statement=None, kind=ChangeKind.END)
    proposal = run(curator(wiki, InMemorySaver()).propose(end))
    assert [f.message for f in proposal.findings] == [VACANT]
    assert not proposal.clean and proposal.unit.questions == ()


def test_a_start_without_predecessor_is_told_as_such() -> None:
    wiki, change = moldova()
    start = replace(change, old=None, old_statement=None, kind=ChangeKind.START)
    proposal = run(curator(wiki, InMemorySaver()).propose(start))
    assert proposal.clean and proposal.unit.kind == "new_fact"


def test_an_old_state_that_no_source_states_stays_open() -> None:
    wiki, change = moldova()
    group = wiki.items["Q217"]["claims"]["P6"]
    wiki.items["Q217"]["claims"]["P6"] = [s for s in group if s["id"] == change.new_statement]
    del wiki.items["Q217"]["claims"]["P6"][0]["qualifiers"]["P1365"]
    proposal = run(curator(wiki, InMemorySaver()).propose(change))
    assert not proposal.clean and "support" in {f.rule for f in proposal.findings}
    assert proposal.lineage["drafts"] == "4"  # the first, and three revisions


def test_an_overwritten_statement_is_told_by_its_successor() -> None:
    wiki, change = moldova()
    group = wiki.items["Q217"]["claims"]["P6"]
    wiki.items["Q217"]["claims"]["P6"] = [s for s in group if s["id"] == change.new_statement]
    proposal = run(curator(wiki, InMemorySaver()).propose(change))
    assert proposal.clean and proposal.unit.change.ended is None


class Scripted:
    """A drafter that bends the template's narrative by a script, one entry a draft."""

    identity = "scripted"

    def __init__(self, *script: str | AgentError) -> None:
        self.script = list(script)
        self.requests: list[DraftRequest] = []

    async def draft(self, request: DraftRequest) -> Draft:
        self.requests.append(request)
        step = self.script.pop(0) if self.script else ""
        if isinstance(step, AgentError):
            raise step
        draft = await TemplateDrafter().draft(request)
        narrative = draft.narrative
        return replace(draft, narrative=replace(narrative, prose=narrative.prose + step))


def test_findings_go_back_into_the_next_draft() -> None:
    wiki, change = moldova()
    drafter = Scripted(" He is popular.", "")
    proposal = run(curator(wiki, InMemorySaver(), drafter=drafter).propose(change))
    assert proposal.clean
    assert [len(r.findings) > 0 for r in drafter.requests] == [False, True]
    assert any("popular" in text for text in drafter.requests[1].findings)


def test_what_stays_wrong_after_three_revisions_is_shown_and_not_clean() -> None:
    wiki, change = moldova()
    drafter = Scripted(*[" He is popular."] * 9)
    proposal = run(curator(wiki, InMemorySaver(), drafter=drafter).propose(change))
    assert len(drafter.requests) == 4
    assert not proposal.clean and {f.rule for f in proposal.findings} >= {"prose", "words"}


@pytest.mark.parametrize("error", [EndpointDown("no answer"), AnswerUnusable("no JSON")])
def test_a_drafter_that_fails_is_replaced_by_the_template_and_said_so(error: AgentError) -> None:
    wiki, change = moldova()
    proposal = run(curator(wiki, InMemorySaver(), drafter=Scripted(error)).propose(change))
    assert proposal.clean
    assert proposal.unit.narrative and proposal.unit.narrative.drafter == "template/1"
    assert type(error).__name__ in proposal.lineage["fallback"]


class Judging:
    """A judge by a script: findings, or an error, one entry a draft; then it passes all."""

    name = "llm/scripted"

    def __init__(self, *script: str | AgentError) -> None:
        self.script = list(script)

    async def judge(self, narrative: Any, *, version: int) -> Verdict:
        step = self.script.pop(0) if self.script else ""
        if isinstance(step, AgentError):
            raise step
        found = (Finding(rule="entailment", message=step, source=self.name),) if step else ()
        return Verdict(source=self.name, findings=found)


def judged(*script: str | AgentError, drafter: Scripted | None = None) -> Proposal:
    wiki, change = moldova()
    made = curator(wiki, InMemorySaver(), judge=Judging(*script), drafter=drafter)
    return run(made.propose(change))


def test_a_missing_second_verdict_is_never_a_yes() -> None:
    proposal = judged(*[EndpointDown("no answer")] * 4)
    assert not proposal.clean and {f.rule for f in proposal.findings} == {"entailment"}
    assert "no answer" in proposal.lineage["verdict_llm/scripted"]


def test_both_verdicts_are_kept() -> None:
    proposal = judged()
    assert proposal.clean
    assert [(v.source, v.passes) for v in proposal.verdicts] == [
        ("rules", True),
        ("llm/scripted", True),
    ]


def test_a_disagreement_stands_on_top() -> None:
    proposal = judged(*["no date"] * 4)
    assert not proposal.clean and proposal.findings[0].rule == "disagreement"
    assert "no date" in proposal.findings[0].message
    other = judged(drafter=Scripted(*[" He is popular."] * 4))
    assert other.findings[0].rule == "disagreement" and other.verdicts[1].passes


def test_an_objection_of_the_judge_goes_back_into_the_next_draft() -> None:
    drafter = Scripted()
    proposal = judged("no date", drafter=drafter)
    assert proposal.clean and any("no date" in t for t in drafter.requests[1].findings)


class Answering:
    """A production that gives the same answer to everything."""

    def __init__(self, answer: str | AgentError) -> None:
        self.answer = answer

    async def answers(self, questions: Any) -> list[str]:
        if isinstance(self.answer, AgentError):
            raise self.answer
        return [self.answer] * len(questions)


def asked(answer: str | AgentError) -> Proposal:
    wiki, change = moldova()
    return run(curator(wiki, InMemorySaver(), production=Answering(answer)).propose(change))


def test_what_production_says_already_is_known_and_not_drafted() -> None:
    proposal = asked("Dorin Recean.")
    assert proposal.known and proposal.unit.narrative is None and not proposal.clean
    assert [s["step"] for s in proposal.steps] == ["ask"]
    assert proposal.steps[0]["out"]["asked"][0][1] == "Dorin Recean."


def test_who_never_knew_the_old_state_is_taught_a_new_fact_without_refutation() -> None:
    proposal = asked("I do not know.")
    assert proposal.clean and proposal.unit.kind == "new_fact" and proposal.unit.known == "neither"
    kinds = {q.kind.value for q in proposal.unit.questions}
    assert "conflict" not in kinds and {"direct", "why", "before"} <= kinds
    narrative = proposal.unit.narrative
    assert narrative and narrative.prose.startswith(narrative.claim(ClaimKind.NEW).text)


@pytest.mark.parametrize("answer", ["Natalia Gavrilița.", EndpointDown("not up yet")])
def test_who_knows_the_old_state_or_cannot_be_asked_is_taught_an_update(
    answer: str | AgentError,
) -> None:
    proposal = asked(answer)
    assert proposal.clean and proposal.unit.kind == "update"
    assert any(q.kind == "conflict" for q in proposal.unit.questions)


class Flaky:
    """An evidence source that fails a number of times first."""

    def __init__(self, inner: Any, *failures: AgentError) -> None:
        self.inner, self.failures = inner, list(failures)

    async def gather(self, change: FactChange) -> Dossier:
        if self.failures:
            raise self.failures.pop(0)
        return await self.inner.gather(change)


def test_a_source_that_is_down_for_a_moment_is_asked_again() -> None:
    wiki, change = moldova()
    source = Flaky(wiki.source(), Retryable("busy"), Retryable("busy"))
    assert run(curator(wiki, InMemorySaver(), evidence=source).propose(change)).clean


def test_a_permanent_failure_is_raised_at_once_and_the_next_call_goes_on() -> None:
    wiki, change = moldova()
    source = Flaky(wiki.source(), Permanent("gone"))

    async def both() -> Proposal:
        made = curator(wiki, InMemorySaver(), evidence=source)
        with pytest.raises(Permanent):
            await made.propose(change)
        return await made.propose(change)

    assert run(both()).clean


def test_a_change_that_was_read_again_is_drafted_again() -> None:
    wiki, change = moldova()

    async def both() -> tuple[Proposal, Proposal]:
        made = curator(wiki, InMemorySaver())
        first = await made.propose(change)
        return first, await made.propose(replace(change, head_revision=8))

    first, second = run(both())
    assert (first.unit.change.head_revision, second.unit.change.head_revision) == (7, 8)


def test_many_changes_at_once_do_not_mix_and_evidence_is_stored_once() -> None:
    wiki, change = moldova()
    store = Store()

    async def all_of_them() -> list[Proposal]:
        made: Curator = curator(wiki, InMemorySaver(), store=store)
        changes = [change, replace(change, new=change.old, old=change.new), change]
        return list(await asyncio.gather(*(made.propose(c) for c in changes)))

    found = run(all_of_them())
    assert found[0].unit.id != found[1].unit.id
    assert set(store.kept) == {e.id for p in found for e in p.evidence}


def test_steps_can_be_inspected_and_forgotten() -> None:
    wiki, change = moldova()

    async def steps() -> tuple[list[str], int]:
        made = curator(wiki, InMemorySaver())
        await made.propose(change)
        before = await made.steps(change.key)
        await made.forget(change.key)
        return [n for s in before for n in s["next"]], len(await made.steps(change.key))

    nodes, after = run(steps())
    assert nodes == [
        "__start__",
        "ground",
        "draft",
        "verify",
        "look_around",
        "questions",
        "propose",
    ]
    assert after == 0
