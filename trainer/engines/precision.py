"""In which precision training passes multiply matrices.

Weights, gradients of the adapter and the LM head stay in the engine's dtype; only the products
inside the decoder may run in bfloat16, where the processor has instructions for it: with AMX they
are several times faster, with AVX512-BF16 twice, without either they are slower. Sampling has a
copy of the decoder for the same purpose (`trainer.engines.replica`).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Products = Literal["auto", "float32", "bfloat16"]


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are done in hardware there: AMX or AVX512-BF16, or a CUDA device
    that says so."""
    if device.type == "cpu":
        return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def products(setting: Products, device: torch.device) -> AbstractContextManager[object]:
    """A context in which the decoder's matrix products run as `setting` says."""
    if setting == "float32" or (setting == "auto" and not has_fast_bfloat16(device)):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
