"""A copy of the decoder in bfloat16, an adapter multiplied in: for sampling while training.

Token by token the base's products and the adapter's small ones cost more than anything else; the
copy has half the products at twice the rate. What it says differs from the model by rounding; its
log-probabilities are of what it drew from, and the importance ratio of stage 2 is for that. Owns
the copy. Evaluation and serving never see it.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch

from trainer.engines.decoding import Network
from trainer.engines.fused import FusedStep, can_step
from trainer.engines.transformers import TransformersEngine


class Replica:
    """Made from an engine that has no adapter yet; `network` then follows its adapters."""

    def __init__(self, engine: TransformersEngine, dtype: torch.dtype = torch.bfloat16) -> None:
        if engine.adapters:
            raise ValueError("a replica is made before the first adapter is put on the engine")
        self._engine = engine
        decoder = engine.network.decoder
        memo = {
            id(p): torch.nn.Parameter(p.detach().to(dtype, copy=True), requires_grad=False)
            for p in decoder.parameters()
        }
        # buffers (rotary frequencies) stay as precise as they are
        self._decoder: torch.nn.Module = copy.deepcopy(decoder, memo).eval()
        self._step = FusedStep(self._decoder) if can_step(self._decoder) else None

    @torch.no_grad()
    def network(self, name: str | None) -> Network:
        """Decoder and head under the resident adapter `name` as it is now (None: the base)."""
        engine = self._engine
        modules = dict(self._decoder.named_modules())
        for path, module in engine.network.decoder.named_modules():
            if not hasattr(module, "lora_A"):
                continue
            layer: Any = module
            weight = layer.base_layer.weight
            if name is not None and name in layer.lora_A:
                weight = weight + layer.get_delta_weight(name)
            target: Any = modules[path]
            target.weight.copy_(weight)
        return replace(engine.network, decoder=self._decoder, step=self._step)
