"""Whether a job may have the accelerator now, when the model server wants it too.

Owns the three policies of `accelerator.sharing`: a device of its own, hours of its own, or vLLM put
to sleep while the job runs and woken after it. Says in words what is served meanwhile. Starts and
stops no job.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Protocol

import httpx
import structlog

from daemon.errors import ConfigError, Retryable
from daemon.jobs.supervisor import Job
from daemon.operating import AcceleratorSettings, AcceleratorSharing
from daemon.timetable import Cron

SLEEPING_FILE = "vllm-sleeps"
"""In the home while vLLM was put to sleep by us: a restart must still wake it."""
_TIMEOUT_S = 120.0
_MINUTE = dt.timedelta(minutes=1)

log = structlog.get_logger()


class Device(Protocol):
    """Whether the accelerator is free of jobs."""

    def device_is_free(self) -> bool: ...


class Admission:
    """One worker's door to the accelerator."""

    def __init__(
        self, settings: AcceleratorSettings, device: Device, home: Path, *, timezone: str = "UTC"
    ) -> None:
        """Raises ConfigError for a window that is no cron expression, or a missing vLLM."""
        self._sharing = settings.sharing
        self._device = device
        self._marker = home / SLEEPING_FILE
        self._window = (
            Cron(settings.window, timezone)
            if settings.sharing is AcceleratorSharing.WINDOW
            else None
        )
        self._vllm = settings.vllm_url
        if self._sharing is AcceleratorSharing.SLEEP and not self._vllm:
            raise ConfigError(
                'accelerator.sharing is "sleep", which needs accelerator.vllm_url: the server that '
                "is put to sleep"
            )
        self._stopped: set[Path] = set()
        self.waiting: str | None = None
        """Why a job waits, in words; None when none does."""

    async def admits(self) -> bool:
        """Whether a job may begin now."""
        now = dt.datetime.now(dt.UTC)
        self.waiting = None
        if self._window is not None and not self._inside(now):
            opens = self._window.after(now)
            at = f"at {opens:%Y-%m-%d %H:%M} UTC" if opens else "never"
            self.waiting = f"a job waits for its hours; they begin {at}"
        elif not self._device.device_is_free():
            self.waiting = "a job waits for the device, on which another job of this machine runs"
        return self.waiting is None

    def must_stop(self, job: Job) -> bool:
        """Whether a running job has to pause because its hours are over."""
        over = self._window is not None and not self._inside(dt.datetime.now(dt.UTC))
        if over:
            self._stopped.add(job.folder)
        return over

    def stopped(self, job: Job) -> bool:
        """Whether we ended the job's last run ourselves: that was no failure."""
        if job.folder in self._stopped:
            self._stopped.discard(job.folder)
            return True
        return False

    async def before(self, job: Job) -> None:
        """Make room on the device. Raises Retryable when vLLM cannot be put to sleep."""
        if self._sharing is AcceleratorSharing.SLEEP:
            self._marker.write_text(job.folder.name, encoding="utf-8")  # before, not after
            await self._ask("/sleep?level=1")
            log.info("accelerator.vllm_sleeps", job=job.folder.name)

    async def after(self) -> None:
        """Give the device back."""
        if self._sharing is AcceleratorSharing.SLEEP and self._marker.exists():
            await self._ask("/wake_up")
            self._marker.unlink(missing_ok=True)
            log.info("accelerator.vllm_woken")

    def served_meanwhile(self, running: bool) -> str:
        """What clients get while a job is at work."""
        if not running:
            return "production"
        if self._sharing is AcceleratorSharing.SLEEP:
            return "nothing: the model server sleeps until the job has ended"
        if self._sharing is AcceleratorSharing.WINDOW:
            return "production, on the device that the job uses too"
        return "production, on a device of its own"

    def _inside(self, now: dt.datetime) -> bool:
        """Whether this minute is one of the window's."""
        assert self._window is not None
        minute = now.replace(second=0, microsecond=0)
        return self._window.after(minute - _MINUTE) == minute

    async def _ask(self, path: str) -> None:
        assert self._vllm is not None
        url = self._vllm.rstrip("/").removesuffix("/v1") + path
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
                (await client.post(url)).raise_for_status()
        except httpx.HTTPError as error:
            raise Retryable(
                f"vLLM did not do {path} ({error}); it must run with VLLM_SERVER_DEV_MODE=1 and "
                "--enable-sleep-mode"
            ) from None
