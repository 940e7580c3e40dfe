"""Rows of several adapters in one forward pass: each gets the low-rank update of its own.

Owns the resident adapters' matrices side by side, layer by layer, and the hooks that add them to a
decoder whose own adapters are off. All adapters of a layer are one pair of products; between them
a mask leaves each row the columns of its adapter, and a row of the base none. Adapters are pairs of
low rank and nothing else: the registry takes no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from trainer.engines.decoding import Network
from trainer.engines.transformers import TransformersEngine
from trainer.errors import BadAdapter


class MixedAdapters:
    """The adapters that are resident in an engine which nobody else puts one in place on. `forget`
    it before each change of them."""

    def __init__(self, engine: TransformersEngine) -> None:
        self._engine = engine
        self._names: tuple[str, ...] | None = None
        self._hooks: list[Any] = []
        self._columns: Tensor = torch.empty(0)
        """[adapters + 1, R]: 1 where a column is of the adapter; the last row is the base's."""
        self._assigned: tuple[str | None, ...] = ()
        self._mask: Tensor | None = None
        """[rows, 1, R]; None when every row is of the base."""

    @property
    def network(self) -> Network:
        """The engine's decoder, each of whose rows is under the adapter that was assigned to it."""
        return replace(self._engine.network, assign=self.assign)

    def forget(self) -> None:
        """Take the hooks away: adapters come or go."""
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._names, self._assigned, self._mask = [], None, (), None

    def assign(self, names: Sequence[str | None]) -> None:
        """Put the rows of the next passes under these adapters (None: the base), one a row. Raises
        BadAdapter for one that is not resident."""
        wanted = tuple(names)
        if self._names is None:
            self._stack(tuple(self._engine.adapters))
        elif wanted == self._assigned:
            return
        known = self._names or ()
        if unknown := set(wanted) - {None, *known}:
            raise BadAdapter(f"adapter {min(map(str, unknown))!r} is not resident: load it first")
        self._assigned, self._mask = wanted, None
        if any(name is not None for name in wanted):
            places = [len(known) if name is None else known.index(name) for name in wanted]
            self._mask = self._columns[places][:, None]

    def _stack(self, names: tuple[str, ...]) -> None:
        """Lay the matrices of all adapters side by side and hook them in."""
        decoder = self._engine.network.decoder
        # a layer whose adapters have all gone stays wrapped, and empty
        layers: list[Any] = [m for m in decoder.modules() if len(getattr(m, "lora_A", ()))]
        # one width an adapter in every layer, so that one mask serves them all
        ranks = {name: max(_rank(layer, name) for layer in layers) for name in names}
        for layer in layers:
            down = torch.cat([_padded(_down(layer, name), ranks[name], 0) for name in names])
            up = torch.cat([_padded(_up(layer, name), ranks[name], 1) for name in names], dim=1)
            self._hooks.append(layer.register_forward_hook(self._hook(down, up)))
        widths = torch.tensor(list(ranks.values()), dtype=torch.long)
        own = torch.eye(len(names) + 1, device=self._engine.device)[:, :-1]
        self._columns = own.repeat_interleave(widths.to(own.device), dim=1)
        self._names = names

    def _hook(self, down: Tensor, up: Tensor) -> Any:
        """Adds to a layer's output what the rows' adapters make of its input. `down` is [R, in],
        `up` [out, R]."""

        def add(_layer: object, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            if self._mask is None:
                return None
            low = linear(inputs[0].to(down.dtype), down) * self._mask  # [rows, positions, R]
            return output + linear(low, up).to(output.dtype)

        return add


def _rank(layer: Any, name: str) -> int:
    return layer.lora_A[name].weight.shape[0] if name in layer.lora_A else 0


def _down(layer: Any, name: str) -> Tensor:
    """[rank, in]; rank 0 where the adapter leaves the layer alone."""
    if name in layer.lora_A:
        return layer.lora_A[name].weight
    return _like(layer).new_empty(0, layer.in_features)


def _up(layer: Any, name: str) -> Tensor:
    """[out, rank], with the adapter's scale."""
    if name in layer.lora_B:
        return layer.lora_B[name].weight * layer.scaling[name]
    return _like(layer).new_empty(layer.out_features, 0)


def _like(layer: Any) -> Tensor:
    return next(layer.lora_A.parameters())


def _padded(matrix: Tensor, wanted: int, dim: int) -> Tensor:
    """The matrix with zeros behind it along a dimension."""
    missing = wanted - matrix.shape[dim]
    if not missing:
        return matrix
    shape = (missing, matrix.shape[1]) if dim == 0 else (matrix.shape[0], missing)
    return torch.cat([matrix, matrix.new_zeros(shape)], dim=dim)
