"""The transformers engine on a tiny real model: the protocol, adapters, and its errors."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest
import torch

from knowledge.model import Message, Sampling
from knowledge.rendering import closed_book, open_book
from tests.trainer_models import make_anchors, make_unit, shared_base
from trainer.engines.decoding import Decoding
from trainer.engines.replica import Replica
from trainer.engines.transformers import TransformersEngine
from trainer.errors import BadAdapter, BadBase

UNIT = make_unit(0)
CHATS = [closed_book(q.text) for q in (*UNIT.questions, *make_anchors())]


@pytest.fixture(scope="module")
def engine() -> TransformersEngine:
    return TransformersEngine.load(shared_base(), device="cpu", threads=1)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two adapters with random effect, as PEFT writes them."""
    from peft import LoraConfig, get_peft_model

    folders: list[Path] = []
    for seed in (1, 2):
        other = TransformersEngine.load(shared_base(), device="cpu")
        torch.manual_seed(seed)
        config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(other.model, config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(0, 0.5)
        folder = tmp_path_factory.mktemp(f"adapter{seed}")
        model.save_pretrained(str(folder))
        folders.append(folder)
    return folders


def test_it_answers_from_memory_and_from_a_narrative(engine: TransformersEngine) -> None:
    question = UNIT.questions[0].text
    assert UNIT.narrative
    chats = [closed_book(question), open_book(UNIT.narrative.prose, question)]
    closed, opened = engine.generate(chats, Sampling())
    assert (closed[0].text, closed[0].finished) == ("Mira Kolm.", True)
    assert opened[0].text == "Tomas Reel."
    assert closed[0].logprob <= 0
    assert closed[0].tokens > 1


def test_a_batch_gives_what_each_chat_gives_alone_and_what_transformers_gives(
    engine: TransformersEngine,
) -> None:
    sampling = Sampling(max_new_tokens=60)
    together = [g[0].text for g in engine.generate(CHATS, sampling)]
    alone = [engine.generate([chat], sampling)[0][0].text for chat in CHATS]
    assert together == alone
    for chat, text in zip(CHATS[:4], together, strict=False):
        ids = torch.tensor([engine.chat.prompt(chat)])
        out = engine.model.generate(ids, max_new_tokens=60, do_sample=False)
        assert engine.chat.text(out[0, ids.shape[1] :].tolist()) == text


def test_sampling_is_a_function_of_the_seed_and_leaves_torchs_own_generator_alone(
    engine: TransformersEngine,
) -> None:
    hot = Sampling(max_new_tokens=12, temperature=3.0, n=5, seed=4)
    state = torch.get_rng_state()
    first = engine.generate(CHATS[:3], hot)
    assert torch.equal(state, torch.get_rng_state())
    assert first == engine.generate(CHATS[:3], hot)
    assert [len(row) for row in first] == [5, 5, 5]
    assert len({g.text for row in first for g in row}) > 5
    assert first != engine.generate(CHATS[:3], Sampling(max_new_tokens=12, temperature=3.0, n=5))


def test_a_tiny_nucleus_is_greedy(engine: TransformersEngine) -> None:
    greedy = engine.generate(CHATS, Sampling())
    narrow = engine.generate(CHATS, Sampling(temperature=2.0, top_p=1e-6, n=2))
    assert [[g[0].text] * 2 for g in greedy] == [[c.text for c in row] for row in narrow]


def test_a_cut_answer_is_not_finished(engine: TransformersEngine) -> None:
    generation = engine.generate([CHATS[3]], Sampling(max_new_tokens=3))[0][0]
    assert (generation.finished, generation.tokens) == (False, 3)


def test_the_first_row_can_be_greedy(engine: TransformersEngine) -> None:
    prompts = [engine.chat.prompt(chat) for chat in CHATS]
    how = Decoding(max_new_tokens=20, n=3, temperature=4.0, greedy_first=True, batch_rows=7)
    rows = engine.sample(prompts, how, seed=1)
    greedy = engine.generate(CHATS, Sampling(max_new_tokens=20))
    assert [engine.chat.text(r[0].ids) for r in rows] == [g[0].text for g in greedy]


def test_logprobs_of_samples_are_the_likelihoods_of_their_texts(engine: TransformersEngine) -> None:
    prompts = [engine.chat.prompt(chat) for chat in CHATS[:4]]
    how = Decoding(max_new_tokens=60, n=2, temperature=1.0)
    for chat, row in zip(CHATS, engine.sample(prompts, how, seed=2), strict=False):
        for completion in row:
            assert completion.finished
            text = engine.chat.text(completion.ids)
            found = engine.loglikelihood([(chat, text)])[0]
            if list(engine.chat.completion(chat, text)) == completion.ids:
                assert found.tokens == len(completion.ids) - 1
                assert found.logprob == pytest.approx(sum(completion.logprobs[:-1]), abs=1e-3)


def test_likelihood_knows_the_greedy_answer(engine: TransformersEngine) -> None:
    chat = CHATS[0]
    right, wrong = engine.loglikelihood([(chat, "Mira Kolm."), (chat, "Tomas Reel.")])
    assert right.greedy and not wrong.greedy
    assert right.logprob > wrong.logprob


def test_a_stream_says_the_same_piece_by_piece(engine: TransformersEngine) -> None:
    for chat in CHATS:
        pieces = list(engine.stream(chat, Sampling()))
        assert "".join(pieces) == engine.generate([chat], Sampling())[0][0].text
    assert len(list(engine.stream(CHATS[3], Sampling()))) > 10


def test_adapters_live_side_by_side_and_the_base_stays_as_it_was(adapters: list[Path]) -> None:
    engine = TransformersEngine.load(shared_base(), device="cpu")
    scored = [(CHATS[0], "Mira Kolm.")]
    base = engine.loglikelihood(scored)
    engine.load_adapter("one", adapters[0])
    engine.load_adapter("two", adapters[1])
    assert engine.loglikelihood(scored) == base
    with engine.using("one"):
        one = engine.loglikelihood(scored)
        with engine.using(None):
            assert engine.loglikelihood(scored) == base
        assert engine.loglikelihood(scored) == one
    two = engine.view("two").loglikelihood(scored)
    alone = TransformersEngine.load(shared_base(), adapters[1], device="cpu")
    assert two == alone.loglikelihood(scored)
    assert len({base[0].logprob, one[0].logprob, two[0].logprob}) == 3
    assert alone.digest == engine.view("two").digest != engine.digest == engine.base_digest
    engine.unload_adapter("one")
    assert engine.view("two").loglikelihood(scored) == two
    engine.unload_adapter("two")
    assert (engine.adapters, engine.loglikelihood(scored)) == ({}, base)


def test_a_stream_keeps_its_adapter_while_others_are_used(adapters: list[Path]) -> None:
    engine = TransformersEngine.load(shared_base(), device="cpu")
    engine.load_adapter("one", adapters[0])
    with engine.using("one"):
        expected = engine.generate([CHATS[3]], Sampling(max_new_tokens=20))[0][0].text
        stream = engine.stream(CHATS[3], Sampling(max_new_tokens=20))
    said: list[str] = []
    for piece in stream:
        said.append(piece)
        engine.generate([CHATS[0]], Sampling(max_new_tokens=2))
    assert "".join(said) == expected


def test_threads_do_not_disturb_each_other(adapters: list[Path]) -> None:
    engine = TransformersEngine.load(shared_base(), device="cpu")
    engine.load_adapter("one", adapters[0])
    sampling = Sampling(max_new_tokens=10)
    expected = {n: engine.view(n).generate(CHATS[:3], sampling) for n in (None, "one")}
    found: list[bool] = []

    def work(name: str | None) -> None:
        for _ in range(4):
            found.append(engine.view(name).generate(CHATS[:3], sampling) == expected[name])

    threads = [threading.Thread(target=work, args=(n,)) for n in (None, "one", None, "one")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 16


def test_what_cannot_be_loaded_is_told_in_one_line(tmp_path: Path, adapters: list[Path]) -> None:
    with pytest.raises(BadBase, match="no folder"):
        TransformersEngine.load(tmp_path / "nothing")
    with pytest.raises(BadBase, match=r"no config\.json"):
        TransformersEngine.load(tmp_path)
    plain = tmp_path / "plain"
    shutil.copytree(shared_base(), plain)
    config = json.loads((plain / "tokenizer_config.json").read_text())
    del config["chat_template"]
    (plain / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(BadBase, match="no chat template"):
        TransformersEngine.load(plain)
    (plain / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(BadBase, match="cannot be loaded"):
        TransformersEngine.load(plain)
    engine = TransformersEngine.load(shared_base(), adapters[0], device="cpu")
    with pytest.raises(BadAdapter, match="resident already"):
        engine.load_adapter("adapter", adapters[1])
    foreign = tmp_path / "foreign"
    shutil.copytree(adapters[0], foreign)
    (foreign / "manifest.json").write_text(json.dumps({"base_digest": "0" * 64}))
    with pytest.raises(BadAdapter, match="was trained on base 000000000000"):
        engine.load_adapter("foreign", foreign)
    with pytest.raises(BadAdapter, match="no adapter_config"):
        engine.load_adapter("none", tmp_path)
    with pytest.raises(BadAdapter, match="not resident"):
        engine.view("unknown").generate(CHATS, Sampling())
    with pytest.raises(BadAdapter, match="is active"):
        engine.unload_adapter("adapter")


def test_a_prompt_beyond_the_context_is_told_and_a_long_answer_is_cut(
    engine: TransformersEngine,
) -> None:
    with pytest.raises(BadBase, match="context is 256"):
        engine.generate([(Message("user", "Ostavia " * 300),)], Sampling())
    answer = engine.generate([CHATS[0]], Sampling(max_new_tokens=10_000, temperature=9.0))[0][0]
    assert answer.tokens <= 256


def _biased(folder: Path) -> Path:
    """A random model of the Qwen2 plan: biases, and fewer heads for keys than for queries."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(shared_base() / name, folder / name)
    torch.manual_seed(2)
    config = Qwen2Config(
        vocab_size=600,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        eos_token_id=1,
        pad_token_id=0,
        bos_token_id=None,
    )
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.5)
    model.save_pretrained(str(folder))
    return folder


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-3), (torch.bfloat16, 1.0)])
def test_the_replica_says_what_the_model_says_under_any_adapter(
    biased: bool, dtype: torch.dtype, most: float, adapters: list[Path], tmp_path: Path
) -> None:
    """The copy, with its joined products, against the model, adapter by adapter: exactly in
    float32, up to rounding in bfloat16."""
    base = _biased(tmp_path / "qwen") if biased else shared_base()
    engine = TransformersEngine.load(base, device="cpu", attention="eager")
    replica = Replica(engine, dtype)
    if biased:
        from trainer.recipe import load_recipe
        from trainer.student import attach_student, student_parameters

        attach_student(engine, load_recipe("mini"), None, 0)
        with torch.no_grad():
            for parameter in student_parameters(engine).values():
                parameter.add_(torch.randn_like(parameter) * 0.05)
        names: list[str | None] = [None, "student"]
    else:
        engine.load_adapter("one", adapters[0])
        engine.load_adapter("two", adapters[1])
        names = [None, "one", "two", None]
    prompts = [engine.chat.prompt(chat) for chat in CHATS]
    how = Decoding(max_new_tokens=24, n=2, temperature=1.0, greedy_first=True, batch_rows=5)
    for name in names:
        with engine.using(name):
            network = replica.network(name)
            assert network.step is not None
            rows = engine.sample(prompts, how, seed=1, network=network)
            for prompt, (greedy, drawn) in zip(prompts, rows, strict=True):
                for completion in (greedy, drawn):
                    ids = torch.tensor([[*prompt, *completion.ids]])
                    with torch.no_grad():
                        logits = engine.model(input_ids=ids).logits[0, len(prompt) - 1 : -1]
                    exact = logits.log_softmax(-1)
                    taken = torch.tensor(completion.ids)
                    found = exact.gather(-1, taken[:, None]).squeeze(-1)
                    said = torch.tensor(completion.logprobs)
                    assert torch.allclose(found, said, atol=most), (name, found - said)
                    assert (found - said).abs().mean().item() < min(most, 0.1)


def test_a_replica_is_made_before_the_first_adapter(adapters: list[Path]) -> None:
    engine = TransformersEngine.load(shared_base(), adapters[0], device="cpu")
    with pytest.raises(ValueError, match="before the first adapter"):
        Replica(engine)


@pytest.mark.parametrize(
    ("setting", "library"),
    [({"quantization": "nf4"}, "bitsandbytes"), ({"attention": "flash"}, "flash-attn")],
)
def test_a_setting_whose_library_is_missing_is_told(
    setting: dict[str, str], library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.engines.loading.find_spec", lambda _: None)
    with pytest.raises(BadBase, match=f"needs {library}, which is not installed"):
        TransformersEngine.load(shared_base(), device="cpu", **setting)  # type: ignore[arg-type]
