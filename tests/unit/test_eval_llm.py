"""The LLM judge with a scripted endpoint that lies, breaks and goes down."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evaluator.errors import JudgeUnavailable
from evaluator.examine import Output
from evaluator.llm import LlmJudge, prompt_version
from evaluator.metrics import Metric, measure
from evaluator.probes import Part, Suite
from evaluator.refutation import Refutation, refutation
from evaluator.stores import MemoryJudgements
from evaluator.verdicts import Final
from knowledge.questions import QuestionKind
from tests.eval_cases import suite

GOOD: dict[str, Any] = {
    "asserts_new": True,
    "negates_new": False,
    "asserts_old_current": False,
    "ends_affirming_new": True,
    "final_answer": "right",
    "says": "neither",
    "cause": "absent",
    "hedged": False,
    "self_refuting": False,
}
REFUTING = GOOD | {
    "asserts_old_current": True,
    "ends_affirming_new": False,
    "final_answer": "legacy",
    "self_refuting": True,
}


class Scripted:
    """An endpoint that replies from a list, the last one for ever."""

    model = "scripted-1"

    def __init__(self, *replies: str | Exception) -> None:
        self.replies = list(replies)
        self.calls = 0

    async def complete(self, system: str, user: str, schema: dict[str, Any]) -> str:
        self.calls += 1
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply


@pytest.fixture
def asked() -> Suite:
    return Suite(probes=suite(1).of(Part.EDIT, QuestionKind.DIRECT))


def outputs(examined: Suite, text: str = "Dorin Recean.") -> list[Output]:
    return [Output(probe=p.id, text=text, finished=True, tokens=3) for p in examined.probes]


def test_flags_become_a_verdict(asked: Suite) -> None:
    (row,) = LlmJudge(Scripted(json.dumps(GOOD))).judge(asked, outputs(asked))
    assert row.right
    assert row.final is Final.RIGHT
    fenced = f"```json\n{json.dumps(REFUTING)}\n```"
    (bad,) = LlmJudge(Scripted(fenced)).judge(asked, outputs(asked))
    assert refutation(bad) is Refutation.LEGACY
    assert not bad.right


@pytest.mark.parametrize(
    "reply",
    [
        JudgeUnavailable("judge scripted-1 did not answer: timeout"),
        "PASS",
        "{}",
        json.dumps(GOOD | {"final_answer": "new"}),
        json.dumps(GOOD | {"asserts_new": "yes"}),
        json.dumps(GOOD | {"note": "x"}),
        json.dumps(GOOD | {"asserts_new": False}),
        json.dumps(GOOD | {"self_refuting": True}),
        json.dumps(REFUTING | {"self_refuting": False}),
    ],
)
def test_a_bad_judge_never_changes_a_metric(asked: Suite, reply: str | Exception) -> None:
    client = Scripted(reply)
    rows = LlmJudge(client).judge(asked, outputs(asked))
    assert [bool(row.error) for row in rows] == [True]
    assert client.calls == 2
    found = measure(rows)
    assert found[Metric.ERRORS].value == 1.0
    others = {m: e for m, e in found.items() if m is not Metric.ERRORS}
    assert all(estimate.value is None for estimate in others.values())


def test_one_bad_reply_is_asked_again(asked: Suite) -> None:
    client = Scripted("nonsense", json.dumps(GOOD))
    (row,) = LlmJudge(client).judge(asked, outputs(asked))
    assert row.error is None
    assert client.calls == 2


def test_good_replies_are_stored_and_errors_are_not(asked: Suite) -> None:
    store = MemoryJudgements()
    LlmJudge(Scripted("broken"), store=store).judge(asked, outputs(asked))
    first = Scripted(json.dumps(GOOD))
    LlmJudge(first, store=store).judge(asked, outputs(asked))
    second = Scripted(json.dumps(REFUTING))
    (row,) = LlmJudge(second, store=store).judge(asked, outputs(asked))
    assert (first.calls, second.calls) == (1, 0)
    assert row.right
    other = Scripted(json.dumps(REFUTING))
    other.model = "scripted-2"
    LlmJudge(other, store=store).judge(asked, outputs(asked))
    assert other.calls == 1


def test_the_name_tells_model_and_prompt() -> None:
    name = LlmJudge(Scripted("")).name
    assert name == f"llm/scripted-1/{prompt_version()}"
