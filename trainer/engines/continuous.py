"""Continuous batching: rows join a batch that is on its way, and leave it when they are done.

Owns the running batch: its rows, their cache and the choice of each next token. Works on token ids,
each row under its own adapter; who decides which rows run together is the caller.

Every row lies at the right end of the cache: its last position is the batch's last, and the mask
hides what is left of it. So a row of any length can be put beside the others by copying it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from trainer.engines.cache import RoomyLayer, left_pad, position_ids
from trainer.engines.decoding import Network, draw, nucleus

_ROOM = 64
"""Positions that a cache is given for what is still to come, each time it is built anew."""
_COMPACT_BELOW = 0.75
"""Share of living rows below which the batch is made smaller."""


@dataclass(slots=True, eq=False)
class Row:
    """One answer in the making. `limit` counts new tokens; `temperature` 0 is greedy; `adapter` is
    a resident one, None the base."""

    prompt: Sequence[int]
    limit: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    adapter: str | None = None
    ids: list[int] = field(default_factory=list)
    """Tokens so far, with the end token, if it came."""
    ended: bool = False
    """The end token came."""
    stopped: bool = False
    """Nobody wants the rest: set it, and the row leaves at the next step."""
    _generator: torch.Generator | None = None

    @property
    def done(self) -> bool:
        return self.ended or self.stopped or len(self.ids) >= self.limit

    def choose(self, logits: Tensor) -> int:
        """The next token out of logits [V]."""
        if self.temperature == 0:
            return int(logits.argmax(-1))
        if self._generator is None:
            self._generator = torch.Generator(device=logits.device).manual_seed(self.seed)
        probs = torch.softmax(logits / self.temperature, dim=-1)[None]
        if self.top_p < 1:
            probs = nucleus(probs, self.top_p)
        return int(draw(probs, self._generator))


class RunningBatch:
    """Rows that take a token each at every `step`. A network that assigns no adapters has them all
    under whatever is in place."""

    @torch.inference_mode()
    def __init__(self, network: Network, rows: Sequence[Row]) -> None:
        """Reads the prompts of the rows, which start together."""
        ids, mask = left_pad([list(row.prompt) for row in rows], network.pad_id, network.device)
        prefill = DynamicCache()
        self.rows = list(rows)
        hidden = self._hidden(network, ids, mask, position_ids(mask), prefill)
        self.joinable = all(type(layer) is DynamicLayer for layer in prefill.layers)
        """Models with other than full attention keep transformers' own cache, which takes no
        rows later on."""
        self._cache: Cache = prefill
        self._used = ids.shape[1]
        self._lengths: Tensor = mask.sum(dim=-1)  # [R]
        self._logits: Tensor = network.head(hidden).float()  # [R, V]
        if self.joinable:
            self._lay_out([(prefill, self._used, list(range(len(rows))))])

    @torch.inference_mode()
    def join(self, other: RunningBatch) -> None:
        """Take over the rows of another batch, which must not be used again."""
        if not (self.joinable and other.joinable):
            raise ValueError("these batches cannot be joined: look at `joinable`")
        sides = [(b, [i for i, row in enumerate(b.rows) if not row.done]) for b in (self, other)]
        parts = [(b._cache, b._used, kept) for b, kept in sides]
        lengths = torch.cat([b._lengths[kept] for b, kept in sides])
        logits = torch.cat([b._logits[kept] for b, kept in sides])
        self.rows = [b.rows[i] for b, kept in sides for i in kept]
        self._lengths, self._logits = lengths, logits
        self._lay_out(parts)

    @torch.inference_mode()
    def step(self, network: Network) -> bool:
        """Every living row takes its next token; False when none is left."""
        tokens: list[int] = []
        for place, row in enumerate(self.rows):
            token = network.pad_id if row.done else row.choose(self._logits[place])
            tokens.append(token)
            if not row.done:
                row.ids.append(token)
                row.ended = token in network.end_ids
        kept = [place for place, row in enumerate(self.rows) if not row.done]
        if not kept:
            self.rows = []
            return False
        if len(kept) <= _COMPACT_BELOW * len(self.rows):
            self._keep(kept)
            tokens = [tokens[place] for place in kept]
        self._advance(network, torch.tensor(tokens, device=network.device))
        return True

    def _keep(self, kept: list[int]) -> None:
        self.rows = [self.rows[place] for place in kept]
        self._lengths, self._logits = self._lengths[kept], self._logits[kept]
        if self.joinable:
            self._lay_out([(self._cache, self._used, kept)])
        else:
            chosen = torch.tensor(kept, device=self._lengths.device)
            for layer in self._cache.layers:
                layer.batch_select_indices(chosen)  # pyright: ignore[reportAttributeAccessIssue]

    def _advance(self, network: Network, tokens: Tensor) -> None:
        if self.joinable and self._used == self._capacity:
            self._lay_out([(self._cache, self._used, list(range(len(self.rows))))])
        self._used += 1
        self._lengths = self._lengths + 1
        places = torch.arange(self._used, device=tokens.device)
        mask = (places[None] >= self._used - self._lengths[:, None]).long()  # [R, used]
        places = self._lengths[:, None] - 1
        hidden = self._hidden(network, tokens[:, None], mask, places, self._cache)
        self._logits = network.head(hidden).float()

    def _hidden(
        self, network: Network, ids: Tensor, mask: Tensor, positions: Tensor, cache: Cache
    ) -> Tensor:
        """Hidden states [R, d] of the last of the given tokens [R, P], which go into the cache."""
        if network.assign is not None:
            # whose row is done may have been unloaded since
            network.assign([None if row.done else row.adapter for row in self.rows])
        return network.decoder(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]

    def _lay_out(self, parts: list[tuple[Cache, int, list[int]]]) -> None:
        """A new cache of the chosen rows of old ones, as narrow as the longest row allows, with
        room. Each part is a cache, its used positions, and the rows to take."""
        used = int(self._lengths.max())
        self._capacity = used + _ROOM
        layers = []
        for number in range(len(parts[0][0].layers)):
            keys, values = [], []
            for cache, width, rows in parts:
                layer = cache.layers[number]
                assert isinstance(layer, DynamicLayer)
                assert layer.keys is not None and layer.values is not None
                keys.append(_right_end(layer.keys[rows], width, used))
                values.append(_right_end(layer.values[rows], width, used))
            joined = torch.cat(keys)
            layers.append(RoomyLayer(joined, torch.cat(values), self._capacity, joined.dtype))
        self._cache, self._used = Cache(layers=layers), used


def _right_end(states: Tensor, width: int, wanted: int) -> Tensor:
    """The last `wanted` positions of [R, heads, width, size], padded on the left where it has
    fewer."""
    if width >= wanted:
        return states[:, :, width - wanted :]
    return torch.nn.functional.pad(states, (0, 0, wanted - width, 0))
