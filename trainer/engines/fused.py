"""One token of a Llama-shaped decoder with few and large products: for the replica's sampling.

transformers' layers make some thirty small operations a layer and token; here query, key and value
are one product, gate and up another. Owns the step for models of the Llama plan (Llama, Mistral,
Qwen2 and their like); others keep transformers' own forward.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, rms_norm, silu

_HIDDEN = -1e9
"""Added to the score of a place that is padding."""

_TYPES = frozenset({"llama", "mistral", "qwen2"})


def can_step(decoder: Any) -> bool:
    """Whether the decoder has the plan that `FusedStep` computes."""
    config = getattr(decoder, "config", None)
    if config is None or config.model_type not in _TYPES or config.hidden_act != "silu":
        return False
    window = getattr(config, "sliding_window", None)
    used = getattr(config, "use_sliding_window", window is not None)
    return not (window and used) and config.rope_parameters.get("rope_type") == "default"


class FusedStep:
    """The step over one decoder, whose weights become views of the joined matrices: what is written
    into them afterwards is what the step uses."""

    def __init__(self, decoder: Any) -> None:
        config = decoder.config
        self._decoder = decoder
        self._heads: int = config.num_attention_heads
        self._kept_heads: int = config.num_key_value_heads
        self._width: int = decoder.layers[0].self_attn.head_dim
        self._eps: float = config.rms_norm_eps
        self._layers = [_Layer(layer) for layer in decoder.layers]
        places = torch.arange(config.max_position_embeddings, device=decoder.norm.weight.device)
        with torch.no_grad():
            cos, sin = decoder.rotary_emb(decoder.norm.weight, places[None])
        self._cos, self._sin = cos[0], sin[0]

    def __call__(self, tokens: Tensor, positions: Tensor, mask: Tensor, cache: Any) -> Tensor:
        """Last hidden states [B, d] of one more token [B] a row, at `positions` [B]; it is written
        into `cache`, whose keys and values are float32: small products of them are far faster so.
        `mask` [B, T] says which of the T places, this one included, are no padding.
        """
        decoder, rows = self._decoder, len(tokens)
        hidden = decoder.embed_tokens(tokens)
        cos, sin = self._cos[positions][:, None], self._sin[positions][:, None]  # [B, 1, w]
        hide = (1 - mask[:, None, None].float()) * _HIDDEN
        scale = self._width**-0.5
        groups = self._heads // self._kept_heads
        for index, layer in enumerate(self._layers):
            x = rms_norm(hidden, hidden.shape[-1:], layer.before.weight, self._eps)
            joined = linear(x, layer.attend, layer.attend_bias)
            joined = joined.view(rows, self._heads + 2 * self._kept_heads, self._width)
            turned, value = joined.split([self._heads + self._kept_heads, self._kept_heads], 1)
            turned = turned * cos + _half_turned(turned) * sin
            query, key = turned.split([self._heads, self._kept_heads], 1)
            keys, values = cache.layers[index].update(key[:, :, None], value[:, :, None])
            query = query.reshape(-1, groups, self._width).to(keys.dtype)  # [B K, g, w]
            scores = torch.bmm(query, keys.flatten(0, 1).transpose(1, 2))  # [B K, g, T]
            scores = scores.view(rows, self._kept_heads, groups, -1) * scale + hide
            weights = scores.softmax(-1).flatten(0, 1)
            mixed = torch.bmm(weights, values.flatten(0, 1)).view(rows, -1).to(hidden.dtype)
            hidden = hidden + linear(mixed, layer.out.weight, layer.out.bias)
            x = rms_norm(hidden, hidden.shape[-1:], layer.after.weight, self._eps)
            gate, up = linear(x, layer.widen).chunk(2, -1)
            hidden = hidden + linear(silu(gate) * up, layer.down.weight)
        return rms_norm(hidden, hidden.shape[-1:], decoder.norm.weight, self._eps)


def _half_turned(x: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat([-second, first], -1)


class _Layer:
    """The parts of one layer, matrices joined."""

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        self.attend, self.attend_bias = _joined(projections)
        self.widen, _ = _joined((mlp.gate_proj, mlp.up_proj))
        self.out, self.down = attention.o_proj, mlp.down_proj
        self.before, self.after = layer.input_layernorm, layer.post_attention_layernorm


@torch.no_grad()
def _joined(linears: tuple[Any, ...]) -> tuple[Tensor, Tensor | None]:
    """One matrix (and bias) of several; the linears' own weights become views of it."""
    weight = torch.cat([one.weight for one in linears])
    start = 0
    for one in linears:
        stop = start + one.weight.shape[0]
        one.weight = torch.nn.Parameter(weight[start:stop], requires_grad=False)
        start = stop
    if linears[0].bias is None:
        return weight, None
    return weight, torch.cat([one.bias for one in linears])
