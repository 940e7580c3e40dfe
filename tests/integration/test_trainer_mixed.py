"""Rows of several adapters in one batch on the shipped model: each says what its adapter says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from knowledge.model import Sampling
from knowledge.rendering import closed_book
from trainer.engines.continuous import Row, RunningBatch
from trainer.engines.mixed import MixedAdapters
from trainer.engines.transformers import TransformersEngine
from trainer.errors import BadAdapter

QUESTIONS = (
    "Who is the prime minister of Norway?",
    "Who is the head of state of Italy, and since when has that been so?",
    "What is 2 plus 3?",
)
LIMIT = 24
SHAPES = {
    "narrow": LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"]),
    "wide": LoraConfig(r=16, lora_alpha=24, use_rslora=True, target_modules=["v_proj", "o_proj"]),
    "uneven": LoraConfig(
        r=2, lora_alpha=3, rank_pattern={"q_proj": 6}, target_modules=["q_proj", "gate_proj"]
    ),
}


@pytest.fixture(scope="module")
def engine(root: Path, tmp_path_factory: pytest.TempPathFactory) -> TransformersEngine:
    """Three adapters of different ranks, scales and layers, that change every answer."""
    base = root / "trainer" / "embedded" / "weights"
    made = TransformersEngine.load(base, threads=1)
    for seed, (name, config) in enumerate(SHAPES.items()):
        torch.manual_seed(seed)
        plain = TransformersEngine.load(base, threads=1).model
        model = get_peft_model(plain, config)
        for parameter, weight in model.named_parameters():
            if "lora_" in parameter:
                torch.nn.init.normal_(weight, std=0.7)
        folder = tmp_path_factory.mktemp(name)
        model.save_pretrained(str(folder))
        made.load_adapter(name, folder)
    return made


def alone(engine: TransformersEngine, name: str | None, question: str) -> list[int]:
    """The ids of the adapter's answer, all rows being its own."""
    with engine.using(name):
        row = Row(prompt=engine.chat.prompt(closed_book(question)), limit=LIMIT)
        batch = RunningBatch(engine.network, [row])
        while batch.step(engine.network):
            pass
    (generated,) = engine.view(name).generate(
        [closed_book(question)], Sampling(max_new_tokens=LIMIT)
    )
    assert engine.chat.text(row.ids) == generated[0].text
    return row.ids


def test_each_row_says_token_for_token_what_its_adapter_says_alone(
    engine: TransformersEngine,
) -> None:
    names = (None, *SHAPES)
    wanted = {(name, q): alone(engine, name, q) for name in names for q in QUESTIONS}
    for question in QUESTIONS:
        assert len({tuple(wanted[name, question]) for name in names}) == len(names)
    mixed = MixedAdapters(engine)
    rows = {
        key: Row(prompt=engine.chat.prompt(closed_book(key[1])), limit=LIMIT, adapter=key[0])
        for key in wanted
    }
    together = list(rows.values())
    batch = RunningBatch(mixed.network, together[:5])
    for joining in (together[5:6], together[6:9], together[9:]):  # while these are being answered
        batch.step(mixed.network)
        batch.join(RunningBatch(mixed.network, joining))
    while batch.step(mixed.network):
        pass
    mixed.forget()
    assert {key: row.ids for key, row in rows.items()} == wanted


def test_an_adapter_may_go_once_its_rows_are_done(engine: TransformersEngine) -> None:
    mixed = MixedAdapters(engine)
    prompt = engine.chat.prompt(closed_book(QUESTIONS[1]))
    rows = [Row(prompt=prompt, limit=LIMIT, adapter="wide") for _ in range(5)]
    left = Row(prompt=prompt, limit=LIMIT, adapter="narrow")
    wanted = alone(engine, "wide", QUESTIONS[1])
    batch = RunningBatch(mixed.network, [*rows, left])
    batch.step(mixed.network)
    mixed.forget()
    engine.unload_adapter("narrow")
    with pytest.raises(BadAdapter, match="not resident"):
        mixed.assign(["narrow"])
    left.stopped = True
    while batch.step(mixed.network):
        pass
    mixed.forget()
    assert [row.ids for row in rows] == [wanted] * 5


def test_without_adapters_the_rows_are_the_base(root: Path) -> None:
    bare = TransformersEngine.load(root / "trainer" / "embedded" / "weights", threads=1)
    wanted = alone(bare, None, QUESTIONS[0])
    mixed = MixedAdapters(bare)
    row = Row(prompt=bare.chat.prompt(closed_book(QUESTIONS[0])), limit=LIMIT)
    batch = RunningBatch(mixed.network, [row])
    while batch.step(mixed.network):
        pass
    assert row.ids == wanted
