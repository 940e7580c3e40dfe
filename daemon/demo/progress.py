"""What the demo says while it works: what, how far, how long. Owns no fact of the demo.

On a terminal each stage is a bar with its time and what is left of it; otherwise it is a line when
the stage begins, one every few seconds, and one at its end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_EVERY_S = 5.0
_PLAIN_WIDTH = 140


def console(*, stderr: bool = False) -> Console:
    """Standard output or error; wide enough for the tables when it is no terminal."""
    made = Console(stderr=stderr)
    return made if made.is_terminal else Console(stderr=stderr, width=_PLAIN_WIDTH)


class Stage:
    """One long step. `update` says how far it is; `note` is a few words on what goes on."""

    def __init__(self, title: str, total: float | None) -> None:
        self.title = title
        self.total = total
        self.done = 0.0
        self.note = ""
        self.started = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started

    def update(self, *, done: float | None = None, total: float | None = None, note: str = ""):
        """Any of: how much is done, how much there is, what goes on now."""
        self.done = self.done if done is None else done
        self.total = self.total if total is None else total
        self.note = note or self.note
        self.show()

    def show(self) -> None:
        """Bring what is known before the reader's eyes."""

    def finish(self) -> None:
        """The step is over."""


class _Plain(Stage):
    def __init__(self, out: Console, title: str, total: float | None) -> None:
        super().__init__(title, total)
        self._out = out
        self._shown_at = self.started
        out.print(f"{title} ...", highlight=False)

    def show(self) -> None:
        now = time.monotonic()
        if now - self._shown_at < PLAIN_EVERY_S:
            return
        self._shown_at = now
        share = f"{self.done:.0f}/{self.total:.0f}" if self.total else f"{self.done:.0f}"
        left = self._left_s()
        eta = f", about {left:.0f} s left" if left is not None else ""
        self._out.print(
            f"  {self.title}: {share} {self.note} ({self.elapsed_s:.0f} s{eta})", highlight=False
        )

    def finish(self) -> None:
        self._out.print(f"  {self.title}: {self.note} ({self.elapsed_s:.1f} s)", highlight=False)

    def _left_s(self) -> float | None:
        if not self.total or not self.done:
            return None
        return max(0.0, self.elapsed_s * (self.total / self.done - 1))


class _Bar(Stage):
    def __init__(self, bars: Progress, title: str, total: float | None) -> None:
        super().__init__(title, total)
        self._bars = bars
        self._task: TaskID = bars.add_task(title, total=total, note="")

    def show(self) -> None:
        self._bars.update(self._task, completed=self.done, total=self.total, note=self.note)

    def finish(self) -> None:
        total = self.total if self.total is not None else max(self.done, 1)
        self._bars.update(self._task, completed=total, total=total, note=self.note)


class Narrator:
    """Tells one stage after the other and remembers how long each took (seconds, by name)."""

    def __init__(self, out: Console, took_s: dict[str, float] | None = None) -> None:
        self.out = out
        self.took_s = took_s if took_s is not None else {}

    def say(self, text: str) -> None:
        self.out.print(text)

    @contextmanager
    def stage(self, name: str, title: str, total: float | None = None) -> Iterator[Stage]:
        """A long step; its time is added to `took_s[name]` also when it fails."""
        started = time.monotonic()
        try:
            if self.out.is_terminal:
                with _bars(self.out) as bars:
                    stage: Stage = _Bar(bars, title, total)
                    yield stage
                    stage.finish()
            else:
                stage = _Plain(self.out, title, total)
                yield stage
                stage.finish()
        finally:
            self.took_s[name] = self.took_s.get(name, 0.0) + time.monotonic() - started


def _bars(out: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("[dim]{task.fields[note]}"),
        console=out,
    )
