"""Checkpoints of a job: the adapter, the optimizer, the rollout buffer, the place in the schedule.

A checkpoint is one folder that appears by a rename; the newest readable one counts. Random numbers
need no state of their own: each is drawn from the job's seed, the stage and the step (`seeds`).
"""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from trainer.engines.loading import first_line
from trainer.journal import disk_errors, sync_folder, write_synced

_KEPT = 2
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    pickle.UnpicklingError,
    SafetensorError,
)
"""What JSON, torch and safetensors say of files that are torn or missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a run stands: `step` optimizer steps of `stage` are done."""

    stage: str
    step: int
    student: dict[str, Tensor]
    optimizer: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    """JSON-able: buffers, counters, what a stage has decided."""
    metrics_bytes: int = 0


class CheckpointStore:
    """The `checkpoints` folder of one job."""

    def __init__(self, directory: Path, job_digest: str) -> None:
        self._root = directory / "checkpoints"
        self._job = job_digest

    def save(self, checkpoint: Checkpoint) -> None:
        with disk_errors(str(self._root)):
            self._root.mkdir(exist_ok=True)
            number = max((int(p.name) for p in self._folders()), default=0) + 1
            part = self._root / f"{number:06d}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            write_synced(part / "student.safetensors", safetensors.torch.save(checkpoint.student))
            buffer = io.BytesIO()
            torch.save(checkpoint.optimizer, buffer)
            write_synced(part / "optimizer.pt", buffer.getvalue())
            head = {
                "job": self._job,
                "stage": checkpoint.stage,
                "step": checkpoint.step,
                "state": checkpoint.state,
                "metrics_bytes": checkpoint.metrics_bytes,
            }
            write_synced(part / "state.json", json.dumps(head).encode())
            sync_folder(part)
            part.replace(self._root / f"{number:06d}")
            sync_folder(self._root)
        for old in self._folders()[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def latest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest readable checkpoint of this job, None when there is none. `warn` is told of
        each newer one that cannot be read."""
        for folder in reversed(self._folders()):
            try:
                found = self._read(folder)
            except _UNREADABLE as error:
                warn(
                    f"checkpoint {folder.name} cannot be read ({first_line(error)}): going on from "
                    "an older state"
                )
                continue
            if found:
                return found
        return None

    def _read(self, folder: Path) -> Checkpoint | None:
        """The checkpoint in a folder, None when it is another job's."""
        head = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if head.pop("job") != self._job:
            return None
        optimizer = torch.load(folder / "optimizer.pt", weights_only=True)
        student = safetensors.torch.load((folder / "student.safetensors").read_bytes())
        return Checkpoint(student=student, optimizer=optimizer, **head)

    def clear(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)

    def _folders(self) -> list[Path]:
        if not self._root.is_dir():
            return []
        return sorted(p for p in self._root.iterdir() if p.is_dir() and p.name.isdigit())
