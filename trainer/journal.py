"""What a job writes about itself: progress, metrics, and files that appear whole or not at all.

Owns the line formats of `progress.jsonl` and `metrics.jsonl` and atomic writing. Checkpoints are in
`trainer.checkpoints`, the finished adapter in `trainer.publish`.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.errors import OutOfSpace

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One line of progress: step `step` of `of` in a stage, and the time left in that stage."""

    stage: str
    step: int
    of: int
    loss: float | None = None
    tokens_per_s: float | None = None
    eta_s: float | None = None
    time: float = 0.0
    """Seconds since the epoch."""
    warning: str | None = None
    """What went on otherwise than meant, for a person to read."""


Listener = Callable[[Progress], None]


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn a full disk or quota into OutOfSpace that names what could not be written."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise OutOfSpace(
                f"{what} cannot be written: {error.strerror}. Free some space and run the job "
                "again; it goes on from its last checkpoint"
            ) from error
        raise


def sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_synced(path: Path, data: bytes) -> None:
    """Write and fsync a file that no reader looks for yet."""
    with disk_errors(str(path)), path.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def write_atomic(path: Path, data: bytes) -> None:
    """Replace a file as a whole."""
    part = path.with_name(f".{path.name}.part")
    write_synced(part, data)
    part.replace(path)
    sync_folder(path.parent)


class Journal:
    """The two line files of a job folder and whoever listens to its progress."""

    def __init__(self, directory: Path, listener: Listener | None = None) -> None:
        self._progress = directory / "progress.jsonl"
        self._metrics = directory / "metrics.jsonl"
        self._listener = listener
        self.spent_s: dict[str, float] = {}
        """Seconds that this process has spent in each kind of work (`span`)."""
        self._stage = ""
        self._since = 0.0
        self._first_step = 0

    def progress(
        self,
        stage: str,
        step: int,
        of: int,
        *,
        loss: float | None = None,
        tokens: int = 0,
        warning: str | None = None,
    ) -> None:
        """Note that `step` of `of` is done; `tokens` is how many this step worked on."""
        now = time.time()
        if stage != self._stage:
            self._stage, self._since, self._first_step, self._last = stage, now, step, now
        spent = now - self._since
        done = step - self._first_step
        line = Progress(
            stage=stage,
            step=step,
            of=of,
            loss=loss,
            tokens_per_s=round(tokens / (now - self._last), 1) if now > self._last else None,
            eta_s=round(spent / done * (of - step), 1) if done > 0 else None,
            time=round(now, 3),
            warning=warning,
        )
        self._last = now
        self._append(self._progress, asdict(line))
        if self._listener:
            self._listener(line)

    @contextmanager
    def span(self, work: str) -> Iterator[None]:
        """Count the block's time as that kind of work."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.spent_s[work] = self.spent_s.get(work, 0.0) + spent

    def metric(self, **values: Any) -> None:
        self._append(self._metrics, values)

    @property
    def metrics_bytes(self) -> int:
        return self._metrics.stat().st_size if self._metrics.exists() else 0

    def rewind_metrics(self, size: int) -> None:
        """Forget metrics written after a checkpoint that the run goes back to."""
        if self._metrics.exists() and self._metrics.stat().st_size > size:
            os.truncate(self._metrics, size)

    def _append(self, path: Path, values: dict[str, Any]) -> None:
        with disk_errors(str(path)), path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(values, ensure_ascii=False) + "\n")
