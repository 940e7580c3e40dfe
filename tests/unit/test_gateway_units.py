"""The gateway's pure parts: names of versions, requests read, the queue's order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.serving.batching import Ask, Batcher
from daemon.serving.embedded_upstream import EmbeddedUpstream
from daemon.serving.errors import Overloaded, RequestError, VersionRefused
from daemon.serving.openai_api import ChatRequest, CompletionRequest, read
from daemon.serving.reconcile import Reconciler
from daemon.serving.residents import Residents
from daemon.serving.versions import Version, named
from knowledge.model import Chat, Message, Sampling
from tests.gateway_fakes import BASE, ONE, TWO, MemorySource, ScriptedEngine, ScriptedRunning

TURN = {"role": "user", "content": "Who?"}


def test_a_digest_that_fits_two_versions_names_none() -> None:
    twins = [Version(1, "ab" * 32), Version(2, "ab" * 31 + "cd")]
    assert named("abababab", twins) is None
    assert named("ab" * 32, twins) == twins[0]


@given(st.text(max_size=40))
def test_any_model_name_names_at_most_one_version(name: str) -> None:
    assert named(name, [BASE, ONE, TWO]) in (None, BASE, ONE, TWO)


@given(st.dictionaries(st.text(max_size=12), st.none() | st.integers() | st.text(max_size=8)))
def test_any_body_is_read_or_refused(body: dict[str, Any]) -> None:
    try:
        read(ChatRequest, body)
    except RequestError as error:
        assert error.status == 400
    else:
        raise AssertionError("a body without messages was taken")


def test_a_field_that_is_null_is_absent() -> None:
    body = {"model": "almanac", "messages": [TURN], "tools": None, "temperature": None}
    assert read(ChatRequest, body).sampling() == Sampling(max_new_tokens=128)


def test_greedy_requests_are_equal_whatever_their_seed() -> None:
    one = read(CompletionRequest, {"model": "almanac", "prompt": "x", "seed": 1, "top_p": 0.5})
    two = read(CompletionRequest, {"model": "almanac", "prompt": "x", "seed": 2})
    assert one.sampling() == two.sampling()


def test_parts_of_text_are_joined_and_the_developer_is_the_system() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    body = {
        "model": "almanac",
        "messages": [{"role": "developer", "content": "c"}, {"role": "user", "content": parts}],
    }
    assert read(ChatRequest, body).chats() == [(Message("system", "c"), Message("user", "ab"))]


def test_a_stream_of_several_answers_is_refused() -> None:
    with pytest.raises(RequestError, match="one answer"):
        read(ChatRequest, {"model": "almanac", "messages": [TURN], "n": 2, "stream": True})


def chat(text: str) -> Chat:
    return (Message("user", text),)


def test_requests_run_together_under_whatever_version() -> None:
    engine = ScriptedEngine()
    engine.loaded = {str(ONE.adapter): None}  # type: ignore[dict-item]
    engine.hold.clear()

    async def play() -> None:
        batcher = Batcher(engine)
        batcher.start()
        greedy, warm = Sampling(), Sampling(temperature=1.0)
        wanted: Sequence[tuple[str | None, Sampling]] = [
            (None, greedy),
            (ONE.adapter, greedy),
            (None, warm),
        ]
        asked = [asyncio.create_task(batcher.complete(a, chat("x"), s)) for a, s in wanted]
        await asyncio.sleep(0.05)
        engine.hold.set()
        await asyncio.gather(*asked)
        await asyncio.to_thread(batcher.stop)

    asyncio.run(play())
    assert 3 in engine.steps


def test_a_request_joins_what_is_being_answered() -> None:
    engine = ScriptedEngine(pace_s=0.005)

    async def play() -> list[str]:
        batcher = Batcher(engine)
        batcher.start()
        order: list[str] = []

        async def ask(words: int) -> None:
            await batcher.complete(None, chat(" ".join(["w"] * words)), Sampling())
            order.append(str(words))

        long = asyncio.create_task(ask(60))
        await asyncio.sleep(0.05)
        await ask(1)
        await long
        await asyncio.to_thread(batcher.stop)
        return order

    assert asyncio.run(play()) == ["1", "60"]


def test_what_cannot_be_answered_fails_alone() -> None:
    class Moody(ScriptedEngine):
        def begin(self, asks: Sequence[Ask]) -> list[ScriptedRunning]:
            if any("bad" in message.content for _, one, _ in asks for message in one):
                raise RuntimeError("no")
            return super().begin(asks)

    async def play() -> list[Any]:
        batcher = Batcher(Moody())
        asked = [batcher.complete(None, chat(t), Sampling()) for t in ("good", "bad", "fine")]
        waiting = [asyncio.create_task(one) for one in asked]
        await asyncio.sleep(0)
        batcher.start()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.to_thread(batcher.stop)
        return answers

    good, bad, fine = asyncio.run(play())
    assert isinstance(bad, RuntimeError)
    assert [good[0].text, fine[0].text] == ["base says: good", "base says: fine"]


def test_an_engine_that_breaks_fails_what_runs_and_goes_on() -> None:
    class Breaking(ScriptedEngine):
        def step(self) -> None:
            if len(self.steps) == 1:
                self.steps.append(0)
                self.running = []
                raise RuntimeError("out of memory")
            super().step()

    async def play() -> str:
        batcher = Batcher(Breaking())
        batcher.start()
        with pytest.raises(RuntimeError, match="out of memory"):
            await batcher.complete(None, chat("one"), Sampling())
        answer = await batcher.complete(None, chat("two"), Sampling())
        await asyncio.to_thread(batcher.stop)
        return answer[0].text

    assert asyncio.run(play()) == "base says: two"


def test_a_request_that_is_given_up_stops_the_engine() -> None:
    engine = ScriptedEngine(pace_s=0.01)

    async def play() -> None:
        batcher = Batcher(engine)
        batcher.start()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await batcher.complete(None, chat("w " * 100), Sampling(max_new_tokens=100))
        await batcher.complete(None, chat("still there?"), Sampling())
        await asyncio.to_thread(batcher.stop)

    asyncio.run(play())
    assert len(engine.steps) < 60


def test_a_full_queue_says_how_long_it_is() -> None:
    async def play() -> Overloaded:
        batcher = Batcher(ScriptedEngine(), max_queue=2)  # not started: nothing is taken
        waiting = [
            asyncio.create_task(batcher.complete(None, chat("x"), Sampling())) for _ in range(2)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refused:
            await batcher.complete(None, chat("x"), Sampling())
        for task in waiting:
            task.cancel()
        return refused.value

    error = asyncio.run(play())
    assert error.status == 429
    assert error.retry_after_s >= 1


def test_a_version_in_use_is_not_unloaded_to_make_room() -> None:
    engine = ScriptedEngine()
    versions = [BASE, *(Version(n, f"{n:02d}" * 32) for n in range(1, 7))]
    source = MemorySource(*versions)

    async def play() -> set[Version]:
        batcher = Batcher(engine)
        batcher.start()
        residents = Residents(EmbeddedUpstream(batcher), source, capacity=4)
        reconciler = Reconciler(residents, source)
        for version in versions[:3]:
            source.move(version)
            assert await reconciler.step()
        async with residents.lease(versions[3]):
            for version in versions[4:]:
                async with residents.lease(version):
                    pass
            held = set(residents.loaded)
        await asyncio.to_thread(batcher.stop)
        return held

    held = asyncio.run(play())
    assert {versions[1], versions[2], versions[3]} <= held


def test_a_version_that_cannot_be_read_is_refused_to_who_asks_for_it() -> None:
    source = MemorySource(BASE, ONE)
    source.broken[ONE] = "altered"

    async def play() -> None:
        batcher = Batcher(ScriptedEngine())
        batcher.start()
        residents = Residents(EmbeddedUpstream(batcher), source)
        with pytest.raises(VersionRefused, match="altered"):
            async with residents.lease(ONE):
                pass
        assert residents.in_flight(ONE) == 0
        await asyncio.to_thread(batcher.stop)

    asyncio.run(play())
