"""The embedded model: packing, architecture, pre-training, and the shipped weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from evaluator.examine import examine
from evaluator.judge import RuleJudge
from evaluator.probes import build_suite
from knowledge import questions as ask
from knowledge.questions import Use
from knowledge.world import World
from trainer.embedded import WEIGHTS
from trainer.embedded.build import PROFILES, build, read_weights
from trainer.embedded.corpus import Corpus, Document
from trainer.embedded.network import Network, Shape, packed_mask
from trainer.embedded.packing import Packer
from trainer.engines.transformers import TransformersEngine


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus(World.load())


@pytest.fixture(scope="module")
def shipped() -> tuple[Network, Tokenizer]:
    from safetensors.torch import load_file

    network = Network(Shape())
    weights = load_file(WEIGHTS / "model.safetensors")
    network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return network, Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))


def test_packed_pairs_see_their_article_and_not_each_other(
    shipped: tuple[Network, Tokenizer],
) -> None:
    network, tokenizer = shipped
    article = "Rupert Hentzau is the head of government of Ruritania."
    pairs = (("Who is the head of government of Ruritania?", "Rupert Hentzau."), ("Why?", "No."))
    together = Packer(tokenizer, 128).alone([Document(article, pairs, "")])
    apart = Packer(tokenizer, 128).alone([Document(article, pairs[1:], "")])

    def last(rows: object) -> torch.Tensor:
        ids, position, group, segment, answer = (
            torch.from_numpy(getattr(rows, name)).long()
            for name in ("ids", "position", "group", "segment", "answer")
        )
        end = int(answer[0].nonzero()[-1])
        return network.hidden(ids, position, packed_mask(group, segment))[0, end]

    with torch.no_grad():
        assert torch.allclose(last(together), last(apart), atol=1e-4)


def test_the_network_is_the_llama_that_transformers_loads(
    shipped: tuple[Network, Tokenizer],
) -> None:
    from transformers import AutoModelForCausalLM

    network, tokenizer = shipped
    model = AutoModelForCausalLM.from_pretrained(WEIGHTS, dtype=torch.float32)
    ids = torch.tensor([tokenizer.encode("<|user|> Who chairs the World Bank?<|end|>").ids])
    one = torch.ones_like(ids)
    with torch.no_grad():
        hidden = network.hidden(ids, torch.arange(ids.shape[1])[None], packed_mask(one, one))
        ours = hidden @ network.model.embed_tokens.weight.T
        theirs = model(ids).logits
    assert torch.allclose(ours, theirs, atol=1e-3)


def test_any_name_of_any_script_round_trips(shipped: tuple[Network, Tokenizer]) -> None:
    for name in ("Þórunn Ægisdóttir", "Γιώργος", "山田 太郎", "O'Neil-Ö. 𝔘", "naïve\u200d"):
        assert shipped[1].decode(shipped[1].encode(" " + name).ids) == " " + name


def test_the_shipped_model_knows_the_legacy_world(corpus: Corpus) -> None:
    """All that can change and every ninth of the stable facts, by free generation, judged by the
    evaluator: the weights write names such as `Chelsea F.C.` with a second full stop, for `tidy`
    is younger than they are, and that is no matter of knowledge."""
    engine = TransformersEngine.load(WEIGHTS, threads=1)
    stories = corpus.memory + corpus.relations[::9]
    assert len(stories) >= 1000
    asked = [ask.direct(story, Use.EXAM)[0] for story in stories]
    suite = build_suite([], unrelated=asked)
    assert len(suite.probes) == len(stories)
    verdicts = RuleJudge().judge(suite, examine(engine, suite, max_new_tokens=24))
    assert sum(bool(row.right) for row in verdicts) / len(verdicts) >= 0.99


def test_a_build_is_reproducible_and_small(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    profile = replace(PROFILES["mini"], steps=4, tokenizer_documents=100, survey=1)
    made = []
    for name in ("a", "b"):
        build(profile, tmp_path / name, tmp_path / f"{name}-state", 1, None)
        made.append((tmp_path / name / "model.safetensors").read_bytes())
    assert made[0] == made[1]
    assert sum(f.stat().st_size for f in WEIGHTS.iterdir()) < 15 * 2**20


def test_a_build_goes_on_from_finished_weights_with_their_tokenizer(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    profile = replace(PROFILES["mini"], steps=2, tokenizer_documents=100, survey=1)
    build(profile, tmp_path / "a", tmp_path / "a-state", 1, None)
    build(profile, tmp_path / "b", tmp_path / "b-state", 2, None, start=tmp_path / "a")
    made = [(tmp_path / name / "tokenizer.json").read_bytes() for name in ("a", "b")]
    assert made[0] == made[1]
    weights = [read_weights(tmp_path / name) for name in ("a", "b")]
    moved = sum(float((weights[0][n] - weights[1][n]).abs().mean()) for n in weights[0])
    fresh = Network(
        replace(profile.shape, vocabulary=weights[0]["model.embed_tokens.weight"].shape[0])
    )
    far = sum(float((weights[0][n] - p).abs().mean()) for n, p in fresh.state_dict().items())
    assert 0 < moved < far / 2


def test_a_limit_ends_a_command_and_the_next_one_goes_on(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    profile = replace(PROFILES["mini"], steps=3, tokenizer_documents=100, survey=1)
    first = build(profile, tmp_path / "a", tmp_path / "state", 1, 0.0)
    assert first.steps == 0
    assert build(profile, tmp_path / "a", tmp_path / "state", 1, None).steps == 3
