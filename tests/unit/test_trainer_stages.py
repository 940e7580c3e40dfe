"""Steps of both stages over a random base of two layers: what they do, not what they teach."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from knowledge.questions import QuestionKind
from knowledge.rendering import closed_book
from tests.trainer_models import build_base, count_checkpoints, make_units
from trainer.bootstrap import Bootstrap, bootstrap
from trainer.checkpoints import CheckpointStore
from trainer.companions import Companion, Companions
from trainer.engines.decoding import Completion, Decoding
from trainer.engines.transformers import TransformersEngine
from trainer.errors import BadJob
from trainer.internalize import internalize
from trainer.job import JobSpec
from trainer.journal import Journal
from trainer.methods.code import train_code
from trainer.methods.rows import row
from trainer.ranking import Candidate, rank
from trainer.recipe import Recipe, load_recipe
from trainer.rollouts import Pool, Prompt
from trainer.session import Session
from trainer.sft import SftRows, fine_tune
from trainer.student import STUDENT, answer_hidden, attach_student, student_state

LAYERS, STEPS = 2, 2
ASKED = make_units()[0].questions


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_base(tmp_path_factory.mktemp("random") / "base", steps=0)


def _recipe(**sections: dict[str, object]) -> Recipe:
    """`mini` with two steps of four rows a stage, and some settings changed."""
    recipe = load_recipe("mini")
    small: dict[str, dict[str, object]] = {
        "sft": {"steps": STEPS, "batch_rows": 4, "check_every": 0},
        "distil": {"steps": STEPS, "prompts": 4, "max_new_tokens": 6},
    }
    update = {
        name: getattr(recipe, name).model_copy(update=small.get(name, {}) | sections.get(name, {}))
        for name in small | sections
    }
    return recipe.model_copy(update=update)


def _session(base: Path, folder: Path, recipe: Recipe) -> Session:
    folder.mkdir(exist_ok=True)
    engine = TransformersEngine.load(base, device="cpu", threads=1)
    attach_student(engine, recipe, None, 0)
    spec = JobSpec.plan(base=base, units=make_units(), recipe=recipe)
    store = CheckpointStore(folder, spec.digest)
    return Session(folder, spec, engine, Journal(folder), store, None)


def _fine_tune(session: Session) -> None:
    assert session.recipe.sft
    rows = SftRows(edits=[row(session, q.text, q.reference) for q in ASKED[:4]])
    fine_tune(session, rows, session.recipe.sft, then="distil")


def _internalize(session: Session) -> None:
    assert session.recipe.distil
    prompts = tuple(
        Prompt(student=(9 + i,) * 8, teacher=(9 + i,) * 20, by_parent=False) for i in range(4)
    )
    none = range(4, 4)
    pool = Pool(prompts=prompts, sources=(range(4), none, none))
    internalize(session, pool, session.recipe.distil)


def _answering(*finished: bool) -> Callable[..., list[list[Completion]]]:
    """A sampler each of whose rounds is whole or cut."""
    rounds = iter(finished)

    def sample(_: Session, prompts: Any, *__: object) -> list[list[Completion]]:
        done = next(rounds)
        return [[Completion([7, 8, 9], [-1.0] * 3, done)] for _ in prompts]

    return sample


# -- modes of the layers --------------------------------------------------------------------------


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_checkpointed_layers_are_computed_again_with_the_same_result(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch, dropout: float
) -> None:
    calls = count_checkpoints(monkeypatch)
    monkeypatch.setattr(Session, "sample", _answering(*[True] * 2 * STEPS))
    trained, said = [], []
    for on in (False, True):
        recipe = _recipe(engine={"activation_checkpointing": on}, lora={"dropout": dropout})
        session = _session(base, tmp_path / str(on), recipe)
        _fine_tune(session)
        assert len(calls) == on * LAYERS * STEPS
        _internalize(session)
        trained.append(student_state(session.engine))
        session.engine.model.eval()
        with session.engine.using(STUDENT):
            said += session.engine.sample([[9, 8]], Decoding(max_new_tokens=3), 0)
    assert len(calls) == 2 * LAYERS * STEPS
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])
    assert any(bool(weights.abs().sum() > 0) for n, weights in trained[0].items() if "lora_B" in n)
    assert said[0][0].ids == said[1][0].ids


@pytest.mark.parametrize("kept", [True, False])
def test_dropout_holds_in_stage_one_and_where_the_recipe_says_so_in_stage_two(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    seen: dict[str, set[bool]] = {}

    def noting(stage: str) -> Callable[..., torch.Tensor]:
        def noted(network: Any, rows: Any) -> torch.Tensor:
            dropouts = [m for m in network.decoder.modules() if isinstance(m, torch.nn.Dropout)]
            seen.setdefault(stage, set()).update(m.training for m in dropouts)
            return answer_hidden(network, rows)

        return noted

    for stage in ("sft", "internalize"):
        monkeypatch.setattr(f"trainer.{stage}.answer_hidden", noting(stage))
    monkeypatch.setattr(Session, "sample", _answering(True, True))
    session = _session(base, tmp_path, _recipe(lora={"dropout": 0.1}, distil={"dropout": kept}))
    _fine_tune(session)
    _internalize(session)
    assert seen == {"sft": {True}, "internalize": {kept}}


# -- rounds without an answer to learn from -------------------------------------------------------


def _lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_a_stage_that_learned_from_nothing_is_an_error(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "sample", _answering(False, False))
    session = _session(base, tmp_path, _recipe())
    with pytest.raises(BadJob, match=r"learned nothing of unit-0, unit-1: all 8 answers"):
        _internalize(session)
    assert session.checkpoints.latest(pytest.fail) is None
    lines = _lines(tmp_path, "progress.jsonl")
    assert [(x["loss"], "cut or repeat" in x["warning"]) for x in lines] == [(None, True)] * 2


def test_a_round_that_keeps_nothing_is_told_and_the_stage_goes_on(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "sample", _answering(True, False))
    session = _session(base, tmp_path, _recipe())
    _internalize(session)
    warned = [bool(x["warning"]) for x in _lines(tmp_path, "progress.jsonl")]
    assert warned == [False, True]
    first, second = _lines(tmp_path, "metrics.jsonl")
    assert (first["rollouts"], second["rollouts"], second["loss"]) == (4, 0, None)
    assert session.metrics["distil"]["last_loss"] == round(first["loss"], 6)


# -- what is sampled, ranked and replayed ---------------------------------------------------------


def test_a_unit_with_nothing_to_sample_is_named(tmp_path: Path, base: Path) -> None:
    session = _session(base, tmp_path, _recipe(sampling={"kinds": (QuestionKind.TWO_HOP,)}))
    with pytest.raises(BadJob, match=r"unit unit-0 has no training question.*\(two_hop\)"):
        bootstrap(session)


def test_a_rationale_is_scored_by_the_right_answer_after_it(tmp_path: Path, base: Path) -> None:
    """Against two passes over whole texts, whose difference is the answer's."""
    session = _session(base, tmp_path, _recipe(sampling={"score": "answer"}))
    question = next(q for q in ASKED if q.kind is QuestionKind.EXPLAIN)
    committed = question.reference[question.reference.rindex("So ") :]
    reasons = ["Mira Kolm left office. Tomas Reel followed.", "Nobody knows why."]
    wrong = "So it is somebody else."
    texts = [*(f"{reason} {wrong}" for reason in reasons), wrong, f"{reasons[0]} {wrong}"]
    drawn = [Candidate(text, -0.5) for text in texts]
    rank(session, [(question, candidate) for candidate in drawn])
    chat = closed_book(question.text)
    wholes = [(chat, f"{reason} {committed}") for reason in reasons]
    with session.engine.using(None):
        found = session.engine.loglikelihood(
            [*wholes, (chat, committed), *((chat, reason) for reason in reasons)]
        )
    expected = [
        (whole.logprob - before.logprob) / (whole.tokens - before.tokens)
        for whole, before in zip(found[:2], found[3:], strict=True)
    ]
    expected.append(found[2].logprob / found[2].tokens)
    assert [c.score for c in drawn[:3]] == pytest.approx(expected, rel=1e-3)
    assert drawn[3].score == drawn[0].score
    assert len({c.score for c in drawn}) == 3


