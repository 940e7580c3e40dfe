"""The processes of the service: who they are, and their last sign of life.

Owns the `worker` table. Each process writes its own row; the status of any of them tells of all.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, delete, select

from daemon.operating import Role
from daemon.store.engine import Database
from daemon.store.rows import WorkerRow

SILENT_S = 60.0
"""A process that wrote nothing for so long is taken for dead."""
_FORGET_S = 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A process as the others see it."""

    name: str
    role: str
    host: str
    pid: int
    leads: bool
    started_at: dt.datetime
    silent_s: float
    state: dict[str, Any]

    @property
    def alive(self) -> bool:
        return self.silent_s < SILENT_S


class Workers:
    """Blocking calls."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._started = dt.datetime.now(dt.UTC)

    def sign(self, name: str, role: Role, *, leads: bool, state: dict[str, Any]) -> None:
        """Write this process's sign of life."""
        now = dt.datetime.now(dt.UTC)
        with self._database.write() as session:
            session.merge(
                WorkerRow(
                    name=name,
                    role=role.value,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    leads=leads,
                    started_at=self._started,
                    seen_at=now,
                    state=state,
                )
            )
            session.exec(
                delete(WorkerRow).where(
                    col(WorkerRow.seen_at) < now - dt.timedelta(seconds=_FORGET_S)
                )
            )

    def leave(self, name: str) -> None:
        """At an orderly end."""
        with self._database.write() as session:
            row = session.get(WorkerRow, name)
            if row is not None and row.pid == os.getpid():
                session.delete(row)

    def list(self) -> list[Worker]:
        now = dt.datetime.now(dt.UTC)
        with self._database.read() as session:
            rows = session.exec(select(WorkerRow).order_by(col(WorkerRow.name))).all()
            return [
                Worker(
                    name=row.name,
                    role=row.role,
                    host=row.host,
                    pid=row.pid,
                    leads=row.leads,
                    started_at=row.started_at,
                    silent_s=(now - row.seen_at).total_seconds(),
                    state=row.state,
                )
                for row in rows
            ]
