"""Pre-training of the embedded model: Muon and AdamW over packed rows, resumable.

Owns the optimiser, the schedule and the training state. The schedule runs on a fraction of the
work done (steps, or seconds where a time budget is given), so that a run in several commands is
one run.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from trainer.embedded.network import Network, packed_mask
from trainer.embedded.packing import Rows
from trainer.engines.precision import products


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Learning rates and how they move: linear warm-up, constant, linear decay to zero."""

    matrix_lr: float = 0.02
    vector_lr: float = 3e-3
    warmup: float = 0.01
    decay: float = 0.4
    """Shares of the whole run."""

    def factor(self, done: float) -> float:
        """Multiplier at `done` of 1 of the run."""
        if done < self.warmup:
            return max(done, 1e-3) / self.warmup
        return min(1.0, max(0.0, (1.0 - done) / self.decay))


def orthogonal(update: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix, by a quintic Newton-Schulz iteration (Muon)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = update.bfloat16() if update.is_cuda else update.float()
    wide = x.shape[-2] > x.shape[-1]
    x = x.mT if wide else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if wide else x).to(update.dtype)


class Optimiser:
    """Muon for the matrices of the layers, AdamW for embedding and norms."""

    def __init__(self, network: Network) -> None:
        named = dict(network.named_parameters())
        matrices = {n: p for n, p in named.items() if p.dim() == 2 and "embed" not in n}
        shapes: dict[tuple[int, int], list[str]] = {}
        for name, p in matrices.items():
            shapes.setdefault((p.shape[0], p.shape[1]), []).append(name)
        self._stacks = list(shapes.values())
        self._matrices = matrices
        self._vectors = {n: p for n, p in named.items() if n not in matrices}
        self.state: dict[str, Tensor] = {f"m.{n}": torch.zeros_like(p) for n, p in matrices.items()}
        for name, p in self._vectors.items():
            self.state[f"a.{name}"] = torch.zeros_like(p)
            self.state[f"b.{name}"] = torch.zeros_like(p)
        self.steps = 0

    @torch.no_grad()
    def step(self, matrix_lr: float, vector_lr: float) -> None:
        self.steps += 1
        for names in self._stacks:
            gradients = []
            for name in names:
                momentum, grad = self.state[f"m.{name}"], self._matrices[name].grad
                assert grad is not None
                momentum.mul_(0.95).add_(grad)
                gradients.append(grad.add(momentum, alpha=0.95))
            moved = orthogonal(torch.stack(gradients))
            scale = math.sqrt(max(1.0, moved.shape[-2] / moved.shape[-1]))
            for name, update in zip(names, moved, strict=True):
                p = self._matrices[name]
                p.mul_(1 - matrix_lr * 0.01).add_(update, alpha=-matrix_lr * scale)
        for name, p in self._vectors.items():
            assert p.grad is not None
            a, b = self.state[f"a.{name}"], self.state[f"b.{name}"]
            a.lerp_(p.grad, 0.1)
            b.lerp_(p.grad.square(), 0.05)
            first = a / (1 - 0.9**self.steps)
            second = b / (1 - 0.95**self.steps)
            p.addcdiv_(first, second.sqrt_().add_(1e-10), value=-vector_lr)


@dataclass(slots=True)
class Progress:
    """Where a run stands. `done` is its share of the whole, `tokens` all tokens of the rows."""

    done: float = 0.0
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)


