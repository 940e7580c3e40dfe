"""The embedded architecture in plain PyTorch: a Llama, for pre-training.

Owns a forward pass over packed rows (documents that do not see each other, pairs that share an
article) which transformers' own class does not offer. Parameter names are those of
`LlamaForCausalLM`, so the weights load there as they are; a test holds the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Size of the network. `context` is the longest sequence in tokens."""

    vocabulary: int = 4096
    width: int = 256
    layers: int = 5
    heads: int = 8
    inner: int = 640
    context: int = 512
    rope_theta: float = 10000.0

    def config(self) -> dict[str, object]:
        """The same as transformers' config.json."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": self.vocabulary,
            "hidden_size": self.width,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.heads,
            "head_dim": self.width // self.heads,
            "hidden_act": "silu",
            "max_position_embeddings": self.context,
            "rms_norm_eps": 1e-6,
            "rope_theta": self.rope_theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "tie_word_embeddings": True,
            "attention_bias": False,
            "mlp_bias": False,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "bos_token_id": None,
            "dtype": "float16",
        }


def packed_mask(group: Tensor, segment: Tensor) -> Tensor:
    """Who may see whom in packed rows, (B, 1, T, T) bool.

    `group` (B, T) is the document, `segment` (B, T) is 0 for the article and 1, 2, ... for the
    pairs: a token sees what precedes it in its own document, of its own pair or of the article.
    """
    same = group[:, :, None] == group[:, None, :]
    visible = (segment[:, None, :] == 0) | (segment[:, :, None] == segment[:, None, :])
    length = group.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=group.device).tril()
    return (same & visible & causal)[:, None]


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


class _Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), (x.shape[-1],), self.weight.float(), 1e-6).to(x.dtype)


class _Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            nn.Linear(shape.width, shape.width, bias=False) for _ in range(4)
        )

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        rows, length, width = x.shape

        def split(y: Tensor) -> Tensor:  # (B, T, D) -> (B, H, T, D/H)
            return y.view(rows, length, self.heads, -1).transpose(1, 2)

        q = _rotate(split(self.q_proj(x)), cos, sin)
        k = _rotate(split(self.k_proj(x)), cos, sin)
        y = F.scaled_dot_product_attention(q, k, split(self.v_proj(x)), attn_mask=mask)
        return self.o_proj(y.transpose(1, 2).reshape(rows, length, width))


class _Mlp(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.inner, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.inner, bias=False)
        self.down_proj = nn.Linear(shape.inner, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = _Attention(shape)
        self.mlp = _Mlp(shape)
        self.input_layernorm = _Norm(shape.width)
        self.post_attention_layernorm = _Norm(shape.width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class _Model(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))
        self.norm = _Norm(shape.width)


class Network(nn.Module):
    """A Llama over packed rows. The LM head is the embedding and runs on chosen positions only."""

    inverse_frequency: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = _Model(shape)
        dim = shape.width // shape.heads
        frequency = shape.rope_theta ** (-torch.arange(0, dim, 2).float() / dim)
        self.register_buffer("inverse_frequency", frequency, persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        deep = (2 * self.shape.layers) ** -0.5
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                scale = 0.02 * (deep if "o_proj" in name or "down_proj" in name else 1.0)
                nn.init.normal_(parameter, std=scale)

    def hidden(self, ids: Tensor, position: Tensor, mask: Tensor) -> Tensor:
        """Final hidden states (B, T, D) of token ids (B, T) at positions (B, T) under a mask."""
        angle = position[..., None].float() * self.inverse_frequency  # (B, T, dim/2)
        angle = torch.cat((angle, angle), dim=-1)[:, None]
        x = self.model.embed_tokens(ids)
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        for layer in self.model.layers:
            x = layer(x, cos, sin, mask)
        return self.model.norm(x)

    def loss(
        self, ids: Tensor, position: Tensor, mask: Tensor, where: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy at flat positions `where` (N,) against `target` (N,); hits (N,)."""
        chosen = self.hidden(ids, position, mask).flatten(0, 1)[where]
        logits = F.linear(chosen, self.model.embed_tokens.weight)
        return F.cross_entropy(logits.float(), target), logits.argmax(-1) == target
