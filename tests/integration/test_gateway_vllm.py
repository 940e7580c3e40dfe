"""The gateway over vLLM: a double of its protocol, or the real server where `VLLM_URL`, `VLLM_BASE`
(the model as the server was given it) and `VLLM_ADAPTERS` (two adapters' folders, joined by a
colon) name one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import openai
import pytest

from daemon.errors import ConfigError
from daemon.serving.gateway import Gateway
from daemon.serving.versions import Material, Version
from daemon.serving.vllm import VllmUpstream
from tests.daemon_support import adapter_folder
from tests.gateway_fakes import BASE, ONE, TWO, MemorySource, running, until
from tests.vllm_double import VllmDouble, serving

REAL = os.environ.get("VLLM_URL")
double_only = pytest.mark.skipif(REAL is not None, reason="looks into the double")


class FolderSource(MemorySource):
    """Versions whose files lie in folders; no questions are asked of them."""

    def __init__(self, folders: dict[Version, Path]) -> None:
        super().__init__(BASE, *folders)
        self.folders = folders

    def material(self, version: Version) -> Material:
        return Material(folder=self.folders.get(version), probes=())


class Bench:
    """A gateway over a server, with all its handles."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        named = os.environ.get("VLLM_ADAPTERS", "").split(":")
        paths = (
            [Path(p) for p in named]
            if REAL
            else [adapter_folder(folder / n, i) for i, n in enumerate(("one", "two"))]
        )
        self.folders = dict(zip((ONE, TWO), paths, strict=True))
        self.double = VllmDouble(str(folder / "base"))
        self.base = Path(os.environ["VLLM_BASE"]) if REAL else folder / "base"
        self.server = REAL or stack.enter_context(serving(self.double))
        self.source = FolderSource(self.folders)
        self.stack = stack
        self.url = self.gateway()
        self.client = openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0)
        stack.callback(self.client.close)

    def gateway(self, **more: int) -> str:
        upstream = VllmUpstream(self.server, self.base, **more)
        url = self.stack.enter_context(running(Gateway(upstream, self.source, alias="production")))
        until(lambda: httpx.get(f"{url}/healthz").json()["status"] == "ok", 120 if REAL else 10)
        return url

    def ask(self, text: str = "Who?", model: str = "almanac", **more: object) -> str:
        answer = self.client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": text}],
            max_tokens=8,
            **more,  # type: ignore[arg-type]
        )
        assert answer.model == model
        return answer.choices[0].message.content or ""

    def promote_and_wait(self, version: Version) -> None:
        self.source.move(version)
        until(lambda: self.health()["version"] == version.label, 60 if REAL else 5)

    def health(self) -> dict[str, object]:
        return httpx.get(f"{self.url}/healthz").json()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(stack, tmp_path)


def test_answers_follow_the_alias_under_one_name(bench: Bench) -> None:
    texts = [bench.ask()]
    for version in (ONE, TWO, ONE):
        bench.promote_and_wait(version)
        texts.append(bench.ask())
    assert texts[1] == texts[3]
    assert bench.ask(model="almanac@v2") == texts[2]
    assert bench.ask(model="almanac@v0") == texts[0]


