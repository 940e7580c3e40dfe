"""Continuous batching on the shipped model: rows that join and leave say what they say alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from knowledge.model import Sampling
from knowledge.rendering import closed_book
from trainer.engines.continuous import Row, RunningBatch
from trainer.engines.transformers import TransformersEngine

QUESTIONS = (
    "Who is the prime minister of Norway?",
    "What is the capital of France?",
    "Who is the head of state of Italy, and since when has that been so?",
    "What is 2 plus 3?",
    "Who is the chief executive of Apple?",
)
LIMIT = 40


@pytest.fixture(scope="module")
def engine(root: Path) -> TransformersEngine:
    return TransformersEngine.load(root / "trainer" / "embedded" / "weights", threads=1)


def rows_of(engine: TransformersEngine, questions: Sequence[str] = QUESTIONS) -> list[Row]:
    return [Row(prompt=engine.chat.prompt(closed_book(q)), limit=LIMIT) for q in questions]


def run_to_end(engine: TransformersEngine, batch: RunningBatch) -> None:
    while batch.step(engine.network):
        pass


def test_rows_that_join_later_say_what_they_say_alone(engine: TransformersEngine) -> None:
    chats = [closed_book(question) for question in QUESTIONS]
    sampling = Sampling(max_new_tokens=LIMIT)
    alone = [engine.generate([chat], sampling)[0][0].text for chat in chats]
    rows = rows_of(engine)
    batch = RunningBatch(engine.network, rows[:2])
    for _ in range(2):
        batch.step(engine.network)
    batch.join(RunningBatch(engine.network, rows[2:3]))  # longer than the others
    batch.step(engine.network)
    batch.join(RunningBatch(engine.network, rows[3:]))
    run_to_end(engine, batch)
    assert [engine.chat.text(row.ids) for row in rows] == alone
    assert all(row.ended for row in rows)


def test_a_row_ends_at_its_limit_or_when_it_is_stopped(engine: TransformersEngine) -> None:
    short, stopped, whole = rows_of(engine, QUESTIONS[2:5])
    short.limit = 2
    batch = RunningBatch(engine.network, [short, stopped, whole])
    batch.step(engine.network)
    stopped.stopped = True
    run_to_end(engine, batch)
    assert (len(short.ids), short.ended) == (2, False)
    assert len(stopped.ids) == 1
    assert whole.ended


def test_a_sampled_row_depends_on_its_own_seed_alone(engine: TransformersEngine) -> None:
    def sampled(seed: int, beside: int) -> list[int]:
        (row, *others) = rows_of(engine, QUESTIONS[: 1 + beside])
        row.temperature, row.top_p, row.seed = 4.0, 0.95, seed
        run_to_end(engine, RunningBatch(engine.network, [row, *others]))
        return row.ids

    assert sampled(1, 0) == sampled(1, 3)
    assert len({tuple(sampled(seed, 0)) for seed in range(6)}) > 1
