"""The vLLM sampler against a double of the protocol; against a GPU it is unverified."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi.responses import JSONResponse
from pytest_httpserver import HTTPServer
from starlette.requests import Request
from starlette.responses import Response

from tests.integration.test_trainer_job import _bytes, _Crash, _crash_at, _job, _recipe, _right
from tests.trainer_models import make_units, shared_base
from tests.vllm_double import VllmDouble, serving
from trainer.engines.decoding import Decoding
from trainer.engines.transformers import TransformersEngine
from trainer.engines.vllm import VllmSampler, VllmServer
from trainer.errors import BadAdapter, BadBase, BadRecipe, Unreachable
from trainer.job import run_job
from trainer.recipe import Recipe, load_recipe

END = 1


def choice(index: int, ids: list[int], reason: str = "stop") -> dict[str, object]:
    """A completion as vLLM 0.31 sends it with `return_token_ids` and `logprobs: 0`."""
    return {
        "index": index,
        "text": "...",
        "logprobs": {
            "text_offset": [0] * len(ids),
            "token_logprobs": [-0.25] * len(ids),
            "tokens": ["x"] * len(ids),
            "top_logprobs": [{"x": -0.25}] * len(ids),
        },
        "finish_reason": reason,
        "stop_reason": None,
        "token_ids": ids,
        "prompt_token_ids": [5],
    }


def sampler(server: HTTPServer, folder: Path) -> VllmSampler:
    url = server.url_for("").rstrip("/")
    return VllmSampler(VllmServer(url=url, base="base"), folder, frozenset({END}))


def test_completions_come_back_by_prompt_with_ids_and_logprobs(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    choices = [choice(3, [9], "length"), choice(0, [7, END]), choice(2, [8, END]), choice(1, [END])]
    httpserver.expect_ordered_request("/v1/completions", method="POST").respond_with_json(
        {"object": "text_completion", "choices": choices}
    )
    how = Decoding(max_new_tokens=4, n=2, temperature=1.0)
    rows = sampler(httpserver, tmp_path).sample([[3, 4], [5]], how, 2**40 + 3, None)
    assert [[c.ids for c in row] for row in rows] == [[[7, END], [END]], [[8, END], [9]]]
    assert [c.finished for row in rows for c in row] == [True, True, True, False]
    assert rows[0][0].logprobs == [-0.25, -0.25]
    sent = json.loads(httpserver.log[0][0].data)
    assert (sent["model"], sent["prompt"], sent["n"]) == ("base", [[3, 4], [5]], 2)
    assert 0 <= sent["seed"] < 2**31


def test_an_adapter_has_the_name_of_its_content_and_the_last_two_stay(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    httpserver.expect_request("/v1/load_lora_adapter").respond_with_data("Success: loaded")
    httpserver.expect_request("/v1/unload_lora_adapter").respond_with_data("Success: removed")
    one = sampler(httpserver, tmp_path)
    for digest in ("a" * 64, "a" * 64, "b" * 64, "c" * 64):
        name = one.load(digest, lambda folder: (folder / "x").write_text("x") and None)
        assert name == f"student-{digest[:24]}"
    told = [(r.path, json.loads(r.data)["lora_name"][8]) for r, _ in httpserver.log]
    assert told == [
        ("/v1/load_lora_adapter", "a"),
        ("/v1/load_lora_adapter", "b"),
        ("/v1/load_lora_adapter", "c"),
        ("/v1/unload_lora_adapter", "a"),
    ]
    assert sorted(p.name[8] for p in tmp_path.iterdir()) == ["b", "c"]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ({"choices": []}, "sent 0 completions, 1 were asked for"),
        ({"choices": [{**choice(0, [7]), "token_ids": None}]}, "return_token_ids"),
        ({"choices": [choice(0, [7])]}, "without an end token"),
    ],
)
def test_a_server_that_does_not_keep_the_protocol_is_told(
    httpserver: HTTPServer, tmp_path: Path, answer: object, complaint: str
) -> None:
    httpserver.expect_request("/v1/completions").respond_with_json(answer)
    with pytest.raises(BadBase, match=complaint):
        sampler(httpserver, tmp_path).sample([[3]], Decoding(max_new_tokens=2), 0, None)


def test_a_refused_adapter_and_a_silent_server_are_told(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    httpserver.expect_request("/v1/load_lora_adapter").respond_with_data("no such path", status=404)
    with pytest.raises(BadAdapter, match="404: no such path"):
        sampler(httpserver, tmp_path).load("d" * 64, lambda folder: None)
    url = httpserver.url_for("").rstrip("/")
    httpserver.stop()
    lost = VllmSampler(VllmServer(url=url, base="b"), tmp_path, frozenset({END}))
    with pytest.raises(Unreachable, match="Start the vLLM server"):
        lost.sample([[3]], Decoding(max_new_tokens=2), 0, None)
    httpserver.start()


class _Answering(VllmDouble):
    """Answers as vLLM does, out of the same weights: it loads what the job wrote."""

    def __init__(self) -> None:
        super().__init__(str(shared_base()))
        self._engine = TransformersEngine.load(shared_base(), device="cpu")

    async def _load(self, request: Request) -> Response:
        answer = await super()._load(request)
        if answer.status_code == 200:
            body = await request.json()
            self._engine.load_adapter(body["lora_name"], body["lora_path"])
        return answer

    async def _unload(self, request: Request) -> Response:
        answer = await super()._unload(request)
        if answer.status_code == 200:
            self._engine.unload_adapter((await request.json())["lora_name"])
        return answer

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        name = None if body["model"] == self.name else body["model"]
        how = Decoding(
            max_new_tokens=body["max_tokens"], n=body["n"], temperature=body["temperature"]
        )
        with self._engine.using(name):
            rows = self._engine.sample(body["prompt"], how, body["seed"])
        choices = [
            {
                "index": i,
                "finish_reason": "stop" if c.finished else "length",
                "token_ids": c.ids,
                "logprobs": {"token_logprobs": c.logprobs},
            }
            for i, c in enumerate(c for row in rows for c in row)
        ]
        return JSONResponse({"choices": choices})


def _from_server(url: str) -> Recipe:
    server = {"sampler": "vllm", "vllm_url": url, "vllm_base": "base"}
    return _recipe(engine=server)


def test_a_job_learns_from_a_servers_answers_and_leaves_nothing_there(tmp_path: Path) -> None:
    double = _Answering()
    with serving(double) as url:
        adapter = run_job(_job(tmp_path / "job", _from_server(url)))
    assert len(double.loads) >= 4
    assert double.adapters == {}
    assert not (tmp_path / "job" / "rollout-adapters").exists()
    assert _right(adapter, [q for u in make_units() for q in u.questions[:3]]) >= 0.8


def test_a_job_that_was_killed_goes_on_with_the_same_server(tmp_path: Path) -> None:
    double = _Answering()
    with serving(double) as url:
        whole = run_job(_job(tmp_path / "whole", _from_server(url)))
        broken = _job(tmp_path / "broken", _from_server(url))
        with pytest.raises(_Crash):
            run_job(broken, _crash_at("distil", 3))
        assert double.adapters
        again = run_job(broken)
    assert _bytes(again) == _bytes(whole)
    assert double.adapters == {}


def test_what_a_killed_run_had_loaded_is_the_same_and_goes_at_the_end(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "adapter_config.json").write_text('{"r": 8}')

    double = VllmDouble("base")
    with serving(double) as url:
        server = VllmServer(url=url, base="base")
        killed = VllmSampler(server, tmp_path / "adapters", frozenset({END}))
        names = [killed.load(digest * 64, write) for digest in "ab"]
        double.adapters.pop(names[0])  # forgotten by the server, which is no error at the end
        resumed = VllmSampler(server, tmp_path / "adapters", frozenset({END}))
        assert resumed.load("b" * 64, write) == names[1]
        assert list(double.adapters) == [names[1]]
        resumed.close()
        assert double.adapters == {}
    assert not (tmp_path / "adapters").exists()
    resumed.close()


def test_a_recipe_with_a_server_names_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('extends = "mini"\n[engine]\nsampler = "vllm"\n')
    with pytest.raises(BadRecipe, match=r"needs engine\.vllm_url"):
        load_recipe(path)