class Pretraining:
    """A run: network, optimiser, progress. `save` and `load` make it resumable."""

    def __init__(self, network: Network, schedule: Schedule, *, micro_rows: int) -> None:
        self.network = network
        self.schedule = schedule
        self.optimiser = Optimiser(network)
        self.progress = Progress()
        self.micro_rows = micro_rows
        self.device = next(network.parameters()).device
        self._loss = network.loss
        if self.device.type == "cuda":
            self._loss = torch.compile(network.loss, dynamic=False)

    def _tensors(self, rows: Rows, begin: int) -> tuple[Tensor, ...]:
        cut = slice(begin, begin + self.micro_rows)

        def tensor(array: object) -> Tensor:
            return torch.from_numpy(array[cut]).to(self.device, non_blocking=True).long()  # type: ignore[index]

        return tuple(
            tensor(a) for a in (rows.ids, rows.position, rows.group, rows.segment, rows.answer)
        )

    def gradient(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Accumulate the gradient of the mean loss over all answers; loss and accuracy."""
        total = int(rows.answer[:, 1:].sum())
        loss_sum = torch.zeros((), device=self.device)
        hits = torch.zeros((), device=self.device)
        chosen = self.micro_rows * rows.ids.shape[1]
        for begin in range(0, rows.ids.shape[0], self.micro_rows):
            ids, position, group, segment, answer = self._tensors(rows, begin)
            predicts = torch.zeros_like(answer)
            predicts[:, :-1] = answer[:, 1:]
            flat = predicts.flatten().nonzero()[:, 0]
            target = ids.flatten()[flat + 1]
            count = flat.shape[0]
            if self.device.type == "cuda":  # constant shapes for the compiled graph
                room = chosen // 2 - count
                if room < 0:
                    flat, target, count, room = flat[:room], target[:room], count + room, 0
                flat = torch.cat((flat, flat.new_zeros(room)))
                target = torch.cat((target, target.new_full((room,), -100)))
            mask = packed_mask(group, segment)
            with products("auto", self.device):
                loss, hit = self._loss(ids, position, mask, flat, target)
            weight = count / total
            (loss * weight).backward()
            loss_sum += loss.detach() * weight
            hits += hit.sum()
        return loss_sum, hits / total

    def step(self, rows: Rows, done: float) -> tuple[Tensor, Tensor]:
        """One optimiser step at `done` of the run."""
        for p in self.network.parameters():
            p.grad = None
        loss, accuracy = self.gradient(rows)
        factor = self.schedule.factor(done)
        self.optimiser.step(self.schedule.matrix_lr * factor, self.schedule.vector_lr * factor)
        self.progress.steps += 1
        self.progress.tokens += rows.ids.size
        return loss, accuracy

    def run(
        self,
        batches: Iterator[Rows],
        share: Callable[[Progress], float],
        until: Callable[[Progress], bool],
        report: Callable[[Progress, float, float], None],
        every: int = 50,
    ) -> None:
        """Train until `until`; `share` says what part of the whole run the progress is."""
        started, before = time.perf_counter(), self.progress.seconds
        while not until(self.progress):
            self.progress.done = share(self.progress)
            loss, accuracy = self.step(next(batches), self.progress.done)
            self.progress.seconds = before + time.perf_counter() - started
            if self.progress.steps % every == 0:
                report(self.progress, float(loss), float(accuracy))

    # -- state -------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write the whole state in files of at most 15 MB each, by rename."""
        folder.mkdir(parents=True, exist_ok=True)
        parts: list[dict[str, Tensor]] = [{}]
        size = 0
        state = {f"w.{n}": p.detach() for n, p in self.network.named_parameters()}
        state |= self.optimiser.state
        for name, tensor in state.items():
            held = tensor.cpu().bfloat16() if name.startswith("m.") else tensor.cpu().float()
            if size + held.nbytes > 15_000_000:
                parts.append({})
                size = 0
            parts[-1][name] = held.contiguous()
            size += held.nbytes
        from safetensors.torch import save_file

        for number, part in enumerate(parts):
            save_file(part, folder / f"state-{number}.tmp")
            (folder / f"state-{number}.tmp").replace(folder / f"state-{number}.safetensors")
        p = self.progress
        data = {"done": p.done, "steps": p.steps, "tokens": p.tokens, "seconds": p.seconds}
        data |= {"optimiser_steps": self.optimiser.steps, "parts": len(parts), "log": p.log}
        (folder / "progress.tmp").write_text(json.dumps(data), encoding="utf-8")
        (folder / "progress.tmp").replace(folder / "progress.json")

    @torch.no_grad()
    def load(self, folder: Path) -> bool:
        """Take up a saved state; False when there is none."""
        if not (folder / "progress.json").exists():
            return False
        from safetensors.torch import load_file

        data = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
        named = dict(self.network.named_parameters())
        for number in range(data["parts"]):
            for name, tensor in load_file(folder / f"state-{number}.safetensors").items():
                target = named[name[2:]] if name.startswith("w.") else self.optimiser.state[name]
                target.copy_(tensor.to(target.dtype))
        self.optimiser.steps = data["optimiser_steps"]
        self.progress = Progress(
            data["done"], data["steps"], data["tokens"], data["seconds"], data["log"]
        )
        return True