def test_a_stream_says_the_same_as_a_whole_answer(bench: Bench) -> None:
    bench.promote_and_wait(ONE)
    with bench.client.chat.completions.create(
        model="almanac",
        messages=[{"role": "user", "content": "Who leads?"}],
        max_tokens=8,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == bench.ask("Who leads?", temperature=0)
    assert {c.model for c in chunks} == {"almanac"}
    assert {c.system_fingerprint for c in chunks} == {ONE.fingerprint}
    assert chunks[-1].usage is not None


def test_completions_pass_through(bench: Bench) -> None:
    answer = bench.client.completions.create(model="almanac", prompt="One, two,", max_tokens=4)
    assert answer.choices[0].text
    assert answer.system_fingerprint == BASE.fingerprint


@pytest.mark.parametrize("field", ["echo", "prompt_logprobs"])
def test_what_scores_prompts_never_reaches_the_server(bench: Bench, field: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        bench.client.completions.create(
            model="almanac", prompt="x", logprobs=1, extra_body={field: True}
        )
    assert refused.value.param == field
    assert bench.ask()


def test_the_adapter_endpoints_are_not_passed_on(bench: Bench) -> None:
    for path in ("load_lora_adapter", "unload_lora_adapter"):
        assert httpx.post(f"{bench.url}/v1/{path}", json={}).status_code in (404, 405)


@double_only
def test_fields_reach_the_server_as_they_came(bench: Bench) -> None:
    fields = {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "response_format": {"type": "json_object"},
        "seed": 7,
        "logit_bias": {"5": 1},
        "unheard_of": {"a": [1, None]},
    }
    bench.promote_and_wait(ONE)
    bench.ask("Who?", extra_body=fields)
    sent = bench.double.bodies[-1]
    assert {name: sent[name] for name in fields} == fields
    assert sent["model"] == ONE.adapter


@double_only
def test_a_name_never_stands_for_two_folders(bench: Bench, tmp_path: Path) -> None:
    other = adapter_folder(tmp_path / "impostor", 9)
    bench.double.adapters[str(ONE.adapter)] = str(other)
    bench.source.move(ONE)
    until(lambda: bench.health()["status"] == "degraded")
    assert "restart vLLM" in str(bench.health()["problems"])
    assert bench.ask().startswith("base says")
    assert not any(body.get("load_inplace") for body in bench.double.loads)


@double_only
def test_a_new_gateway_adopts_what_is_loaded_and_lets_go_of_the_rest(bench: Bench) -> None:
    bench.promote_and_wait(ONE)
    bench.promote_and_wait(TWO)
    loads = len(bench.double.loads)
    bench.double.adapters |= {"kb-000009-dead": "/gone", "somebody-elses": "/their/folder"}
    url = bench.gateway()
    assert httpx.get(f"{url}/healthz").json()["version"] == "v2"
    until(lambda: set(bench.double.adapters) == {TWO.adapter, "somebody-elses"})
    assert len(bench.double.loads) == loads


@double_only
def test_a_server_that_lost_its_adapters_gets_them_back(bench: Bench) -> None:
    bench.promote_and_wait(ONE)
    bench.double.restart()
    assert bench.ask().startswith(str(ONE.adapter))
    bench.double.restart()
    until(lambda: str(ONE.adapter) in bench.double.adapters)  # without being asked


@double_only
def test_versions_out_of_use_are_unloaded_once_they_are_idle(bench: Bench) -> None:
    three = Version(3, "33cc" * 16)
    four, five = Version(4, "44dd" * 16), Version(5, "55ee" * 16)
    for number, version in enumerate((three, four, five)):
        bench.source.folders[version] = adapter_folder(bench.base.parent / version.label, number)
        bench.source.known.append(version)
    bench.double.pace_s = 0.1
    bench.promote_and_wait(ONE)
    with bench.client.chat.completions.create(
        model="almanac", messages=[{"role": "user", "content": "word " * 200}], stream=True
    ) as stream:
        first = next(stream)
        for version in (TWO, three, four, five):
            bench.promote_and_wait(version)
        assert ONE.adapter in bench.double.adapters  # somebody still reads its answer
        bench.double.pace_s = 0.0
        assert {c.system_fingerprint for c in [first, *stream]} == {ONE.fingerprint}
    until(lambda: ONE.adapter not in bench.double.adapters, 15)
    assert {four.adapter, five.adapter} <= set(bench.double.adapters)


@double_only
def test_a_refusal_of_the_server_comes_back_in_its_words(bench: Bench) -> None:
    with pytest.raises(openai.BadRequestError, match="field required") as refused:
        bench.client.chat.completions.create(model="almanac", messages=[])
    assert refused.value.param == "messages"
    bench.source.folders[TWO].joinpath("adapter_config.json").write_text('{"r": 64}')
    bench.source.move(TWO)
    until(lambda: "max_lora_rank" in str(bench.health()["problems"]))
    assert bench.ask().startswith("base says")


@double_only
def test_a_server_that_is_away_is_said_to_be(bench: Bench) -> None:
    bench.double.break_after = 2
    with pytest.raises(openai.APIError, match="in the middle of an answer"):
        list(
            bench.client.chat.completions.create(
                model="almanac", messages=[{"role": "user", "content": "a b c"}], stream=True
            )
        )
    bench.double.break_after = None
    bench.double.alive = False
    with pytest.raises(openai.InternalServerError) as failed:
        bench.ask()
    assert failed.value.status_code == 502
    until(lambda: bench.health()["status"] == "degraded", 10)
    bench.double.restart()
    until(lambda: bench.health()["status"] == "ok", 10)
    assert bench.ask().startswith("base says")


@double_only
def test_more_than_can_be_in_flight_is_refused(bench: Bench) -> None:
    url = bench.gateway(max_in_flight=2)
    bench.double.pace_s = 0.2
    body = {"model": "almanac", "messages": [{"role": "user", "content": "word " * 100}]}
    held = []
    with ExitStack() as stack:
        for _ in range(2):
            stream = httpx.stream(
                "POST", f"{url}/v1/chat/completions", json=body | {"stream": True}
            )
            pieces = stack.enter_context(stream).iter_bytes()
            next(pieces)
            held.append(pieces)  # a generator that is let go of closes its answer
        refused = httpx.post(f"{url}/v1/chat/completions", json=body)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1


@double_only
def test_a_server_with_another_base_model_serves_nothing(tmp_path: Path) -> None:
    with serving(VllmDouble("/models/other")) as server:
        gateway = Gateway(
            VllmUpstream(server, tmp_path / "base"), MemorySource(BASE), alias="production"
        )
        with running(gateway) as url:
            until(lambda: "model.base is" in httpx.get(f"{url}/healthz").text)
            body = {"model": "almanac", "messages": [{"role": "user", "content": "Who?"}]}
            assert httpx.post(f"{url}/v1/chat/completions", json=body).status_code == 503


def test_a_server_beyond_this_machine_is_refused() -> None:
    for url in ("http://10.0.0.5:8000", "http://vllm.example.org:8000", "nonsense"):
        with pytest.raises(ConfigError, match="this machine alone"):
            VllmUpstream(url, Path("base"))