@pytest.mark.parametrize(("sft", "distil"), [(3, 2), (2, 4)])
def test_each_stage_draws_from_as_many_companions_as_its_mix_says(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch, sft: int, distil: int
) -> None:
    mix = load_recipe("mini").sft.mix  # type: ignore[union-attr]
    recipe = _recipe(
        sft={"mix": mix.model_copy(update={"most_rows": sft})},
        distil={"mix": mix.model_copy(update={"most_rows": distil})},
    )
    session = _session(base, tmp_path, recipe)
    asked: list[int] = []
    found: dict[str, int] = {}

    def companions(_: Session, most: int) -> Companions:
        asked.append(most)
        rows = tuple(Companion(question=f"Which is {i}?", answer="it") for i in range(most))
        return Companions(replay=rows, anchors=rows)

    def fine_tune(_: Session, rows: SftRows, *__: object, then: str) -> None:
        found["sft"] = len(rows.anchors)

    def internalize(_: Session, pool: Pool, __: object) -> None:
        found["distil"] = len(pool.sources[2])

    monkeypatch.setattr("trainer.methods.code.bootstrap", lambda _: Bootstrap())
    for name in (companions, fine_tune, internalize):
        monkeypatch.setattr(f"trainer.methods.code.{name.__name__}", name)
    train_code(session, internalise=True)
    assert asked == [max(sft, distil)]
    assert found == {"sft": sft, "distil": distil}
