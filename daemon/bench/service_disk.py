"""A full disk, at every stage of a play: told clearly, serving goes on, and so does the rest after.

Owns the small file system (a tmpfs, which needs root on Linux), the ballast that fills it to the
last byte, and the rows. The home, its log included, lies on it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from daemon.bench.rows import Op, Row
from daemon.bench.service_home import ServiceHome
from daemon.bench.service_play import Play, staged, through, undisturbed
from daemon.serving.announcement import announced_url
from daemon.upkeep.degraded import Mode

_SIZE_MIB = 96
_FULL_S = 8.0
_STRIKES, _QUICK_STRIKES = 12, 2
_BLOCK = 1 << 16
_WHATS = (
    "times that it was not told",
    "times that pages or gateway fell silent",
    "services that fell by themselves",
    "differences from the undisturbed run",
)


@dataclass(slots=True, kw_only=True)
class Harm:
    """What full disks did. The last three should be empty."""

    full: list[float] = field(default_factory=list)
    """The progress of the play at each."""
    untold: int = 0
    silent: list[str] = field(default_factory=list)
    falls: list[str] = field(default_factory=list)


def disk_rows(quick: bool) -> list[Row]:
    """One play on a small disk that is full again and again."""
    strikes = _QUICK_STRIKES if quick else _STRIKES
    if sys.platform != "linux" or os.geteuid() != 0:
        reason = "needs root on Linux, to mount a small tmpfs"
        return [_row(what, None, reason) for what in _WHATS]
    with (
        tempfile.TemporaryDirectory(prefix="almanac-flood-") as folder,
        _small_disk(_SIZE_MIB) as place,
        staged(Path(folder), whole=not quick, place=place) as (home, play),
    ):
        flood = Flood(home, play, strikes)
        through(home, play, flood)
        home.stop()
        differences = play.outcome().differences(undisturbed(not quick))
    harm = flood.harm
    at = ", ".join(f"{100 * progress:.0f} %" for progress in harm.full)
    told = f"full {len(harm.full)} times, at {at} of the play"
    values = (harm.untold, len(harm.silent), len(harm.falls), differences)
    details = (told, "; ".join(harm.silent)[:300], "; ".join(harm.falls)[:300], told)
    return [_row(*row) for row in zip(_WHATS, values, details, strict=True)]


def _row(what: str, value: int | None, detail: str) -> Row:
    return Row(what=f"full disk, {what}", value=value, unit="", bar=0, op=Op.EQUAL, detail=detail)


class Flood:
    """A storm that fills the disk at even steps of the play, looks, and makes room again."""

    def __init__(self, home: ServiceHome, play: Play, strikes: int) -> None:
        self._home, self._play, self._strikes = home, play, strikes
        self._ballast = home.place / "ballast"
        self._until: float | None = None
        self._told = self._answered = False
        self.harm = Harm()

    @property
    def left(self) -> int:
        return self._strikes - len(self.harm.full) + (self._until is not None)

    def strike(self, progress: float) -> bool:
        if self._until is not None:
            self._look()
            if time.monotonic() >= self._until:
                self._make_room()
            return True
        if len(self.harm.full) < self._strikes * progress and self._home.logged("service.ready"):
            self.harm.full.append(round(progress, 2))
            fill(self._ballast)
            self._told = self._answered = False
            self._until = time.monotonic() + _FULL_S
            return True
        return False

    def fell(self) -> None:
        self.harm.falls.append(self._home.last_words())
        self._make_room()

    def _look(self) -> None:
        """While it is full: does the status name it, do pages and gateway answer?"""
        with contextlib.suppress(httpx.HTTPError):
            modes = {trouble["mode"] for trouble in self._home.status()["process"]["degraded"]}
            self._told = self._told or Mode.DISK.value in modes
        gateway = announced_url(self._home.home) or self._home.url
        with contextlib.suppress(httpx.HTTPError):
            health = httpx.get(f"{gateway}/healthz", timeout=5.0)
            self._answered = self._answered or health.status_code == 200

    def _make_room(self) -> None:
        self._ballast.unlink(missing_ok=True)
        self._until = None
        self.harm.untold += not self._told
        if not self._answered:
            self.harm.silent.append(f"at {self.harm.full[-1]:.0%}")


def fill(ballast: Path) -> None:
    """Write until not one more byte goes onto the file system."""
    with ballast.open("ab", buffering=0) as handle:
        size = _BLOCK
        while size:
            try:
                handle.write(b"\0" * size)
            except OSError:
                size //= 2


@contextmanager
def _small_disk(mib: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="almanac-disk-") as folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "tmpfs", folder]
        subprocess.run(command, check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
