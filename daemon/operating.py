"""Settings of running unattended: schedule, workers, disk, messages, backups, retention.

Owns these sections of the settings' tree and their defaults; the tree itself is `daemon.config`.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    """A table of the settings file: what it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Role(StrEnum):
    """What one process of the service does."""

    ALL = "all"
    WEB = "web"
    """Review pages, API, health: no agents, no jobs."""
    WORKER = "worker"
    """Intake (on the leader), drafting, training, evaluating, promoting."""
    GATEWAY = "gateway"


class WorkerSettings(Section):
    name: str = ""
    """Of this worker among those on one database; without one, the machine's."""
    blobs: Path | None = None
    """Folder of the adapters, when it is not below `home`: shared by all machines."""
    batch: int = Field(default=8, ge=1)
    """Changes drafted side by side."""


class ScheduleSettings(Section):
    """Cron expressions (minute hour day month weekday). Those with an empty default run whenever
    there is something to do; given an expression, they run at its times only."""

    timezone: str = "UTC"
    tick_s: float = Field(default=2.0, gt=0)
    """How often each stage looks by itself; a wake-up comes sooner."""
    poll: str = ""
    """Looks at dirty items."""
    curate: str = ""
    evaluate: str = ""
    release: str = ""
    """Dates at which whatever is approved is frozen, however little; besides `release.size`."""
    sweep: str = "17 */6 * * *"
    discovery: str = "23 * * * *"
    """Asks whether a day has passed since `watch.queries` were last asked for subjects."""
    audit: str = "41 * * * *"
    """Asks whether a week has passed since a sample of items was read in full."""
    integrity: str = "30 4 * * 0"
    """Hashes every adapter again and walks the history's chain."""
    retention: str = "45 3 * * *"
    backup: str = "15 2 * * *"


class AcceleratorSharing(StrEnum):
    """How training and the model server live on one device."""

    SEPARATE = "separate"
    """Each has its own: jobs start whenever they are due."""
    WINDOW = "window"
    """Jobs run in the hours of `accelerator.window` only, and pause at their end."""
    SLEEP = "sleep"
    """vLLM is put to sleep while a job runs and woken after it."""


class AcceleratorSettings(Section):
    device: str = ""
    """Name of the device that jobs use, e.g. `cuda:0`; one job a device, over all processes of this
    machine. Without one, the processor."""
    sharing: AcceleratorSharing = AcceleratorSharing.SEPARATE
    window: str = "* 1-5 * * *"
    """Minutes at which jobs may run, as a cron expression, with `sharing = "window"`."""
    vllm_url: str | None = None
    """The vLLM server that is put to sleep; it must run in its development mode."""
    locks: Path = Path("/tmp")
    """Folder of the lock files, the same for all processes of this machine."""


class DiskSettings(Section):
    least_free_share: float = Field(default=0.05, ge=0, lt=1)
    """Below this share of free space nothing new is taken in; serving goes on."""


class HealthSettings(Section):
    host: str = "127.0.0.1"
    port: int | None = Field(default=None, ge=0, le=65535)
    """Where metrics, status and health are told; without one, on the web's port."""


class NotifySettings(Section):
    webhook_url: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    """Key of the HMAC in the header X-Almanac-Signature."""
    smtp_host: str | None = None
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_tls: bool = True
    """STARTTLS."""
    mail_from: str = "almanac@localhost"
    mail_to: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("waiting", "verdict", "promotion", "watcher", "retraction", "trouble")
    """What is told."""
    waiting_h: float = Field(default=24.0, gt=0)
    """A proposal that waits longer is told, once a day."""


class BackupSettings(Section):
    folder: Path | None = None
    """Without one, `backups` in `home`; better on another disk."""
    keep: int = Field(default=7, ge=1)


class RetentionSettings(Section):
    jobs_days: float = Field(default=30.0, gt=0)
    """Folders of ended jobs."""
    verdicts_days: float = Field(default=400.0, gt=0)
    """What each single edit on Wikidata was."""
    answers_days: float = Field(default=120.0, gt=0)
    """Stored answers of models."""
