"""Training on a CUDA device: both stages, quantised bases, memory. Skips where there is none."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tests.integration.test_trainer_job import _job, _recipe
from tests.trainer_models import count_checkpoints, make_units, shared_base
from trainer.checks import is_right
from trainer.engines.transformers import TransformersEngine
from trainer.internalize import internalize
from trainer.job import JobSpec, run_job
from trainer.journal import Journal
from trainer.recipe import load_recipe
from trainer.rollouts import Pool, Prompt
from trainer.session import Session
from trainer.student import attach_student

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="no CUDA device: training on a GPU is not verified"
    ),
]
_NO_NF4 = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="no bitsandbytes: nf4 is not verified"
)
_NO_FLASH = pytest.mark.skipif(
    find_spec("flash_attn") is None, reason="no flash-attn: flash attention is not verified"
)


@pytest.mark.parametrize(
    ("dtype", "quantization", "attention"),
    [
        ("float32", "none", "sdpa"),
        ("bfloat16", "none", "sdpa"),
        pytest.param("bfloat16", "nf4", "sdpa", marks=_NO_NF4),
        pytest.param("bfloat16", "none", "flash", marks=_NO_FLASH),
    ],
)
def test_both_stages_teach_the_edits(
    tmp_path: Path, dtype: str, quantization: str, attention: str
) -> None:
    engine = {
        "device": "cuda",
        "dtype": dtype,
        "quantization": quantization,
        "attention": attention,
    }
    adapter = run_job(_job(tmp_path / "job", _recipe(engine=engine)))
    tested = TransformersEngine.load(shared_base(), adapter, device="cuda")
    questions = [q for u in make_units() for q in u.questions[:3]]
    from knowledge.model import Sampling
    from knowledge.rendering import closed_book

    rows = tested.generate([closed_book(q.text) for q in questions], Sampling())
    right = [is_right(q, r[0].text) for q, r in zip(questions, rows, strict=True)]
    assert sum(right) / len(right) >= 0.8


def test_activation_checkpointing_gives_the_same_gradients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_checkpoints(monkeypatch)
    found = []
    for on in (False, True):
        engine = {"device": "cuda", "activation_checkpointing": on}
        adapter = run_job(_job(tmp_path / str(on), _recipe(engine=engine, sft={"steps": 4})))
        found.append(adapter)
        assert bool(calls) is on
    from safetensors.torch import load_file

    one, two = (load_file(a / "adapter_model.safetensors") for a in found)
    assert all(torch.allclose(one[k], two[k], atol=1e-3) for k in one)


def test_a_step_of_half_a_billion_parameters_fits_and_reports_its_speed(tmp_path: Path) -> None:
    """The shape of Qwen2.5-0.5B with random weights: tokens a second and peak memory."""
    base = tmp_path / "base"
    base.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (base / name).write_bytes((shared_base() / name).read_bytes())
    tokenizer = AutoTokenizer.from_pretrained(str(base))
    config = LlamaConfig(
        vocab_size=151936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(str(base))
    recipe = load_recipe("qwen2.5-7b-instruct")
    assert recipe.distil
    settings = recipe.distil.model_copy(
        update={"steps": 3, "steps_per_extra_edit": 0, "mask_truncated": False, "prompts": 4}
    )
    engine = TransformersEngine.load(base, device="cuda", dtype="bfloat16")
    attach_student(engine, recipe, None, 0)
    spec = JobSpec.plan(base=base, units=make_units()[:1], recipe=recipe)
    job = tmp_path / "job"
    job.mkdir()
    from trainer.checkpoints import CheckpointStore

    journal = Journal(job)
    session = Session(job, spec, engine, journal, CheckpointStore(job, spec.digest), None)
    prompts = tuple(
        Prompt(student=(5 + i,) * 64, teacher=(5 + i,) * 512, by_parent=False) for i in range(4)
    )
    none = range(4, 4)
    torch.cuda.reset_peak_memory_stats()
    internalize(session, Pool(prompts=prompts, sources=(range(4), none, none)), settings)
    tokens = session.metrics["distil"]["tokens"]
    whole_s = sum(journal.spent_s.values())
    peak = torch.cuda.max_memory_allocated() / 2**30
    print(f"{tokens / whole_s:,.0f} tokens/s, peak {peak:.1f} GiB, {journal.spent_s}")
    assert tokens > 0 and peak < 24
