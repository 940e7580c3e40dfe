"""The LLM judge with a scripted endpoint that lies, breaks and goes down."""

from __future__ import annotations

import json
from collections.abc import Callable
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


def unchecked(client: Scripted, **options: Any) -> LlmJudge:
    return LlmJudge(client, checked=0, **options)


@pytest.fixture
def asked() -> Suite:
    return Suite(probes=suite(1).of(Part.EDIT, QuestionKind.DIRECT))


def outputs(examined: Suite, text: str = "Dorin Recean.") -> list[Output]:
    return [Output(probe=p.id, text=text, finished=True, tokens=3) for p in examined.probes]


def test_flags_become_a_verdict(asked: Suite) -> None:
    (row,) = unchecked(Scripted(json.dumps(GOOD))).judge(asked, outputs(asked))
    assert row.right
    assert row.final is Final.RIGHT
    fenced = f"```json\n{json.dumps(REFUTING)}\n```"
    (bad,) = unchecked(Scripted(fenced)).judge(asked, outputs(asked))
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
    rows = unchecked(client).judge(asked, outputs(asked))
    assert [bool(row.error) for row in rows] == [True]
    assert client.calls == 2
    found = measure(rows)
    assert found[Metric.ERRORS].value == 1.0
    others = {m: e for m, e in found.items() if m is not Metric.ERRORS}
    assert all(estimate.value is None for estimate in others.values())


def test_one_bad_reply_is_asked_again(asked: Suite) -> None:
    client = Scripted("nonsense", json.dumps(GOOD))
    (row,) = unchecked(client).judge(asked, outputs(asked))
    assert row.error is None
    assert client.calls == 2


def test_good_replies_are_stored_and_errors_are_not(asked: Suite) -> None:
    store = MemoryJudgements()
    unchecked(Scripted("broken"), store=store).judge(asked, outputs(asked))
    first = Scripted(json.dumps(GOOD))
    unchecked(first, store=store).judge(asked, outputs(asked))
    second = Scripted(json.dumps(REFUTING))
    (row,) = unchecked(second, store=store).judge(asked, outputs(asked))
    assert (first.calls, second.calls) == (1, 0)
    assert row.right
    other = Scripted(json.dumps(REFUTING))
    other.model = "scripted-2"
    unchecked(other, store=store).judge(asked, outputs(asked))
    assert other.calls == 1


def test_the_name_tells_model_and_prompt() -> None:
    name = LlmJudge(Scripted("")).name
    assert name == f"llm/scripted-1/{prompt_version()}"


class Reading:
    """An endpoint that reads rightly what the rule judge reads, through `lie`."""

    model = "scripted-3"

    def __init__(self, lie: Callable[[dict[str, Any]], dict[str, Any]] = lambda f: f) -> None:
        self.lie = lie

    async def complete(self, system: str, user: str, schema: dict[str, Any]) -> str:
        case = json.loads(user)
        new, old = case["fact"]["new_holder"][0], case["fact"]["old_holder"][0]
        said = case["output"]
        back = "that is wrong" in said
        flags = GOOD | {
            "asserts_new": new in said,
            "negates_new": back,
            "asserts_old_current": old in said,
            "ends_affirming_new": new in said and not back,
            "final_answer": "right" if new in said and not back else "legacy",
            "self_refuting": back,
        }
        return json.dumps(self.lie(flags))


@pytest.mark.parametrize(
    "lie",
    [
        lambda f: GOOD,
        lambda f: REFUTING,
        lambda f: f | {"asserts_old_current": False, "negates_new": False, "self_refuting": False},
        lambda f: GOOD if f["final_answer"] == "legacy" else REFUTING,
    ],
)
def test_a_judge_that_misreads_the_controls_gives_no_verdict(
    lie: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    examined = Suite(probes=suite(4).of(Part.EDIT, QuestionKind.DIRECT))
    told = [
        Output(probe=p.id, text=f"{p.new[0]}.", finished=True, tokens=1) for p in examined.probes
    ]
    honest = LlmJudge(Reading()).judge(examined, told)
    assert all(row.right and row.error is None for row in honest)
    rows = LlmJudge(Reading(lie)).judge(examined, told)
    assert all(row.error for row in rows)
    assert measure(rows)[Metric.EFFICACY].value is None
