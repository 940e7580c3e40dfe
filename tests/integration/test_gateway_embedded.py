"""The gateway over the real engine and the real registry: a small base model, two adapters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from daemon.clock import SystemClock
from daemon.registry.blobs import Blobs
from daemon.registry.exporting import export
from daemon.registry.service import PRODUCTION, Registry
from daemon.serving.batching import Batcher
from daemon.serving.embedded import EmbeddedEngine
from daemon.serving.embedded_upstream import EmbeddedUpstream
from daemon.serving.gateway import Gateway
from daemon.serving.source import RegistrySource
from daemon.store.engine import Database
from daemon.store.rows import EvaluationRow
from tests.gateway_fakes import running, until
from tests.trainer_models import build_base

QUESTION = [{"role": "user", "content": "Who leads the town?"}]


def make_adapter(base: Path, folder: Path, seed: int) -> Path:
    """A LoRA adapter with random weights that are large enough to change every answer."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(str(base))
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"
    )
    model = get_peft_model(model, config)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.5)
    model.save_pretrained(str(folder))
    return folder


class Served:
    """A gateway with its registry."""

    def __init__(self, url: str, registry: Registry, digests: list[str]) -> None:
        self.url, self.registry, self.digests = url, registry, digests
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)

    def health(self) -> dict[str, object]:
        return httpx.get(f"{self.url}/healthz").json()

    def promote(self, digest: str) -> None:
        self.registry.promote(PRODUCTION, digest, actor="test", reason="try")

    def ask(self, model: str = "almanac") -> tuple[str, str]:
        answer = self.client.chat.completions.create(
            model=model,
            messages=QUESTION,  # pyright: ignore[reportArgumentType]
            max_tokens=12,
        )
        return answer.choices[0].message.content or "", answer.system_fingerprint or ""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_base(tmp_path_factory.mktemp("base"), steps=150)


@pytest.fixture(scope="module")
def engine(base: Path) -> EmbeddedEngine:
    return EmbeddedEngine.load(base, threads=1)


@pytest.fixture
def served(base: Path, engine: EmbeddedEngine, tmp_path: Path) -> Iterator[Served]:
    database = Database.open(f"sqlite:///{tmp_path / 'almanac.db'}")
    clock = SystemClock()
    registry = Registry(database, Blobs(tmp_path / "blobs"), clock)
    digests: list[str] = []
    for seed in (1, 2):
        folder = make_adapter(base, tmp_path / f"adapter{seed}", seed)
        manifest = {"base_digest": engine.base_digest}
        version = registry.register(folder, base_model=str(base), manifest=manifest)
        assert version.digest is not None
        digests.append(version.digest)
        verdict = EvaluationRow(
            adapter_digest=version.digest,
            verdict="pass",
            policy="test",
            gate={},
            evaluation={},
            created_at=clock.now(),
        )
        with database.write() as session:
            registry.add_evaluation(session, verdict)
    source = RegistrySource(
        database, registry, clock, alias=PRODUCTION, base_digest=engine.base_digest
    )
    upstream = EmbeddedUpstream(Batcher(engine))
    with running(Gateway(upstream, source, alias=PRODUCTION)) as url:
        made = Served(url, registry, digests)
        until(lambda: made.health()["status"] == "ok", 20)
        yield made
        made.client.close()
    for name in engine.adapters:
        engine.unload_adapter(name)
    database.close()


def test_the_answer_follows_the_alias_there_and_back(served: Served) -> None:
    answers: dict[str, tuple[str, str]] = {"v0": served.ask()}
    for label, digest in zip(("v1", "v2"), served.digests, strict=True):
        served.promote(digest)
        until(lambda label=label: served.health()["version"] == label, 20)
        answers[label] = served.ask()
    assert len({text for text, _ in answers.values()}) == 3
    assert [print_.split("-")[0] for _, print_ in answers.values()] == ["v0", "v1", "v2"]
    served.registry.rollback(actor="test", reason="to see")
    until(lambda: served.health()["version"] == "v1", 20)
    assert served.ask() == answers["v1"]
    assert served.ask("almanac@v2")[0] == answers["v2"][0]
    assert served.ask("almanac@v0")[0] == answers["v0"][0]


def test_a_stream_says_the_same_as_a_whole_answer(served: Served) -> None:
    whole = served.client.chat.completions.create(
        model="almanac",
        messages=QUESTION,  # pyright: ignore[reportArgumentType]
        max_tokens=12,
    )
    stream = served.client.chat.completions.create(
        model="almanac",
        messages=QUESTION,  # pyright: ignore[reportArgumentType]
        max_tokens=12,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    finishes = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert finishes[-1] == whole.choices[0].finish_reason


def test_an_altered_blob_is_refused_and_the_old_version_serves_on(served: Served) -> None:
    one, two = served.digests
    served.promote(one)
    until(lambda: served.health()["version"] == "v1", 20)
    before = served.ask()
    served.promote(two)  # whole when promoted, and altered before anybody asks for it again
    until(lambda: served.health()["version"] == "v2", 20)
    served.registry.rollback(actor="test", reason="to see")
    until(lambda: served.health()["version"] == "v1", 20)
    weights = served.registry.path_of(two) / "adapter_model.safetensors"
    os.chmod(weights, 0o644)
    weights.write_bytes(weights.read_bytes()[:-4] + b"\x00\x00\x00\x01")
    with pytest.raises(Exception, match=r"altered|hash|digest"):
        served.promote(two)
    assert served.ask() == before


def test_an_exported_folder_is_what_peft_loads(served: Served, base: Path, tmp_path: Path) -> None:
    folder = export(served.registry, served.digests[0], tmp_path / "v1")
    names = {path.name for path in folder.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md"} <= names
    ids = torch.tensor([[5, 6, 7]])

    def logits(adapter: Path) -> torch.Tensor:
        plain = AutoModelForCausalLM.from_pretrained(str(base))
        model = PeftModel.from_pretrained(plain, str(adapter))
        with torch.inference_mode():
            return model(input_ids=ids).logits

    exported = logits(folder)
    assert torch.equal(exported, logits(served.registry.path_of(served.digests[0])))
    with torch.inference_mode():
        bare = AutoModelForCausalLM.from_pretrained(str(base))(input_ids=ids).logits
    assert not torch.allclose(exported, bare)


def test_an_adapter_of_another_base_model_is_refused(served: Served, base: Path) -> None:
    folder = make_adapter(base, base / "other", 3)
    version = served.registry.register(
        folder, base_model="another", manifest={"base_digest": "f" * 64}
    )
    with pytest.raises(openai.APIStatusError, match=r"trained on the base model"):
        served.client.with_options(max_retries=0).chat.completions.create(
            model=f"almanac@v{version.number}",
            messages=QUESTION,  # pyright: ignore[reportArgumentType]
        )
    assert served.ask()[1].startswith("v0")
