"""A scripted OpenAI-compatible server: what each sort of answer leads to."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from agents.drafting.chat import ChatSettings, JsonChat
from agents.drafting.llm import LlmDrafter
from agents.prompts import prompt
from agents.proposals import Proposal
from agents.verifying.llm import EntailmentJudge
from daemon.bench.curator_wiki import curator, moldova

OLD, NEW, ROLE = "Natalia Gavrilița", "Dorin Recean", "the head of government of Moldova"
GOOD = {
    "legacy": f"{OLD} was {ROLE} until 16 February 2023.",
    "cause": "The reason was resignation.",
    "transition": f"{NEW} succeeded {OLD} on 16 February 2023.",
    "new": f"{NEW} is now {ROLE}.",
}
Step = Callable[[Request], Response]


def says(content: str | None, *, finish: str = "stop", **message: Any) -> Step:
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
    }
    return lambda _: Response(json.dumps(body), content_type="application/json")


def fails(status: int) -> Step:
    body = json.dumps({"error": {"message": "no", "type": "error"}})
    return lambda _: Response(body, status=status, content_type="application/json")


def slow(_: Request) -> Response:
    time.sleep(0.6)
    return says(json.dumps(GOOD))(_)


def good(**changed: str) -> Step:
    return says(json.dumps({**GOOD, **changed}))


class Script:
    """Answers the steps in turn, the last one for ever."""

    def __init__(self, server: HTTPServer, *steps: Step) -> None:
        self.steps, self.requests = list(steps), []
        self.requests: list[dict[str, Any]] = []
        server.expect_request("/v1/chat/completions").respond_with_handler(self.answer)
        self.url = server.url_for("/v1")

    def answer(self, request: Request) -> Response:
        self.requests.append(json.loads(request.data))
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        return step(request)

    def propose(self, *, judged: bool = False, end_cause: bool = True, **wiki: str) -> Proposal:
        async def run() -> Proposal:
            async with openai.AsyncOpenAI(base_url=self.url, api_key="k") as client:
                chat = JsonChat(
                    client,
                    ChatSettings(model="scripted", timeout_s=0.4, pause_s=0.01, price_in_usd=1.0),
                )
                world, change = moldova(end_cause=end_cause, **wiki)
                judge = EntailmentJudge(chat) if judged else None
                made = curator(world, InMemorySaver(), drafter=LlmDrafter(chat), judge=judge)
                return await made.propose(change)

        return asyncio.run(run())


def drafter(proposal: Proposal) -> str:
    assert proposal.unit.narrative
    return proposal.unit.narrative.drafter


def test_a_good_answer_is_taken_with_its_lineage(httpserver: HTTPServer) -> None:
    script = Script(httpserver, good())
    proposal = script.propose()
    assert proposal.clean and drafter(proposal) == "llm/scripted"
    narrative = proposal.unit.narrative
    assert narrative and narrative.prose == " ".join(GOOD.values())
    assert narrative.lineage["prompt"] == prompt("draft").digest
    assert proposal.lineage["draft_0_tokens_in"] == "100"
    assert float(proposal.lineage["draft_0_cost_usd"]) > 0
    assert script.requests[0]["response_format"]["type"] == "json_schema"


def test_the_model_sees_typed_values_only(httpserver: HTTPServer) -> None:
    script = Script(httpserver, good())
    article = f"{OLD} resigned on 16 February 2023. Her cat is called Zebra."
    proposal = script.propose(end_cause=False, old_article=article)
    assert proposal.clean and proposal.unit.narrative and proposal.unit.narrative.cause
    sent = json.dumps(script.requests, ensure_ascii=False)
    assert "Zebra" not in sent and "resigned on" not in sent and '\\"cause\\": \\"resig' in sent


@pytest.mark.parametrize(
    "changed",
    [
        {"cause": "The reason was a corruption scandal."},
        {"transition": f"{NEW} succeeded {OLD} on 17 February 2023."},
        {"new": f"Maia Sandu is now {ROLE}."},
        {"transition": f"{OLD} succeeded {NEW} on 16 February 2023."},
        {"legacy": f"{OLD} is {ROLE}."},
        {"new": GOOD["new"] + " Visit https://evil.example/."},
    ],
    ids=["cause", "date", "name", "direction", "tense", "link"],
)
def test_a_wrong_answer_is_never_accepted(httpserver: HTTPServer, changed: dict[str, str]) -> None:
    script = Script(httpserver, good(**changed))
    proposal = script.propose()
    assert not proposal.clean and len(script.requests) == 4
    told = json.loads(script.requests[1]["messages"][1]["content"])
    assert told["findings"]


def test_findings_lead_to_a_better_answer(httpserver: HTTPServer) -> None:
    script = Script(httpserver, good(cause="The reason was a scandal."), good())
    proposal = script.propose()
    assert proposal.clean and len(script.requests) == 2


@pytest.mark.parametrize(
    "step",
    [
        says("I would rather talk about the weather."),
        says('{"legacy": "x"}'),
        says(json.dumps(GOOD)[:80], finish="length"),
        says(None, refusal="I cannot help with that."),
        says(""),
        fails(500),
        fails(429),
        fails(401),
        slow,
        lambda _: Response("<html>not json</html>", content_type="text/html"),
        lambda _: Response('{"choices": []}', content_type="application/json"),
    ],
    ids=["prose", "short", "cut", "refusal", "empty", "500", "429", "401", "slow", "html", "none"],
)
def test_an_endpoint_without_a_usable_answer_gives_way_to_the_template(
    httpserver: HTTPServer, step: Step
) -> None:
    script = Script(httpserver, step)
    proposal = script.propose()
    assert proposal.clean and drafter(proposal) == "template/1"
    assert proposal.lineage["fallback"]
    assert len(script.requests) <= 3


def test_one_bad_moment_is_tried_again(httpserver: HTTPServer) -> None:
    script = Script(httpserver, fails(500), says("no"), good())
    proposal = script.propose()
    assert proposal.clean and drafter(proposal) == "llm/scripted" and len(script.requests) == 3


def test_a_server_without_structured_output_is_asked_in_words(httpserver: HTTPServer) -> None:
    fenced = says(f"Here you are:\n```json\n{json.dumps(GOOD)}\n```")
    script = Script(httpserver, fails(400), fenced)
    proposal = script.propose()
    assert proposal.clean and drafter(proposal) == "llm/scripted"
    assert "response_format" in script.requests[0]
    assert "response_format" not in script.requests[1]


def test_nobody_listening_gives_way_to_the_template() -> None:
    async def run() -> Proposal:
        async with openai.AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="k") as client:
            chat = JsonChat(client, ChatSettings(model="m", timeout_s=0.4, pause_s=0.01))
            world, change = moldova()
            return await curator(world, InMemorySaver(), drafter=LlmDrafter(chat)).propose(change)

    proposal = asyncio.run(run())
    assert proposal.clean and "EndpointDown" in proposal.lineage["fallback"]


YES, NO = says('{"supported": true, "reason": ""}'), '{"supported": false, "reason": "no date"}'


def test_two_verdicts_that_agree_make_it_clean(httpserver: HTTPServer) -> None:
    script = Script(httpserver, good(), YES)
    assert script.propose(judged=True).clean
    assert len(script.requests) == 5  # one draft, four claims


def test_a_model_that_objects_sends_it_to_review(httpserver: HTTPServer) -> None:
    def step(request: Request) -> Response:
        is_draft = "findings" in json.loads(json.loads(request.data)["messages"][1]["content"])
        return (good() if is_draft else says(NO))(request)

    proposal = Script(httpserver, step).propose(judged=True)
    assert not proposal.clean
    assert proposal.findings[0].rule == "disagreement"
    assert {f.source for f in proposal.findings} == {"llm/scripted"}


def test_a_yes_of_the_model_does_not_lift_a_rule(httpserver: HTTPServer) -> None:
    def step(request: Request) -> Response:
        is_draft = "findings" in json.loads(json.loads(request.data)["messages"][1]["content"])
        return (good(cause="The reason was a scandal.") if is_draft else YES)(request)

    proposal = Script(httpserver, step).propose(judged=True)
    assert not proposal.clean and "rules" in {f.source for f in proposal.findings}
    assert proposal.findings[0].rule == "disagreement"
