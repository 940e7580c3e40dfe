"""In which precision training passes multiply matrices.

Weights, gradients of the adapter, the LM head and sampling stay in the engine's dtype; only the
products inside the decoder may run in bfloat16, where the processor has units for it: on CPUs with
AMX they are several times faster, on CPUs without they are slower.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Products = Literal["auto", "float32", "bfloat16"]


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are done in hardware there: AMX, or a CUDA device that says so."""
    if device.type == "cpu":
        return bool(torch.cpu._is_amx_tile_supported())
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def products(setting: Products, device: torch.device) -> AbstractContextManager[object]:
    """A context in which the decoder's matrix products run as `setting` says."""
    if setting == "float32" or (setting == "auto" and not has_fast_bfloat16(device)):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
