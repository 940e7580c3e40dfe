"""A key-value cache with room for what is still to come: no copy of the past at each token.

transformers' dynamic cache concatenates at every step, which for small models costs as much as the
model itself. Owns memory only; what is in it is the model's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer


class RoomyLayer(DynamicLayer):
    """One layer: buffers [rows, heads, capacity, head size], of which the first part is filled."""

    is_compileable = False

    def __init__(self, keys: Tensor, values: Tensor, capacity: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype, self.device = dtype, keys.device
        self.capacity = capacity
        self.is_initialized = True
        self._fill(keys, values)

    def _fill(self, keys: Tensor, values: Tensor) -> None:
        rows, heads, used, width = keys.shape
        room = (rows, heads, self.capacity)
        self._key_room = keys.new_empty(*room, width, dtype=self.dtype)
        self._value_room = values.new_empty(*room, values.shape[-1], dtype=self.dtype)
        self._key_room[:, :, :used] = keys
        self._value_room[:, :, :used] = values
        self._view(used)

    def _view(self, used: int) -> tuple[Tensor, Tensor]:
        self.used = used
        self.keys = keys = self._key_room[:, :, :used]
        self.values = values = self._value_room[:, :, :used]
        return keys, values

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        end = self.used + key_states.shape[-2]
        self._key_room[:, :, self.used : end] = key_states
        self._value_room[:, :, self.used : end] = value_states
        return self._view(end)

    def batch_select_indices(self, indices: Tensor) -> None:
        keys, values = self._view(self.used)
        self._fill(keys[indices], values[indices])


def with_room(
    prefill: DynamicCache, rows: Tensor, capacity: int, dtype: torch.dtype | None = None
) -> Cache:
    """A cache of the given rows of `prefill` (a row may stand several times), with room for
    `capacity` positions, in `dtype` (None: the same). Models with other than full attention keep
    transformers' own layers."""
    if any(type(layer) is not DynamicLayer for layer in prefill.layers):
        prefill.batch_select_indices(rows)
        return prefill
    filled: list[Any] = list(prefill.layers)
    layers: list[Any] = [
        RoomyLayer(layer.keys[rows], layer.values[rows], capacity, dtype or layer.keys.dtype)
        for layer in filled
    ]
    return Cache(layers=layers)


def keep_rows(cache: Cache, rows: Tensor) -> None:
    """Drop all other rows, in place."""
    layers: list[Any] = list(cache.layers)
    for layer in layers:
        layer.batch_select_indices(rows)


def position_ids(mask: Tensor) -> Tensor:
    """Positions [B, P] of left-padded rows with mask [B, P]; padding gets position 0."""
    return (mask.long().cumsum(-1) - 1).clamp_min(0)


def left_pad(rows: list[list[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and mask, both [B, P], of rows padded on the left."""
    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(r)) + r for r in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in rows], device=device)
    return ids, mask


def right_pad(rows: list[list[int]], pad: int, device: torch.device) -> Tensor:
    """Token ids [B, T] of rows padded on the right."""
    longest = max(map(len, rows))
    return torch.tensor([r + [pad] * (longest - len(r)) for r in rows], device=device)
