"""What the folders of a release's jobs say: how far each is, and its curves. Reads files only.

Owns reading `progress.jsonl` and `metrics.jsonl`; a line that is half written is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.jobs.supervisor import PROGRESS

METRICS = "metrics.jsonl"
_TAIL_BYTES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The last line of a job's progress: step `step` of `of` in a stage."""

    job: str
    """`train` or `evaluate`."""
    release: int
    stage: str
    step: int
    of: int
    loss: float | None
    tokens_per_s: float | None
    eta_s: float | None
    time: float
    """Seconds since the epoch."""

    @property
    def share(self) -> float:
        """Of the stage, from 0 to 1."""
        return min(1.0, self.step / self.of) if self.of else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Loss by step of one stage of a training."""

    stage: str
    points: tuple[tuple[float, float], ...]


def reading(folder: Path, job: str, release: int) -> Reading | None:
    """How far a release's job is; None before its first line."""
    found = _folder(folder, job, release)
    if found is None:
        return None
    last: dict[str, Any] = {}
    for line in _lines(found / PROGRESS, tail=True):
        last = line
    if "stage" not in last:
        return None
    return Reading(
        job=job,
        release=release,
        stage=str(last["stage"]),
        step=int(last.get("step") or 0),
        of=int(last.get("of") or 0),
        loss=last.get("loss"),
        tokens_per_s=last.get("tokens_per_s"),
        eta_s=last.get("eta_s"),
        time=float(last.get("time") or 0.0),
    )


def curves(folder: Path, release: int) -> list[Curve]:
    """The losses of a release's training, by stage in their order."""
    found = _folder(folder, "train", release)
    stages: dict[str, list[tuple[float, float]]] = {}
    for line in _lines(found / METRICS) if found else ():
        loss, step = line.get("loss"), line.get("step")
        if isinstance(loss, (int, float)) and isinstance(step, (int, float)):
            stages.setdefault(str(line.get("stage")), []).append((float(step), float(loss)))
    return [Curve(stage=stage, points=tuple(points)) for stage, points in stages.items()]


def _folder(folder: Path, job: str, release: int) -> Path | None:
    """The newest folder of that job of the release."""
    found = list(folder.glob(f"{job}-{release:06d}-*"))
    return max(found, key=lambda path: path.stat().st_mtime) if found else None


def _lines(path: Path, *, tail: bool = False) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as handle:
            if tail and path.stat().st_size > _TAIL_BYTES:
                handle.seek(-_TAIL_BYTES, 2)
            data = handle.read()
    except OSError:
        return
    for text in data.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line
