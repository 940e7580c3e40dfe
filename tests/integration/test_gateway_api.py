"""The gateway over real HTTP, driven by the official client, against a scripted engine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest
import structlog

from daemon.errors import ConfigError
from daemon.serving.access import Access, access_of, keys_needed
from daemon.serving.gateway import Limits
from tests.gateway_fakes import (
    BASE,
    ONE,
    TWO,
    MemorySource,
    ScriptedEngine,
    gateway_over,
    running,
    until,
)


class Bench:
    """One running gateway with all its handles."""

    def __init__(self, url: str, engine: ScriptedEngine, source: MemorySource) -> None:
        self.url, self.engine, self.source = url, engine, source
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)

    def ask(self, text: str = "Who?", model: str = "almanac") -> str:
        answer = self.client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": text}]
        )
        return answer.choices[0].message.content or ""

    def health(self) -> dict[str, object]:
        return httpx.get(f"{self.url}/healthz").json()

    def promote_and_wait(self, version: object) -> None:
        self.source.move(version)  # pyright: ignore[reportArgumentType]
        until(lambda: self.health()["version"] == version.label)  # pyright: ignore


@pytest.fixture
def bench() -> Iterator[Bench]:
    engine, source = ScriptedEngine(), MemorySource(BASE, ONE, TWO)
    with running(gateway_over(engine, source, max_queue=4, max_running=4)) as url:
        made = Bench(url, engine, source)
        until(lambda: made.health()["status"] == "ok")
        yield made
        made.client.close()


def test_the_alias_answers_with_the_base_model_first(bench: Bench) -> None:
    assert bench.ask("Who leads?") == "base says: Who leads?"


def test_a_promotion_changes_the_answer_and_not_the_name(bench: Bench) -> None:
    bench.promote_and_wait(ONE)
    raw = bench.client.chat.completions.with_raw_response.create(
        model="almanac", messages=[{"role": "user", "content": "Who?"}]
    )
    answer = raw.parse()
    assert raw.headers["X-Almanac-Version"] == "v1"
    assert raw.headers["X-Almanac-Digest"] == ONE.digest
    assert answer.model == "almanac"
    assert answer.system_fingerprint == ONE.fingerprint
    assert (answer.choices[0].message.content or "").startswith(str(ONE.adapter))
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 1


def test_the_previous_version_stays_resident_and_rollback_needs_no_load(bench: Bench) -> None:
    for version in (ONE, TWO, ONE):
        bench.promote_and_wait(version)
    health = bench.health()
    assert (health["version"], health["previous"]) == ("v1", "v2")
    assert set(bench.engine.loaded) == {ONE.adapter, TWO.adapter}


@pytest.mark.parametrize(
    "model", ["almanac@v2", "v2", TWO.digest, TWO.digest[:12], str(TWO.adapter)]
)
def test_a_version_answers_under_its_own_names(bench: Bench, model: str) -> None:
    assert bench.ask(model=model).startswith(str(TWO.adapter))
    assert bench.health()["version"] == "v0"


def test_models_lists_the_stable_name_first(bench: Bench) -> None:
    names = [model.id for model in bench.client.models.list()]
    assert names == ["almanac", "almanac@v0", "almanac@v1", "almanac@v2"]


def test_an_unknown_model_is_not_found(bench: Bench) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no model"):
        bench.ask(model="gpt-4")


def test_a_stream_carries_the_same_answer_and_one_version(bench: Bench) -> None:
    bench.promote_and_wait(ONE)
    with bench.client.chat.completions.create(
        model="almanac",
        messages=[{"role": "user", "content": "Who leads?"}],
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == bench.ask("Who leads?")
    assert {chunk.system_fingerprint for chunk in chunks} == {ONE.fingerprint}
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == len(text.split())


def test_a_request_in_flight_ends_on_the_version_it_began_with(bench: Bench) -> None:
    bench.promote_and_wait(ONE)
    bench.engine.pace_s = 0.05
    with bench.client.chat.completions.create(
        model="almanac",
        messages=[{"role": "user", "content": " ".join(["word"] * 20)}],
        stream=True,
    ) as stream:
        chunks = [next(stream), next(stream)]
        bench.source.move(TWO)
        chunks += list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert text.startswith(str(ONE.adapter))
    assert text.count("word") == 20
    until(lambda: bench.health()["version"] == "v2")


def test_streams_run_beside_each_other_and_beside_other_requests(bench: Bench) -> None:
    bench.engine.pace_s = 0.01
    messages = [{"role": "user", "content": " ".join(["word"] * 30)}]

    def stream() -> tuple[float, float]:
        chunks = bench.client.chat.completions.create(
            model="almanac",
            messages=messages,  # pyright: ignore[reportArgumentType]
            stream=True,
        )
        times = [time.monotonic() for _ in chunks]
        return times[0], times[-1]

    with ThreadPoolExecutor(2) as pool:
        one, two = [task.result() for task in [pool.submit(stream), pool.submit(stream)]]
    assert max(one[0], two[0]) < min(one[1], two[1])


def test_a_client_that_leaves_stops_the_engine(bench: Bench) -> None:
    bench.engine.pace_s = 0.02
    with bench.client.chat.completions.create(
        model="almanac",
        messages=[{"role": "user", "content": " ".join(["word"] * 100)}],
        stream=True,
    ) as stream:
        next(stream)
    bench.engine.pace_s = 0.0
    assert bench.ask("still there?") == "base says: still there?"
    assert len(bench.engine.steps) < 100


def test_completions_take_one_prompt_or_several(bench: Bench) -> None:
    answer = bench.client.completions.create(model="almanac", prompt=["one", "two"], max_tokens=8)
    assert [choice.text for choice in answer.choices] == ["base says: one", "base says: two"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", []),
        ("response_format", {"type": "json_object"}),
        ("logit_bias", {}),
        ("echo", True),
        ("prompt_logprobs", 1),
    ],
)
def test_a_field_that_is_not_honoured_is_named(bench: Bench, field: str, value: object) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        bench.client.chat.completions.create(
            model="almanac",
            messages=[{"role": "user", "content": "Who?"}],
            extra_body={field: value},
        )
    assert refused.value.param == field
    assert refused.value.code == "unsupported_parameter"


def test_bad_requests_say_what_is_wrong(bench: Bench) -> None:
    url = f"{bench.url}/v1/chat/completions"
    turn = {"role": "user", "content": "x"}
    cases = [
        (b"{", "not JSON"),
        (json.dumps([1]).encode(), "must be a JSON object"),
        (json.dumps({"model": "almanac"}).encode(), "messages"),
        (json.dumps({"model": "almanac", "messages": [turn], "n": 0}).encode(), "n:"),
        (json.dumps({"model": "almanac", "messages": [turn | {"role": "tool"}]}).encode(), "role"),
    ]
    for body, words in cases:
        answer = httpx.post(url, content=body)
        assert answer.status_code == 400
        assert words in answer.json()["error"]["message"]


def test_a_prompt_that_leaves_no_room_is_refused(bench: Bench) -> None:
    with pytest.raises(openai.BadRequestError, match="200") as refused:
        bench.ask("word " * 300)
    assert refused.value.code == "context_length_exceeded"


def test_a_full_queue_refuses_and_says_when_to_come_back(bench: Bench) -> None:
    bench.engine.hold.clear()
    body = {"model": "almanac", "messages": [{"role": "user", "content": "Who?"}]}
    url = f"{bench.url}/v1/chat/completions"
    with ThreadPoolExecutor(24) as pool:
        pending = [pool.submit(httpx.post, url, json=body, timeout=20) for _ in range(24)]
        until(lambda: any(p.done() for p in pending))
        bench.engine.hold.set()
        answers = [p.result() for p in pending]
    refused = [a for a in answers if a.status_code == 429]
    assert refused
    assert {a.status_code for a in answers} == {200, 429}
    assert all(int(a.headers["Retry-After"]) >= 1 for a in refused)


def test_requests_that_come_together_share_a_batch(bench: Bench) -> None:
    bench.engine.hold.clear()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(bench.ask, f"number {i}") for i in range(4)]
        until(lambda: len(bench.engine.running) >= 1)
        time.sleep(0.2)  # all four are in by now
        bench.engine.hold.set()
        assert {a.result() for a in answers} == {f"base says: number {i}" for i in range(4)}
    assert max(bench.engine.steps) >= 2


def test_a_version_that_does_not_say_what_it_was_taught_is_refused(bench: Bench) -> None:
    bench.promote_and_wait(ONE)
    bench.engine.deaf.add(str(TWO.adapter))  # loaded, and without effect
    bench.source.move(TWO)
    until(lambda: bench.health()["status"] == "degraded")
    assert "none of 1 answers says what it was taught" in str(bench.health()["problems"])
    assert bench.ask("Who?").startswith(str(ONE.adapter))


def test_where_a_rollback_would_go_is_resident_from_the_start() -> None:
    engine, source = ScriptedEngine(), MemorySource(BASE, ONE, TWO)
    source.back = ONE
    source.move(TWO)
    with running(gateway_over(engine, source)) as url:
        until(lambda: "v1" in httpx.get(f"{url}/healthz").json()["resident"])
    assert set(engine.loaded) == {ONE.adapter, TWO.adapter}


def test_a_request_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    engine = ScriptedEngine(pace_s=0.05)
    gateway = gateway_over(engine, MemorySource(BASE), limits=Limits(timeout_s=0.3))
    with running(gateway) as url:
        until(lambda: httpx.get(f"{url}/healthz").status_code == 200)
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        turn = {"role": "user", "content": "word " * 100}
        with pytest.raises(openai.InternalServerError) as late:
            client.chat.completions.create(model="almanac", messages=[turn])  # pyright: ignore
        assert (late.value.status_code, late.value.code) == (504, "timeout")
        with pytest.raises(openai.APIError, match="no whole answer within"):
            stream = client.chat.completions.create(  # pyright: ignore
                model="almanac", messages=[turn], stream=True
            )
            list(stream)
        client.close()


def test_keys_are_needed_once_there_is_one(tmp_path: Path) -> None:
    access = Access(tmp_path)
    gateway = gateway_over(ScriptedEngine(), MemorySource(BASE), access=access)
    with running(gateway) as url:
        until(lambda: httpx.get(f"{url}/healthz").status_code == 200)

        def ask(key: str) -> None:
            with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
                client.models.list()
                client.chat.completions.create(
                    model="almanac", messages=[{"role": "user", "content": "Who?"}]
                )

        ask("whatever")
        key = access.create("ann")
        for wrong in ("whatever", key[:-1], access.keys()[0].sha256):
            with pytest.raises(openai.AuthenticationError) as refused:
                ask(wrong)
            assert refused.value.code == "invalid_api_key"
        assert httpx.post(f"{url}/v1/chat/completions", json={}).status_code == 401
        ask(key)
        ask(access.local())
        access.create("ben")
        access.revoke("ann")
        with pytest.raises(openai.AuthenticationError):
            ask(key)
        assert httpx.get(f"{url}/healthz").status_code == 200


@pytest.mark.parametrize("lost", [False, True])
def test_a_gateway_that_others_reach_is_not_opened_by_taking_the_last_key_back(
    tmp_path: Path, lost: bool
) -> None:
    with pytest.raises(ConfigError, match="almanac key create"):
        access_of(tmp_path, "0.0.0.0", public=False)
    key = Access(tmp_path).create("ann")
    access = access_of(tmp_path, "0.0.0.0", public=False)
    assert access.holder(f"Bearer {key}") == "ann"
    if lost:
        (tmp_path / "keys" / "gateway.json").unlink()
    else:
        access.revoke("ann")
    for header in (None, "", f"Bearer {key}", "Bearer None"):
        assert access.holder(header) is None
    assert access.holder(f"Bearer {access.local()}") == "local"
    assert access.holder(f"Bearer {access.create('ben')}") == "ben"


@pytest.mark.parametrize(
    ("host", "public", "needed"),
    [
        ("127.0.0.1", False, False),
        ("localhost", False, False),
        ("::1", False, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("gateway.example.org", False, True),
        ("0.0.0.0", True, False),
    ],
)
def test_a_gateway_that_strangers_reach_needs_keys(host: str, public: bool, needed: bool) -> None:
    assert keys_needed(host, public=public) is needed


def test_the_request_log_names_the_version_and_not_the_prompt(bench: Bench) -> None:
    bench.promote_and_wait(ONE)
    with structlog.testing.capture_logs() as lines:
        raw = bench.client.chat.completions.with_raw_response.create(
            model="almanac", messages=[{"role": "user", "content": "a secret question"}]
        )
        with pytest.raises(openai.BadRequestError):
            bench.client.chat.completions.create(
                model="almanac",
                messages=[{"role": "user", "content": "a secret question"}],
                seed="x",  # pyright: ignore
            )
    said = [line for line in lines if line["event"] == "gateway.request"]
    assert [line["status"] for line in said] == [200, 400]
    assert said[0]["version"] == "v1" and said[0]["request"] == raw.headers["X-Request-Id"]
    assert "secret" not in str(said)


def test_a_mute_version_fails_its_smoke_test_and_the_old_one_serves_on(bench: Bench) -> None:
    bench.promote_and_wait(ONE)
    bench.engine.mute.add(str(TWO.adapter))
    bench.source.move(TWO)
    until(lambda: bench.health()["status"] == "degraded")
    health = bench.health()
    assert (health["version"], health["refused"]) == ("v1", "v2")
    assert "no answer to 'Who leads?'" in str(health["problems"])
    assert bench.ask("Who?").startswith(str(ONE.adapter))
    refusals = [e for e in bench.source.events if e[0] == "gateway.refused"]
    assert len(refusals) == 1
    assert refusals[0][1] == "v2"


def test_a_damaged_version_is_refused_with_the_reason(bench: Bench) -> None:
    bench.source.broken[ONE] = "adapter_model.safetensors was altered"
    bench.source.move(ONE)
    until(lambda: bench.health()["status"] == "degraded")
    assert "was altered" in str(bench.health()["problems"])
    assert bench.ask("Who?").startswith("base")
    bench.source.move(BASE)
    until(lambda: bench.health()["status"] == "ok")


def test_a_registry_that_cannot_be_read_stops_nothing(bench: Bench) -> None:
    bench.promote_and_wait(ONE)
    bench.source.down = "database is locked"
    until(lambda: bench.health()["status"] == "degraded")
    assert bench.ask("Who?").startswith(str(ONE.adapter))
    bench.source.down = None
    until(lambda: bench.health()["status"] == "ok")


def test_without_a_first_version_it_says_why() -> None:
    source = MemorySource(ONE)
    source.broken[ONE] = "no such blob"
    with running(gateway_over(ScriptedEngine(), source)) as url:
        until(lambda: "no such blob" in httpx.get(f"{url}/healthz").text)
        assert httpx.get(f"{url}/healthz").status_code == 503
        body = {"model": "almanac", "messages": [{"role": "user", "content": "Who?"}]}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body)
    assert answer.status_code == 503
    assert "no such blob" in answer.json()["error"]["message"]
    assert answer.headers["Retry-After"] == "1"


def test_swaps_under_load_lose_and_mix_nothing(bench: Bench) -> None:
    bench.engine.pace_s = 0.001
    names = {v.label: (v.adapter or "base") for v in (BASE, ONE, TWO)}
    url = f"{bench.url}/v1/chat/completions"
    body = {"model": "almanac", "messages": [{"role": "user", "content": "a b c d e f"}]}

    def ask(_: int) -> tuple[int, bool]:
        answer = httpx.post(url, json=body, timeout=20)
        text = answer.json()["choices"][0]["message"]["content"]
        return answer.status_code, text.startswith(names[answer.headers["X-Almanac-Version"]])

    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ask, i) for i in range(150)]
        for version in (ONE, TWO, ONE, TWO):
            bench.promote_and_wait(version)
        assert {a.result() for a in asked} == {(200, True)}
