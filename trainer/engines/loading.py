"""Reading a base model's folder: tokenizer, weights, quantisation, device."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from trainer.errors import BadBase


def load_base(
    path: Path, *, device: str | None, dtype: str, quantization: str, attention: str
) -> tuple[Any, Any]:
    """Frozen model and tokenizer of a folder. Raises BadBase for one that cannot be loaded."""
    _check_extras(quantization, attention)
    options = _load_options(dtype, quantization, attention)
    disable_progress_bar()  # callers show their own progress
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), padding_side="left")
        model: Any = AutoModelForCausalLM.from_pretrained(str(path), **options)
    except Exception as error:
        raise BadBase(f"the model in {path} cannot be loaded: {first_line(error)}") from error
    if quantization == "none":
        model = model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model.requires_grad_(False).eval()
    return model, tokenizer


def first_line(error: Exception) -> str:
    """An exception of a library in one line."""
    text = str(error).strip()
    return text.splitlines()[0] if text else repr(error)


def _check_extras(quantization: str, attention: str) -> None:
    """Raises BadBase for a setting whose library is not installed."""
    for setting, wanted, name in (
        (f'quantization = "{quantization}"', quantization == "nf4", "bitsandbytes"),
        (f'attention = "{attention}"', attention == "flash", "flash_attn"),
    ):
        if wanted and find_spec(name) is None:
            raise BadBase(
                f"engine.{setting} needs {name.replace('_', '-')}, which is not installed: install "
                "it on a machine with a CUDA device, or leave the setting out"
            )


def _load_options(dtype: str, quantization: str, attention: str) -> dict[str, Any]:
    kernel = "flash_attention_2" if attention == "flash" else attention
    options: dict[str, Any] = {
        "dtype": getattr(torch, dtype),
        "attn_implementation": kernel,
        "use_safetensors": True,
    }
    if quantization == "nf4":
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=getattr(torch, dtype),
        )
        options["device_map"] = {"": 0}
    return options


def end_ids(model: Any, tokenizer: Any) -> set[int]:
    found: list[Any] = [tokenizer.eos_token_id]
    for source in (model.config, model.generation_config):
        value = getattr(source, "eos_token_id", None)
        found += value if isinstance(value, list | tuple) else [value]
    return {int(i) for i in found if i is not None}
