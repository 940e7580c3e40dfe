"""The job folders of this machine as people see them: which, how far, and what they wrote.

Owns reading them. Starts and ends nothing: a job is cancelled by giving its release up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.errors import NotFound
from daemon.jobs.evaluation_job import RESULT
from daemon.jobs.supervisor import LOG, JobState, progress_of, silence_s, state_of

_NAME = re.compile(r"(train|evaluate)-(\d{6,})-[0-9a-f]+")
_RESULTS = {"train": "adapter", "evaluate": RESULT}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSeen:
    """One job. `progress` is its last line, `silent_s` the seconds since it."""

    name: str
    kind: str
    release: int
    state: JobState
    progress: dict[str, Any] | None
    silent_s: float | None


class JobFolders:
    """Blocking reads of one folder of jobs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list(self) -> list[JobSeen]:
        """Every job whose folder is still there, in the order of the releases."""
        found = [self._see(path, match) for path, match in self._matching()]
        return sorted(found, key=lambda job: (job.release, job.kind != "train", job.name))

    def find(self, name: str) -> JobSeen:
        """The job of that name, or of a name that begins so. Raises NotFound when none does, or
        several do."""
        found = [job for job in self.list() if job.name.startswith(name)]
        exact = [job for job in found if job.name == name]
        if len(exact or found) != 1:
            what = "no job" if not found else f"{len(found)} jobs"
            raise NotFound(f"{what} of this machine begin with {name!r}; see `almanac job list`")
        return (exact or found)[0]

    def log(self, name: str, lines: int) -> list[str]:
        """The last lines that the job wrote. Raises NotFound."""
        path = self._folder / self.find(name).name / LOG
        text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
        return text.splitlines()[-lines:]

    def _matching(self) -> Iterator[tuple[Path, re.Match[str]]]:
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if match := _NAME.fullmatch(path.name):
                    yield path, match

    def _see(self, path: Path, match: re.Match[str]) -> JobSeen:
        state = state_of(path, _RESULTS[match[1]])
        return JobSeen(
            name=path.name,
            kind=match[1],
            release=int(match[2]),
            state=state,
            progress=progress_of(path),
            silent_s=round(silence_s(path), 1) if state is JobState.RUNNING else None,
        )
